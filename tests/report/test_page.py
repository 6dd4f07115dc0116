"""The report of runs: one page that needs nothing else, says what the files say, and is drawn by a browser."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from support.browser import AXE, VALIDATOR, dom, with_script
from support.commands import kcars, rows, small


@pytest.fixture(scope="module")
def runs(drawn, small_runs, tmp_path_factory):
    """A classifier, two verifiers on the same pairs, and one of another protocol."""
    root = tmp_path_factory.mktemp("runs")
    plain = ["--data", drawn, *small()]
    shutil.copytree(small_runs["classify"], root / "classify")
    shutil.copytree(small_runs["verify"], root / "first")
    kcars("train", "--task", "verify", "--out", root / "second", *plain, "--set", "train.seed=1")
    kcars("train", "--task", "verify", "--out", root / "paper", *plain, "--set", "evaluate.protocol=paper")
    return root


@pytest.fixture(scope="module")
def pages(runs):
    for name in ("classify", "first"):
        kcars("report", runs / name)
    kcars("report", *(runs / name for name in ("first", "second", "paper", "classify")), "--out", runs / "all.html")
    files = {"classify": runs / "classify/report.html", "first": runs / "first/report.html", "all": runs / "all.html"}
    return {name: file.read_text(encoding="utf-8") for name, file in files.items()}


class Elements(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.links, self.headings, self.pictures, self.heats, self._open = [], [], 0, [], False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.links += [given[name] for name in ("src", "href") if given.get(name)]
        if given.get("class") == "heat":
            self.heats.append(given["alt"])
        else:
            self.pictures += tag == "img"
        self._open = tag in ("h1", "h2", "h3", "h4")

    def handle_data(self, data):
        if self._open and data.strip():
            self.headings.append(data.strip())


def test_nothing_is_loaded_from_elsewhere(pages):
    for page in pages.values():
        assert all(link.startswith(("data:", "#")) for link in Elements(page).links)
        assert "sourceMappingURL" not in page and "url(" not in page.split("</style>")[0]
        assert len(page) < 6_000_000


def test_scores_stand_with_their_intervals(pages, runs):
    scores = json.loads((runs / "first/scores.json").read_text())["scores"]
    for key, entry in scores.items():
        value, interval = f"{entry['value']:.3f}", f"[{entry['low']:.3f}, {entry['high']:.3f}]"
        if key.endswith("/calibration_error"):
            assert f"{value} {interval}" in pages["first"]
        elif not key.endswith("/nll"):
            assert f"{value}<small>{interval}</small>" in pages["first"]


def test_retrieval_stands_with_its_intervals_and_baselines(pages, runs):
    entry = json.loads((runs / "first/scores.json").read_text())["scores"]["retrieval/map@R"]
    told = f"{entry['value']:.3f}<small>[{entry['low']:.3f}, {entry['high']:.3f}]</small>"
    table = pages["first"].partition("<caption>Retrieval: each test photo")[2].partition("</table>")[0]
    assert told in table and "raw pixels" in table and "mAP@R" in table
    assert "Retrieval: each test photo" not in pages["classify"]


def test_how_far_probabilities_hold_is_told_and_drawn(pages, runs):
    scores = json.loads((runs / "classify/scores.json").read_text())["scores"]
    assert f"to {scores['test/nll']['value']:.3f} [" in pages["classify"]
    for page in (pages["classify"], pages["first"]):
        assert "Reliability of probabilities" in page
        assert "Risk and coverage" in page


def test_pictures_are_those_of_the_tables(pages, runs):
    assert Elements(pages["classify"]).pictures > 10
    # Three difficulties, four lists of up to six pairs.
    assert 3 * 4 * 2 <= Elements(pages["first"]).pictures <= 3 * 4 * 6 * 2
    assert len(list((runs / "first/thumbnails").glob("*.jpg"))) > 0
    worst = max(
        (line for line in rows(runs / "first/pairs.csv") if line["difficulty"] == "hard" and line["same"] == "1"),
        key=lambda line: float(line["distance"]),
    )
    heading = pages["first"].index("Same model with the largest distances")
    assert f"<b>{float(worst['distance']):.2f}</b>" in pages["first"][heading : heading + 20_000]


def without_record_of_tables(run) -> None:
    """What a run's scores and digests say of its tables goes, as an earlier kcars said nothing: they may be edited."""
    (run / "digests.json").unlink(missing_ok=True)
    scores = json.loads((run / "scores.json").read_text())
    scores.pop("tables", None)
    (run / "scores.json").write_text(json.dumps(scores))


def test_where_it_looked_lies_over_the_pictures(pages, runs, tmp_path):
    for name in ("classify", "first"):
        maps = rows(runs / name / "maps.csv")
        assert Elements(pages[name]).heats, maps[:3]
        assert all(alt.startswith("Strongest region: ") for alt in Elements(pages[name]).heats)
        assert pages[name].count("Show heat maps") == 1
    assert pages["all"].count("Show heat maps") == 4
    run = shutil.copytree(runs / "first", tmp_path / "run")
    (run / "maps.csv").unlink()  # As runs of earlier versions have none.
    kcars("report", run)
    page = (run / "report.html").read_text()
    assert "Show heat maps" not in page and not Elements(page).heats
    assert Elements(page).pictures == Elements(pages["first"]).pictures
    (run / "maps.csv").write_text("photo,beside,map\na,b,0.1 x\n")
    without_record_of_tables(run)
    assert "maps.csv: is damaged" in kcars("report", run, code=2)


def test_runs_are_compared_where_they_can_be(pages):
    table = pages["all"].split("Differences from first")[1].split("</table>")[0]
    second, paper, classify = table.split("<tbody>")[1].split("</tr>")[:3]
    low, high = map(float, re.search(r"\[([+-]\d\.\d{3}), ([+-]\d\.\d{3})\]", second).groups())
    assert low <= high and "hard ROC-AUC" in second
    assert "different protocol (honest and paper)" in paper
    assert "different task (verify and classify)" in classify
    assert "scores are too optimistic" in pages["all"] and "scores are too optimistic" not in pages["first"]


def test_what_can_be_compared_is_though_a_run_of_another_task_is_named_first(runs, tmp_path):
    kcars("report", *(runs / name for name in ("classify", "first", "second")), "--out", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "Differences from first" in page and "hard ROC-AUC</td>" in page
    kcars("report", runs / "classify", runs / "first", "--out", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "Differences from" not in page and "The runs have different tasks" in page


def test_a_run_does_not_differ_from_its_copy(runs, tmp_path):
    copies = [shutil.copytree(runs / name, tmp_path / name) for name in ("first", "classify")]
    for original, copy in zip((runs / "first", runs / "classify"), copies, strict=True):
        kcars("report", original, copy, "--out", tmp_path / "page.html")
        page = (tmp_path / "page.html").read_text()
        assert "+0.000 [+0.000, +0.000]" in page and "identical predictions" in page


def test_names_cannot_break_the_page(runs, tmp_path):
    run = shutil.copytree(runs / "classify", tmp_path / "run")
    evil = "</script><script>alert(1)</script>"
    for name in ("photos.csv", "classes.csv", "learned_photos.csv"):
        text = (run / name).read_text()
        first = rows(run / "classes.csv")[0]["name"]
        (run / name).write_text(text.replace(first, evil))
    without_record_of_tables(run)
    kcars("report", run)
    page = (run / "report.html").read_text()
    assert evil not in page and html.escape(evil) in page


def test_what_is_no_scored_run_is_one_line(runs, tmp_path):
    assert "is not a run folder" in kcars("report", tmp_path, code=2)
    run = shutil.copytree(runs / "first", tmp_path / "run")
    (run / "scores.json").unlink()
    assert "has no scores yet" in kcars("report", run, code=2)
    told = kcars("report", run, runs / "first", runs / "nothing", "--out", tmp_path / "others.html")
    assert "skipped" in told and "has no scores yet" in told and "does not exist" in told
    assert "that are not scored runs" not in told and (tmp_path / "others.html").is_file()
    assert "1 more" in kcars("table", run, tmp_path, code=2)
    assert "given twice" in kcars("report", runs / "first", runs / "first", code=2)
    assert not (tmp_path / "report.html").exists()


def test_twenty_thousand_pairs_stay_under_six_megabytes(runs, tmp_path):
    """Each test pair is repeated until there are enough, with its photos' names and pictures."""
    run = shutil.copytree(runs / "first", tmp_path / "run")
    head, *lines = (run / "pairs.csv").read_text().splitlines()
    (run / "pairs.csv").write_text("\n".join([head, *(lines * (20_000 // len(lines) + 1))]) + "\n")
    without_record_of_tables(run)
    kcars("report", run)
    assert (run / "report.html").stat().st_size < 6_000_000


DRAWN = """
{
const blank = (c) => !new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer).some(Boolean);
const canvases = [...document.querySelectorAll('canvas')];
document.querySelector('table.sortable button')?.click();
const told = document.createElement('pre');
told.id = 'told';
told.textContent = JSON.stringify({canvases: canvases.length, blank: canvases.filter(blank).length,
  sorted: document.querySelectorAll('th[aria-sort=ascending]').length,
  hidden: drawn.filter((chart) => chart.data.datasets.some((one) => one.data.some(({x, y}) =>
    x < chart.scales.x.min || x > chart.scales.x.max || y < chart.scales.y.min || y > chart.scales.y.max))).length});
document.body.append(told);
}
"""
LOOKED = """
{
const heat = document.querySelector('img.heat'), box = document.querySelector('.looked input');
const shown = () => getComputedStyle(heat).display;
const before = shown();
box.click();
const {width, height} = heat.getBoundingClientRect(), below = heat.previousElementSibling.getBoundingClientRect();
const told = document.createElement('pre');
told.id = 'told';
told.textContent = JSON.stringify({before, after: shown(), covers: width === below.width && height === below.height,
  grey: getComputedStyle(heat.previousElementSibling).filter});
document.body.append(told);
}
"""
AUDIT = """
axe.run().then((found) => {
  const told = document.createElement('pre');
  told.id = 'told';
  told.textContent = JSON.stringify(found.violations.map((one) => one.id + ': ' + one.nodes[0].html));
  document.body.append(told);
});
"""


def told(page, script, folder):
    file = folder / "page.html"
    file.write_text(with_script(page, script), encoding="utf-8")
    found = re.search(r'<pre id="told">(.*?)</pre>', dom(f"file://{file}", folder / "profile"), re.DOTALL)
    return json.loads(html.unescape(found[1]))


@pytest.mark.parametrize("name", ["classify", "first", "all"])
def test_a_browser_draws_every_chart_and_sorts(pages, tmp_path, name):
    found = told(pages[name], DRAWN, tmp_path)
    assert found["canvases"] >= 5 and found["blank"] == 0 and found["hidden"] == 0
    assert found["sorted"] == (0 if name == "first" else 1)


@pytest.mark.parametrize("name", ["classify", "first"])
def test_a_browser_lays_maps_over_pictures_when_it_is_asked_to(pages, tmp_path, name):
    found = told(pages[name], LOOKED, tmp_path)
    assert found == {"before": "none", "after": "block", "covers": True, "grey": "grayscale(1)"}


@pytest.mark.parametrize("name", ["classify", "first", "all"])
def test_axe_finds_no_barrier(pages, tmp_path, name):
    if not AXE.is_file():
        pytest.skip("axe-core is not there; make page-tools brings it")
    assert told(pages[name], AXE.read_text(encoding="utf-8") + AUDIT, tmp_path) == []


def test_the_validator_finds_no_fault(pages, tmp_path):
    if not VALIDATOR.is_file() or shutil.which("java") is None:
        pytest.skip("the validator is not there; make page-tools brings it, and it needs Java")
    for name, page in pages.items():
        (tmp_path / f"{name}.html").write_text(page, encoding="utf-8")
    done = subprocess.run(["java", "-jar", VALIDATOR, *tmp_path.glob("*.html")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_last_epoch_is_not_called_the_best(small_runs, tmp_path):
    for task, decided in (("classify", "the temperature was"), ("verify", "the threshold was")):
        run = shutil.copytree(small_runs[task], tmp_path / task)
        facts = json.loads((run / "run.json").read_text())
        keeps = facts["settings"]["train"]["keep"]
        facts["settings"]["train"]["keep"] = {"best": "last", "last": "best"}[keeps]
        (run / "run.json").write_text(json.dumps(facts))
        (run / "digests.json").unlink()
        scores = json.loads((run / "scores.json").read_text())
        del scores["kept"]  # As an earlier kcars wrote it.
        (run / "scores.json").write_text(json.dumps(scores))
        kcars("report", run, small_runs[task], "--out", tmp_path / "page.html")
        page = (tmp_path / "page.html").read_text()
        kept = scores["best_epoch"]
        assert page.count(f"last epoch {kept} of") == page.count(f"best epoch {kept} of") == 1
        assert page.count(f"Protocol honest: {decided} chosen") == 1
        assert (
            f">{kept} (best)</td>" in page and f">{kept} (last)</td>" in page and "epoch of the checkpoint</th>" in page
        )


def test_the_page_takes_the_place_of_no_other_kind_of_file(runs, tmp_path):
    photo = tmp_path / "car.jpg"
    photo.write_bytes(b"a photo")
    assert "is not an HTML file name" in kcars("report", runs / "first", "--out", photo, code=2)
    assert photo.read_bytes() == b"a photo"

"""Run folders that somebody else made, or that have changed: links, pipes, bombs, edits, rot."""

import io
import json
import os
import random
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from support.commands import kcars
from support.run_mutations import edited, edited_table, readers

from kcars.core.errors import KcarsError, NoWayOn
from kcars.core.files import sha256
from kcars.metrics.curves import FALSE_POSITIVE_RATES
from kcars.posthoc.adjusted_head import AdjustedHead
from kcars.posthoc.distance_transform import DistanceTransform
from kcars.runs import state_file
from kcars.runs.contents import empty, own_files, refuse_odd
from kcars.runs.fitted import pipeline_of
from kcars.runs.model_card import of_run
from kcars.runs.run import Run
from kcars.runs.state_checks import refuse_misfit
from kcars.runs.state_file import State
from kcars.schemas.state import CALLBACKS
from kcars.training.callbacks.save_state import SaveState
from kcars.untrusted import run_folder
from kcars.untrusted.run_folder import DIGESTS, REMEDIES, RunFolder

SECRET = b"a private key"
TASKS = ("classify", "verify")


@pytest.fixture
def runs(small_runs, tmp_path) -> dict[str, Path]:
    """Copies of the small runs, to be changed."""
    return {task: Path(shutil.copytree(small_runs[task], tmp_path / "runs" / task)) for task in TASKS}


@pytest.fixture
def outside(tmp_path) -> Path:
    """Somebody's own folder."""
    (tmp_path / "outside").mkdir()
    for name in ("id_rsa", "holiday.jpg", "0123456789abcdef.jpg", "state.npz", "events.out.tfevents.1.mine"):
        (tmp_path / "outside" / name).write_bytes(SECRET)
    return tmp_path / "outside"


def unharmed(outside: Path) -> bool:
    return len(os.listdir(outside)) == 5 and all(file.read_bytes() == SECRET for file in outside.iterdir())


def replace_by_link(path: Path, target: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    path.symlink_to(target)


# ---- links ----


def test_a_thumbnail_that_is_a_link_is_in_no_report(runs, outside):
    run = runs["classify"]
    for file in (run / "thumbnails").iterdir():
        replace_by_link(file, outside / "id_rsa")
    assert "is a link, which is not followed" in kcars("report", run, code=2)
    assert not (run / "report.html").exists()


@pytest.mark.parametrize("name", ["thumbnails", "tensorboard"])
def test_a_folder_that_is_a_link_is_not_emptied(runs, outside, name):
    run = runs["classify"]
    replace_by_link(run / name, outside)
    for command in (["evaluate", run], ["train", "--resume", run]):
        assert f"{name}: is a link" in kcars(*command, code=2)
    assert unharmed(outside)


LINKED = ["best.weights.h5", "state.npz", "classes.json", "history.csv", "scores.json", "run.json", "photos.csv",
          "maps.csv", "learned_photos.csv", "photo_checksums.npy", "digests.json", ".lock", "thumbnails", "fold-1",
          "on-0123456789abcdef", "settings.yaml", "metric.npz"]  # fmt: skip


@pytest.mark.parametrize("name", LINKED)
def test_no_command_follows_a_link(runs, outside, name):
    run = runs["classify"]
    replace_by_link(run / name, outside if "." not in name else outside / "id_rsa")
    refused = [kcars("evaluate", run, code=2), kcars("train", "--resume", run, code=2)]
    assert all(name in told and "link" in told for told in refused)
    with pytest.raises(KcarsError, match=f"--(out|force).*{name}"):
        Run.check_place(run, force=True)
    assert unharmed(outside)
    assert (run / name).is_symlink()


def test_a_lock_that_is_a_link_empties_nothing(tmp_path, outside):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/.lock").symlink_to(outside / "id_rsa")
    with pytest.raises(KcarsError, match="is a link"), Run.locked(tmp_path / "run"):
        pass
    assert unharmed(outside)


def test_half_written_names_that_are_links_are_not_written_through(tmp_path, outside):
    import keras

    from kcars.training.callbacks.checkpoint import save_weights

    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    (tmp_path / ".best.weights.h5").symlink_to(outside / "id_rsa")
    save_weights(model, tmp_path / "best.weights.h5")
    assert unharmed(outside) and (tmp_path / "best.weights.h5").stat().st_size > 1000


def test_states_are_forgotten_in_the_run_alone(runs, outside):
    run = Run(runs["classify"])
    (run.folder / "fold-1").symlink_to(outside)
    (run.folder / "mine").symlink_to(outside)
    run.forget_states()
    assert unharmed(outside)
    assert not (run.folder / "state.npz").exists()


# ---- what is not kcars' ----


def test_force_leaves_notes_and_names_them(runs):
    run = runs["classify"]
    (run / "thumbnails/holiday.jpg").write_text("mine")
    before = sorted(run.rglob("*"))
    for start in (lambda: Run.check_place(run, force=True), lambda: empty(run)):
        with pytest.raises(KcarsError, match="thumbnails/holiday.jpg is not a file that kcars writes there; move it"):
            start()
    assert sorted(run.rglob("*")) == before


def test_all_that_a_run_holds_is_known_and_goes_with_it(runs):
    for run in runs.values():
        (run / "report.html").touch()
        assert own_files(run)[1:] == ([], [])
        (run / ".DS_Store").touch()
        empty(run)
        assert sorted(os.listdir(run)) == [".DS_Store", ".lock"]


def test_half_written_files_of_kcars_alone_are_deleted(runs):
    run = Run(runs["classify"])
    (run.folder / ".best.weights.h5").mkdir()
    halves = [".history.csv.ab_cd012", ".state.npz.01234567", "thumbnails/.0123456789abcdef.jpg.01234567"]
    mine = [".notes.json.abcdefgh", ".gitignore", "thumbnails/.holiday.jpg.01234567"]
    for name in (*halves, *mine):
        (run.folder / name).touch()
    run.forget_halves()
    assert [name for name in (*halves, *mine) if (run.folder / name).exists()] == mine
    with pytest.raises(KcarsError, match="is (no|not a) regular file|is a folder"):
        (run.folder / "scores.json").unlink()
        os.mkfifo(run.folder / "scores.json")
        refuse_odd(run.folder)


# ---- pipes, bombs ----


@pytest.mark.parametrize("name", ["run.json", "classes.json", "scores.json", "history.csv", "best.weights.h5", "digests.json",
                                  "settings.yaml", "learned_photos.csv", "photos.csv", "state.npz", ".lock"])  # fmt: skip
def test_a_pipe_is_not_waited_for(runs, hangs_never, name):
    run = runs["classify"]
    (run / name).unlink()
    os.mkfifo(run / name)
    told = kcars("train", "--resume", run, code=2) + kcars("predict", "nothing.jpg", "--model", run, code=2)
    if name in ("run.json", "scores.json", "history.csv", "digests.json", "photos.csv"):
        told += kcars("report", run, code=2)
    assert "named pipe" in told or "regular file" in told


def bomb(path: Path, names: tuple[str, ...], mebibytes: int = 64) -> None:
    """An .npz file of some kilobytes, whose arrays are zeros of mebibytes."""
    header = io.BytesIO()
    shape = (mebibytes * 2**18,)
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                file.write(header.getvalue())
                for _ in range(mebibytes):
                    file.write(bytes(2**20))


@pytest.mark.parametrize(("name", "names", "read"), [
    ("metric.npz", ("mean", "projection", "weights"), DistanceTransform.read),
    ("head.npz", ("kernel", "bias"), lambda folder: AdjustedHead.chosen({"kind": "logits", "tau": 1.0}, folder)),
])  # fmt: skip
def test_arrays_that_unpack_to_more_than_their_file_are_refused(tmp_path, name, names, read):
    bomb(tmp_path / name, names)
    assert (tmp_path / name).stat().st_size < 2**20
    with pytest.raises(KcarsError, match="unpacks to .*kcars does not write such files.*kcars evaluate"):
        read(tmp_path)


def test_a_state_that_is_a_bomb_is_not_unpacked(tmp_path):
    bomb(tmp_path / "state.npz", ("facts", "model/0"))
    with (tmp_path / "state.npz").open("ab") as file:
        content = (tmp_path / "state.npz").read_bytes()
        file.write(state_file._digest(content))
    with pytest.raises(NoWayOn, match="state.npz: cannot be used .unpacks to"):
        state_file.read(tmp_path, pytest.fail)


@pytest.mark.parametrize("arrays", [
    {"mean": np.zeros(3, np.float32), "projection": np.zeros((3, 2), np.float32), "weights": np.array([1, np.nan], np.float32)},
    {"mean": np.zeros(3, np.float32), "projection": np.zeros((4, 2), np.float32), "weights": np.ones(2, np.float32)},
    {"mean": np.zeros(3, np.int64), "projection": np.zeros((3, 2), np.float32), "weights": np.ones(2, np.float32)},
    {"mean": np.zeros(3, np.float32), "projection": np.zeros((3, 2), np.float32)},
])  # fmt: skip
def test_a_metric_of_odd_arrays_is_one_line(tmp_path, arrays):
    np.savez(tmp_path / "metric.npz", **arrays)
    with pytest.raises(KcarsError, match="metric.npz: .*kcars evaluate"):
        DistanceTransform.read(tmp_path)


def test_a_metric_of_another_network_is_one_line(runs):
    run = Run(runs["verify"])
    DistanceTransform(np.zeros(3), np.ones((3, 2)), np.ones(2)).save(run.folder)
    with pytest.raises(KcarsError, match="expects vectors of 3 dimensions, but the run's have"):
        pipeline_of(run)


# ---- rot ----


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_a_flipped_bit_anywhere_in_the_weights_is_told(runs, share):
    run = runs["classify"]
    place = int(share * (run / "best.weights.h5").stat().st_size)
    flip(run / "best.weights.h5", place)
    with pytest.raises(KcarsError, match="best.weights.h5: has changed since it was written"):
        of_run(Run.open(run))


def test_weights_with_a_flipped_bit_answer_nothing_and_are_written_anew(runs):
    run = runs["classify"]
    flip(run / "best.weights.h5", (run / "best.weights.h5").stat().st_size * 9 // 10)
    told = kcars("predict", run / "thumbnails", "--model", run, code=2)
    assert f"best.weights.h5: has changed since it was written (digests.json); kcars train --resume {run}" in told
    assert kcars("evaluate", run, code=2).count("\n") < 4
    kcars("train", "--resume", run)
    kcars("predict", run / "thumbnails", "--model", run)


@pytest.mark.parametrize("name", ["classes.json", "run.json", "scores.json", "metric.npz"])
def test_whatever_answers_depend_on_is_compared(runs, name):
    run = runs["verify"]
    assert name in json.loads((run / DIGESTS).read_text())
    content = (run / name).read_bytes()
    edits = {"classes.json": (b"Brisko", b"Briskp"), "run.json": (b'"mirror": true', b'"mirror": null'), "scores.json": (b"0.", b"1.")}  # fmt: skip
    if name in edits:
        (run / name).write_bytes(content.replace(*edits[name], 1))
    else:
        flip(run / name, len(content) // 2)
    with pytest.raises(KcarsError, match=f"{name}: .*(has changed since it was written|damaged).*;"):
        of_run(Run.open(run))


def test_an_older_run_and_edited_settings_are_read(runs):
    run = runs["classify"]
    (run / DIGESTS).unlink()
    facts = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(facts))
    of_run(Run.open(run))
    Run(run).note(more=1)
    assert list(json.loads((run / DIGESTS).read_text())) == ["run.json", DIGESTS]
    with (run / "settings.yaml").open("a") as file:
        file.write("# mine\n")
    assert Run.open(run).settings_file() == Run.open(run).strategy()


class _KilledError(BaseException):
    pass


@pytest.mark.parametrize("recorded", [True, False])
def test_killed_before_any_file_call_the_file_is_accepted(tmp_path, monkeypatch, recorded):
    calls, limit, real = 0, 0, os.replace

    def replace(*arguments):
        nonlocal calls
        calls += 1
        if calls > limit:
            raise _KilledError
        real(*arguments)

    monkeypatch.setattr(os, "replace", replace)
    for limit in range(4):  # noqa: B007  (`replace` reads it)
        files, calls = RunFolder(tmp_path / str(limit)), -10
        files.path.mkdir()
        files.write_text("scores.json", "1")
        if not recorded:
            (files.path / DIGESTS).unlink()
        calls = 0
        try:
            files.write_text("scores.json", "2")
        except _KilledError:
            assert limit < 3
        else:
            assert limit == 3
        assert files.read_text("scores.json") == ("1" if limit < 2 else "2")
        calls = -10
        files.write_text("scores.json", "3")
        assert json.loads((files.path / DIGESTS).read_text())["scores.json"] == [sha256(files.path / "scores.json")]
        (files.path / "scores.json").write_text("4")
        with pytest.raises(KcarsError, match="scores.json: has changed since it was written"):
            files.read_text("scores.json")


def test_readers_beside_a_writer_see_no_change(tmp_path, monkeypatch):
    """Read, and only then is file and digest replaced: the reader looks again."""
    files = RunFolder(tmp_path)
    files.write_text("scores.json", "1")
    real = run_folder.read_bytes

    def read(path, *more):
        content = real(path, *more)
        if path.name == "scores.json" and content == b"1":
            files.write_text("scores.json", "2")
        return content

    monkeypatch.setattr(run_folder, "read_bytes", read)
    assert files.read_text("scores.json") == "2"


def test_weights_that_are_not_finite_answer_nothing(runs):
    import h5py

    run = runs["classify"]
    with h5py.File(run / "best.weights.h5", "r+") as file:
        found = []
        file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
        file[found[0]][...] = np.nan
    (run / DIGESTS).unlink()
    told = kcars("predict", run / "thumbnails", "--model", run, code=2)
    assert "best.weights.h5" in told and "not finite" in told


@pytest.mark.parametrize(
    "decision", [{"temperature": 0}, {"temperature": -1}, {"temperature": None}, {"temperature": "1"}]
)
def test_a_temperature_of_0_answers_nothing(runs, decision):
    run = runs["classify"]
    scores = json.loads((run / "scores.json").read_text())
    (run / "scores.json").write_text(json.dumps(scores | {"decision": scores["decision"] | decision}))
    (run / DIGESTS).unlink()
    with pytest.raises(KcarsError, match="temperature is (missing or damaged|undefined)"):
        of_run(Run.open(run))


def test_a_threshold_of_nan_answers_nothing(runs):
    run = runs["verify"]
    text = (run / "scores.json").read_text()
    threshold = json.loads(text)["decision"]["threshold"]
    (run / DIGESTS).unlink()
    for value in ("NaN", "null", "Infinity"):
        (run / "scores.json").write_text(text.replace(f'"threshold": {threshold}', f'"threshold": {value}'))
        with pytest.raises(KcarsError, match="NaN|Infinity|threshold is undefined"):
            of_run(Run.open(run))


# ---- edits ----


@pytest.mark.parametrize("name", ["run.json", "scores.json", "classes.json"])
@pytest.mark.parametrize("task", TASKS)
def test_no_edit_of_a_json_file_ends_in_a_traceback(runs, tmp_path, name, task):
    run, chance, refused = runs[task], random.Random(f"{name} {task}"), 0
    (run / DIGESTS).unlink()
    text = (run / name).read_text()
    for number in range(60):
        (run / name).write_text(edited(text, chance))
        for read in readers(run, tmp_path / "page.html", page=number % 20 == 0):
            try:
                read()
            except KcarsError as error:
                assert len(str(error).splitlines()) == 1
                refused += 1
    assert refused > 30


@pytest.mark.parametrize("task", TASKS)
def test_no_edit_of_a_table_ends_in_a_traceback(runs, tmp_path, task):
    run, chance, refused = runs[task], random.Random(task), 0
    (run / DIGESTS).unlink()
    without(run, "tables")
    for file in sorted(run.glob("*.csv")):
        text = file.read_text()
        for number in range(8):
            file.write_text(edited_table(text, chance))
            for read in readers(run, tmp_path / "page.html", page=number % 2 == 0)[2:]:
                try:
                    read()
                except KcarsError as error:
                    assert len(str(error).splitlines()) == 1
                    refused += 1
        file.write_text(text)
    assert refused > 10


def without(run: Path, key: str) -> None:
    """scores.json as an earlier kcars wrote it, which did not record this."""
    scores = json.loads((run / "scores.json").read_text())
    del scores[key]
    (run / "scores.json").write_text(json.dumps(scores))


@pytest.mark.parametrize(("task", "table"), [("classify", "photos.csv"), ("verify", "pairs.csv")])
def test_tables_of_a_scoring_that_was_stopped_are_in_no_report_beside_earlier_scores(runs, tmp_path, task, table):
    run = runs[task]
    lines = (run / table).read_text().splitlines(keepends=True)
    (run / table).write_text("".join(lines[:-1]))
    told = kcars("report", run, "--out", tmp_path / "page.html", code=2)
    assert f"{table}: has changed since the run was scored, or a new scoring was stopped; kcars evaluate {run}" in told
    assert not list(tmp_path.glob("page*"))
    kcars("evaluate", run)
    kcars("report", run, "--out", tmp_path / "page.html")


def test_a_change_of_the_digests_is_blamed_on_no_other_file(runs):
    run = runs["classify"]
    recorded = json.loads((run / DIGESTS).read_text())
    recorded["best.weights.h5"] = ["0" * 64]
    (run / DIGESTS).write_text(json.dumps(recorded))
    with pytest.raises(KcarsError, match=r"digests\.json: has changed since it was written; restore it, or delete it"):
        of_run(Run.open(run))


def remembered(step: int, rows: int, **more) -> State:
    """A state of 5 steps an epoch."""
    facts = {name: {"step": step} for name in ("SaveState", "Progress")}
    facts["History"] = {"step": step, "rows": [{"epoch": number + 1} for number in range(rows)], "elapsed": 0.0}
    facts["KeepBest"] = {"best": float("-inf") if not rows else 0.5, "best_epoch": rows and 1, "epochs": rows}
    return State(step, {**facts, **more}, {})


def test_states_that_training_comes_to_fit():
    for step, rows in ((0, 0), (4, 0), (5, 1), (7, 1), (20, 4), (7, 2)):
        refuse_misfit(remembered(step, rows), ["SaveState", "Progress", "History", "KeepBest"], 5, 4)


@pytest.mark.parametrize(
    "found",
    [
        remembered(21, 4),
        remembered(5, 3),
        remembered(15, 1),
        remembered(5, 1, SaveState={"step": 4}),
        remembered(5, 1, SaveState={"step": -5}),
        remembered(5, 1, SaveState={"step": 5.0}),
        remembered(5, 1, SaveState={"step": True}),
        remembered(5, 1, History={"step": 5, "rows": [{"epoch": 3}], "elapsed": 0.0}),
        remembered(5, 1, History={"step": 5, "rows": ["x"], "elapsed": 0.0}),
        remembered(5, 1, KeepBest={"best": 0.1, "best_epoch": 2, "epochs": 1}),
        remembered(5, 1, KeepBest={"best": 0.1, "best_epoch": 1, "epochs": 9}),
        remembered(5, 1, KeepBest=[]),
        State(5, {}, {}),
    ],
)
def test_states_that_no_training_comes_to_are_refused(found):
    with pytest.raises(ValueError, match=r"\w"):
        refuse_misfit(found, ["SaveState", "Progress", "History", "KeepBest"], 5, 4)


TABLE = {"BalancedMetrics": {"rows": [[1, 0.5, float("nan")]]}}


def test_rows_of_tables_that_training_comes_to_fit():
    refuse_misfit(remembered(5, 1, **TABLE), ["BalancedMetrics"], 5, 4, {"BalancedMetrics": 3})


@pytest.mark.parametrize(
    "row", [[1, 0.5], [1, 0.5, 0.5, 0.5], [0, 0.5, 0.5], [5, 0.5, 0.5], ["x", 0.5, 0.5], [1.0, 0.5, 0.5]]
)
def test_rows_of_another_table_are_refused(row):
    """They ended in a traceback when the table was written, after the scores were gone."""
    found = remembered(5, 1, BalancedMetrics={"rows": [*TABLE["BalancedMetrics"]["rows"], row]})
    with pytest.raises(ValueError, match="BalancedMetrics has a row (of|without)"):
        refuse_misfit(found, ["BalancedMetrics"], 5, 4, {"BalancedMetrics": 3})


def test_callbacks_tell_how_many_cells_their_rows_have():
    from kcars.objectives.confusion import BalancedMetrics
    from kcars.training.tensorboard.pictures import Curves

    found = SaveState(None, [BalancedMetrics(print, 7), Curves(None, print, None)], Path("run"), "", 5, 1.0, None)
    assert found.tables() == {"BalancedMetrics": 8, "Curves": 2 + len(FALSE_POSITIVE_RATES)}


@pytest.mark.parametrize("facts", [
    {"History": {"step": 5, "rows": [{"epoch": 1, "loss": 1e308}], "elapsed": 0.0}},
    {"KeepBest": {"best": float("nan"), "best_epoch": 1, "epochs": 1}},
])  # fmt: skip
def test_numbers_that_are_none_for_training_are_refused(facts):
    with pytest.raises(ValueError, match="is missing or damaged"):
        refuse_misfit(remembered(5, 1, **facts), ["History", "KeepBest"], 5, 4)


def test_an_array_that_float32_does_not_hold_is_not_gone_on_from(tmp_path):
    state_file.write(tmp_path, State(5, {"identity": "mine"}, {"model/0": np.array([1e300])}))
    with pytest.raises(NoWayOn, match="model/0 is not finite"):
        state_file.read(tmp_path, pytest.fail, "mine")


@pytest.mark.parametrize("step", [-1, 3.5, "7", True, None, 10**30])
def test_an_impossible_step_is_not_gone_on_from(tmp_path, step):
    state_file.write(tmp_path, State(step, {"identity": "mine"}, {}))

    def fits(found):
        refuse_misfit(found, [], 5, 4)

    with pytest.raises(NoWayOn, match="state.npz: cannot be used.*train again"):
        state_file.read(tmp_path, pytest.fail, "mine", fits)


def test_every_callback_that_remembers_has_a_schema():
    from kcars.objectives import confusion
    from kcars.training.callbacks import average, basic, checkpoint, history, save_state
    from kcars.training.tensorboard import pictures

    modules = (average, confusion, basic, history, checkpoint, pictures, save_state)
    found = {
        getattr(one, "name_in_state", name)
        for module in modules
        for name, one in vars(module).items()
        if "restore" in getattr(one, "__dict__", {})
    }
    assert found - {"Counting"} <= set(CALLBACKS)


def edit_state(run: Path, change) -> None:
    """Change the facts of both generations."""
    for name in ("state.npz", "state.previous.npz"):
        found = state_file._read(run / name)
        facts = {"format": 1, "step": found.step, **found.facts}
        change(facts)
        step = facts.pop("step")
        facts.pop("format")
        (run / name).unlink()
        (run / "other").mkdir()
        state_file.write(run / "other", State(step, facts, found.arrays))
        (run / "other/state.npz").rename(run / name)
        (run / "other").rmdir()


def test_a_state_beyond_the_plan_loses_no_scores(runs):
    run = runs["classify"]
    edit_state(run, lambda facts: facts.update(step=10_000))
    before = (run / "scores.json").read_bytes(), (run / "best.weights.h5").read_bytes()
    told = kcars("train", "--resume", run, code=2)
    assert "state.npz: cannot be used (is at step 10000, beyond the" in told
    assert ((run / "scores.json").read_bytes(), (run / "best.weights.h5").read_bytes()) == before


def test_what_is_recorded_is_what_answers_depend_on(runs):
    for run in runs.values():
        held = {name for name in REMEDIES if (run / name).exists()}
        assert set(json.loads((run / DIGESTS).read_text())) == held | {DIGESTS}


def test_a_lock_of_another_process_still_holds(tmp_path):
    with FileLock(tmp_path / ".lock"), pytest.raises(KcarsError, match="another process"), Run.locked(tmp_path):
        pass

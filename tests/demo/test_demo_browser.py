"""The page in a headless Chromium, by clicks: photos are given, answers read from the page."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.browser import QUIET, binary
from support.commands import kcars
from support.paths import SHALLOW_PROGRAM

from kcars.demo.shown import percent

if find_spec("gradio") is None:  # Not imported here: workers that run no test of this file would wait for it too.
    pytest.skip("needs gradio", allow_module_level=True)
webdriver = pytest.importorskip("selenium.webdriver")
from selenium.common.exceptions import StaleElementReferenceException  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(binary() is None or DRIVER is None, reason="no Chromium with its driver is installed"),
    pytest.mark.timeout(1800),  # The first test's waits for two runs to be trained, too.
]
PATIENCE_S = 240  # For a condition; the machine may be busy with much else.
OPTIONS = (
    "--headless=new",
    *QUIET,
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--window-size=1280,1000",
)


class Page:
    """The page at an address, as one visitor sees it."""

    def __init__(self, driver, address: str):
        self.driver, self.address = driver, address
        driver.get(address)
        self.wait(lambda: self.all("[role=tab]"))

    def all(self, css: str) -> list:
        """What is seen of a selector's elements."""
        return [one for one in self.driver.find_elements(By.CSS_SELECTOR, css) if one.is_displayed()]

    def wait(self, condition):
        """The condition's value once it is true."""
        gone = [StaleElementReferenceException]  # The page was drawn anew meanwhile.
        return WebDriverWait(self.driver, PATIENCE_S, 0.3, gone).until(lambda _: condition())

    def tab(self, name: str) -> None:
        self.wait(lambda: [one for one in self.all("[role=tab]") if one.text == name])[0].click()

    def send(self, where: str, file: Path) -> None:
        """Choose a file in the dialogue of an input."""
        chooser = self.wait(lambda: self.driver.find_elements(By.CSS_SELECTOR, f"{where} input[type=file]"))
        chooser[0].send_keys(str(file))

    def give(self, where: str, file: Path) -> None:
        """Send a photo that the page then shows."""
        self.send(where, file)
        self.wait(lambda: self.all(f"{where} img"))

    def click(self, css: str) -> None:
        """On the first of a selector's elements that is seen."""
        self.wait(lambda: self.all(css))[0].click()

    def answer(self, where: str, kind: str):
        """An answer of a kind, once it stands there and none is being worked on."""
        return self.wait(lambda: not self.all(".pending, .generating") and self.all(f"{where} .kc-{kind}"))[0]

    def texts(self, css: str) -> list[str]:
        return [plain(one.text) for one in self.all(css)]

    def ask(self, script: str):
        return self.driver.execute_script(f"return {script}")


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


@contextmanager
def serving(log: Path, *arguments):
    """The address of the command's page, while it runs; then what it wrote, and how it ended, are looked at."""
    command = [sys.executable, SHALLOW_PROGRAM, "-m", "kcars.cli", "demo", *map(str, arguments), "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "TMPDIR": str(log.parent)}
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
    try:
        first = process.stdout.readline()
        assert (found := re.search(r"http://127\.0\.0\.1:\d+", first)), first + log.read_text()
        yield found[0]
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130
    assert "Traceback" not in log.read_text()
    assert not list(log.parent.glob("kcars-demo-*/*/")), "photos that were sent are left"


@pytest.fixture(scope="module")
def index(cars_index):
    return cars_index


@pytest.fixture(scope="module")
def address(small_runs, index, tmp_path_factory):
    log = tmp_path_factory.mktemp("served") / "log"
    with serving(log, small_runs["classify"], small_runs["verify"], "--index", index) as address:
        yield address


@pytest.fixture
def driver(tmp_path):
    options = webdriver.ChromeOptions()
    options.binary_location = binary()
    for option in (*OPTIONS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(driver, address):
    return Page(driver, address)


@pytest.fixture(scope="module")
def photos(drawn):
    return sorted((drawn / "image").rglob("*.jpg"))


def told(*arguments) -> dict:
    output = kcars(*arguments, "--json")
    return json.loads(next(line for line in output.splitlines() if line.startswith("{")))


def test_a_photo_is_named_with_bars_and_map(page, photos, small_runs):
    page.give("#name-photo", photos[0])
    page.answer("#name-answer", "named")
    wanted = told("predict", photos[0], "--model", small_runs["classify"])["names"]
    assert page.texts("#name-answer .kc-verdict") == [wanted[0]["name"]]
    assert page.texts("#name-answer .kc-name") == [one["name"] for one in wanted]
    shares = [plain(percent(one["probability"])) for one in wanted]
    assert page.texts("#name-answer .kc-share") == shares
    bar = page.all("#name-answer .kc-bar")[0]
    filled = bar.find_element(By.CSS_SELECTOR, "span").size["width"]
    assert filled == pytest.approx(wanted[0]["probability"] * bar.size["width"], abs=2)
    assert page.ask("document.querySelector('#name-answer .kc-maps img').naturalWidth") > 100


def test_two_photos_are_compared_with_what_matched(page, photos, small_runs):
    page.tab("Compare")
    page.give("#left-photo", photos[0])
    page.give("#right-photo", photos[-1])
    page.answer("#compare-answer", "compared")
    wanted = told("compare", photos[0], photos[-1], "--model", small_runs["verify"])
    assert page.texts("#compare-answer .kc-verdict") == ["Same model" if wanted["same"] else "Different models"]
    assert page.texts("#compare-answer .kc-distance") == [f"{wanted['distance']:.3f}"]
    assert page.texts("#compare-answer .kc-threshold") == [f"{wanted['threshold']:.3f}"]
    assert len(page.all("#compare-answer .kc-maps img")) == 2


def test_a_gallery_is_searched(page, photos, index):
    page.tab("Search")
    page.give("#search-photo", photos[0])
    page.answer("#search-answer", "found")
    wanted = told("index", "search", index, photos[0], "-k", 8)["nearest"]
    assert page.texts("#search-answer .kc-matches .kc-name") == [one["name"] for one in wanted]
    assert len(page.all("#search-answer .kc-matches img")) == 8
    first = page.texts("#search-answer .kc-matches small")[0]
    assert first.startswith(f"distance {wanted[0]['distance']:.3f}")


def test_drawn_cars_are_there_to_try(page):
    page.click(".gallery-item")
    page.answer("#name-answer", "named")
    page.tab("Compare")
    page.click("tr.tr-body")
    page.answer("#compare-answer", "compared")


def test_a_photo_may_be_pasted(page, photos):
    page.driver.execute_cdp_cmd(
        "Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    )
    copied = page.driver.execute_async_script(
        """const done = arguments[0], canvas = document.createElement('canvas');
        canvas.width = 120; canvas.height = 80;
        canvas.getContext('2d').fillRect(20, 20, 60, 40);
        canvas.toBlob(blob => navigator.clipboard.write([new ClipboardItem({'image/png': blob})]).then(() => done(''), done));"""
    )
    assert not copied
    page.click("#name-photo button[aria-label='Paste from clipboard']")
    page.answer("#name-answer", "named")


def test_a_photo_may_be_taken(page):
    page.click("#name-photo button[aria-label='Capture from camera']")
    page.click("#name-photo [title='grant webcam access'], #name-photo video")
    page.click("#name-photo button[aria-label='capture photo']")
    page.answer("#name-answer", "named")


@pytest.mark.parametrize(
    ("tab", "photo", "answer"),
    [("Name a car", "name-photo", "name-answer"), ("Search", "search-photo", "search-answer")],
)
def test_a_broken_file_is_told_in_the_page(page, tmp_path, tab, photo, answer):
    page.tab(tab)
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no photo")
    page.send(f"#{photo}", tmp_path / "broken.jpg")
    assert "This file is not a photo" in page.answer(f"#{answer}", "fault").text


def test_a_broken_second_photo_is_told_and_a_good_one_mends_it(page, photos, tmp_path):
    page.tab("Compare")
    page.give("#left-photo", photos[0])
    (tmp_path / "cut.jpg").write_bytes(photos[1].read_bytes()[:1500])
    page.send("#right-photo", tmp_path / "cut.jpg")
    assert "ends too early" in page.answer("#compare-answer", "fault").text
    page.click("#right-photo button[aria-label='Remove Image']")
    page.answer("#compare-answer", "hint")
    page.give("#right-photo", photos[1])
    page.answer("#compare-answer", "compared")


@pytest.mark.parametrize(
    ("name", "what"), [("large.png", "exceed the maximum allowed size of 20"), ("letter.txt", "Only image/* allowed")]
)
def test_what_may_not_be_sent_is_told(page, tmp_path, name, what):
    (tmp_path / name).write_bytes(b"x" * (21 * 2**20 if name == "large.png" else 5))
    page.send("#name-photo", tmp_path / name)
    page.wait(lambda: what in " ".join(one.text for one in page.all(".toast-wrap")))


def test_nothing_is_asked_of_another_machine(page, photos):
    page.give("#name-photo", photos[0])
    page.answer("#name-answer", "named")
    events = [json.loads(entry["message"])["message"] for entry in page.driver.get_log("performance")]
    asked = [one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"]
    assert len(asked) > 5
    assert [url for url in asked if not url.startswith((page.address, "data:", "blob:", "chrome:", "devtools:"))] == []
    answers = [one["params"]["response"] for one in events if one["method"] == "Network.responseReceived"]
    main = next(one for one in answers if one["url"].rstrip("/") == page.address)
    assert "default-src 'self'" in main["headers"]["content-security-policy"]
    assert [one["message"] for one in page.driver.get_log("browser") if one["level"] == "SEVERE"] == []


@pytest.mark.parametrize("width", [420, 1280])
def test_nothing_is_clipped(page, photos, width):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    for tab, photo, answer, kind in (
        ("Name a car", "name-photo", "name-answer", "named"),
        ("Search", "search-photo", "search-answer", "found"),
    ):
        page.tab(tab)
        page.give(f"#{photo}", photos[0])
        page.answer(f"#{answer}", kind)
        right = "Math.max(...[...document.querySelectorAll('main, .kc-answer *, [role=tab]')].map(one => one.getBoundingClientRect().right))"
        assert page.ask(right) <= width
        assert page.ask("document.documentElement.scrollWidth") <= width


def test_a_tab_without_a_run_says_how_to_fill_it_and_an_export_why_it_has_no_map(driver, exports, photos, tmp_path):
    (tmp_path / "served").mkdir()
    with serving(tmp_path / "served/log", exports["classify"]) as address:
        page = Page(driver, address)
        page.give("#name-photo", photos[0])
        assert "no heat maps" in page.answer("#name-answer", "named").text
        assert not page.all("#name-answer img")
        for tab, where, what in (("Compare", "compare", "kcars demo RUN"), ("Search", "search", "--index INDEX")):
            page.tab(tab)
            assert what in page.wait(lambda where=where: page.all(f"#{where}-missing"))[0].text

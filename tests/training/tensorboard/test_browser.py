"""TensorBoard in a headless Chromium: its tabs show what a run has written."""

import re
import shutil
import subprocess
import sys

import pytest
from support import devtools
from support.browser import binary

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(binary() is None, reason="no Chromium is installed"),
]

# Every element of the page, those in shadow roots and frames too.
ELEMENTS = """(function all(root) {
    const found = [];
    for (const element of root.querySelectorAll('*')) {
        found.push(element);
        const below = element.shadowRoot || (element.tagName == 'IFRAME' && element.contentDocument);
        if (below) found.push(...all(below));
    }
    return found;
})(document)"""
PICTURES = f"{ELEMENTS}.filter(one => one.tagName == 'IMG' && one.src.includes('individualImage') && one.naturalWidth)"
FRAMES = f"{ELEMENTS}.filter(one => one.tagName == 'IFRAME').map(one => one.contentWindow)"
WORDS = f"{ELEMENTS}.map(one => one.innerText || '').join(' ')"


@pytest.fixture(scope="module")
def run(small_runs, tmp_path_factory):
    return shutil.copytree(small_runs["verify"], tmp_path_factory.mktemp("runs") / "mine")


@pytest.fixture(scope="module")
def address(run):
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", run.parent, "--port", "0", "--host", "127.0.0.1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield next(found[0] for line in process.stderr if (found := re.search(r"http://127\S+", line)))
        finally:
            process.terminate()


@pytest.fixture
def page(tmp_path):
    with devtools.Browser(tmp_path) as page:
        yield page


def test_images_show_curves_distances_and_examples(address, page):
    page.open(f"{address}#images")
    page.wait_for(f"{PICTURES}.length >= 3")
    assert page.ask(f"{PICTURES}.every(one => one.naturalWidth > 300 && one.naturalHeight > 300)")
    words = page.ask(WORDS)
    for tag in ("training/photos after augmentation", "validation/ROC curves", "validation/distances of pairs"):
        assert tag in words


def test_scalars_stand_in_groups_under_the_runs_name(address, page):
    page.open(f"{address}#scalars")
    page.wait_for(f"{WORDS}.includes('training/loss')")
    assert "mine/tensorboard" in page.ask(WORDS)


def test_text_tells_settings_and_data(address, page):
    page.open(f"{address}#text")
    page.wait_for(f"{WORDS}.includes('fingerprint') && {WORDS}.includes('backbone')")


def test_the_projector_finds_vectors_names_and_sprite(run, address, page):
    photos = len((run / "tensorboard/projector/photos.tsv").read_text().splitlines()) - 1
    page.open(f"{address}#projector")
    page.wait_for(f"{WORDS}.includes('validation photos, epoch')")
    page.wait_for(f"/Points: *{photos}/.test({WORDS})")
    asked = f"{FRAMES}.flatMap(one => one.performance.getEntriesByType('resource').map(one => one.name))"
    page.wait_for(f"{asked}.some(one => one.includes('sprite_image?'))")

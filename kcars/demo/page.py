"""The Gradio page: three tabs with photo inputs and predictions."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path

import gradio as gr

from kcars.core.errors import KcarsError
from kcars.core.limits import limits
from kcars.core.plain_text import tell_error
from kcars.demo import answers, shown
from kcars.demo.examples import Examples
from kcars.demo.folder import Folder
from kcars.demo.models import Model, Models
from kcars.demo.uploads import KNOWN, photo_in

TITLE = "kcars: vehicle recognition"
MISSING = {
    "name": "There is no model that names cars: start the page with a classification run, kcars demo RUN.",
    "compare": "There is no model that compares photos: start the page with a verification run, kcars demo RUN.",
    "search": "There is no index to search: build one with kcars index build, and start the page with --index INDEX.",
}
FAILED = "An error occurred on the server; see its terminal."
GIVE_ONE, GIVE_TWO = "Add a photo to see the prediction here.", "Add two photos to see the prediction here."
FEWEST, MOST, USUAL = 4, 24, 8  # Number of photos in search results.


def build(models: Models, examples: Examples, folder: Folder) -> gr.Blocks:
    """Build the page for these models, with photos in the folder and examples below the inputs."""
    filled = {"name": models.classify, "compare": models.verify, "search": models.gallery}
    first = next((name for name, part in filled.items() if part), "name")
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        gr.HTML(
            "<h1>kcars</h1><p>Vehicle recognition: add a photo, or choose a drawn car.</p>", elem_classes="kc-title"
        )
        with gr.Tabs(selected=first):
            with gr.Tab("Name a car", id="name"):
                _name_tab(models.classify, examples, folder) if models.classify else _missing("name")
            with gr.Tab("Compare", id="compare"):
                _compare_tab(models.verify, examples, folder) if models.verify else _missing("compare")
            with gr.Tab("Search", id="search"):
                _search_tab(models, examples, folder) if models.gallery else _missing("search")
        gr.HTML(_limits(), elem_classes="kc-limits")
    page.has_launched = True  # Gradio checks paths only after launch, and a mounted page is never launched.
    return page


def _name_tab(model: Model, examples: Examples, folder: Folder) -> None:
    gr.HTML(shown.about(model))
    with gr.Row():
        with gr.Column():
            photo = _photo("A photo of a car", "name-photo")
            names = ", ".join(name for name, _ in examples.single)
            gr.Examples([str(file) for _, file in examples.single], photo, label=f"Drawn cars to try: {names}")
        with gr.Column():
            answer = gr.HTML(shown.hint(GIVE_ONE), elem_id="name-answer")

    @_with_messages(GIVE_ONE)
    def name(path):
        return shown.named(answers.named(model, photo_in(path, folder.root)), model)

    _ask(name, [photo], [photo], answer)


def _compare_tab(model: Model, examples: Examples, folder: Folder) -> None:
    gr.HTML(shown.about(model))
    with gr.Row():
        with gr.Column():
            with gr.Row():
                left, right = _photo("First photo", "left-photo"), _photo("Second photo", "right-photo")
            names = ", ".join(description for description, _, _ in examples.pairs)
            pairs = [[str(one), str(other)] for _, one, other in examples.pairs]
            with gr.Column(elem_classes="kc-pairs"):
                gr.Examples(pairs, [left, right], label=f"Drawn cars to try: {names}")
        with gr.Column():
            answer = gr.HTML(shown.hint(GIVE_TWO), elem_id="compare-answer")

    @_with_messages(GIVE_TWO)
    def compare(one, other):
        return shown.compared(answers.compared(model, photo_in(one, folder.root), photo_in(other, folder.root)), model)

    _ask(compare, [left, right], [left, right], answer)


def _search_tab(models: Models, examples: Examples, folder: Folder) -> None:
    model, gallery = models.verify, models.gallery
    assert model and gallery  # An index loads its model.
    gr.HTML(shown.about(model))
    with gr.Row():
        with gr.Column(scale=2):
            photo = _photo("A photo of a car", "search-photo")
            count = gr.Slider(FEWEST, MOST, USUAL, step=FEWEST, label="Number of photos", elem_id="search-count")
            names = ", ".join(name for name, _ in examples.single)
            gr.Examples([str(file) for _, file in examples.single], photo, label=f"Drawn cars to try: {names}")
        with gr.Column(scale=3):
            give = f"Add a photo to see the nearest of {len(gallery.photos)} photos here."
            answer = gr.HTML(shown.hint(give), elem_id="search-answer")

    @_with_messages(give)
    def search(path, wanted):
        return shown.found(answers.found(models, photo_in(path, folder.root), round(wanted)), model)

    _ask(search, [photo, count], [photo, count], answer)


def _missing(tab: str) -> None:
    gr.HTML(shown.hint(MISSING[tab]), elem_id=f"{tab}-missing")


def _photo(label: str, name: str) -> gr.Image:
    """Return an image input that passes the path of the uploaded file: kcars reads it and reports errors."""
    photo = gr.Image(
        label=label,
        elem_id=name,
        type="filepath",
        sources=["upload", "clipboard", "webcam"],
        webcam_options=gr.WebcamOptions(mirror=False),
        height=280,
        buttons=[],
    )
    # Not a subclass, for which Gradio would write a .pyi file next to this one.
    photo.preprocess = lambda payload: payload and payload.path
    return photo


def _ask(answer: Callable, changing: list, inputs: list, output: gr.HTML) -> None:
    """Predict whenever an input changes, without a button. The guard queues the requests."""
    gr.on(
        [one.change for one in changing],
        answer,
        inputs,
        output,
        queue=False,
        trigger_mode="always_last",
        show_progress="minimal",
        api_visibility="private",
    )


def _with_messages(give: str) -> Callable:
    """Decorate a function to show `give` while a photo is missing, and errors as messages; it never raises."""

    def decorate(answer: Callable) -> Callable:
        @wraps(answer)
        def with_messages(*inputs):
            if any(one is None for one in inputs):
                return shown.hint(give)
            try:
                return answer(*inputs)
            except KcarsError as error:
                return shown.fault(str(error))
            except Exception as error:  # noqa: BLE001  The page must continue after any error.
                tell_error(error)
                return shown.fault(FAILED)

        return with_messages

    return decorate


def _limits() -> str:
    return shown.hint(
        f"{KNOWN}: up to {limits().upload_mib} MB and {limits().upload_megapixels} million pixels. "
        f"Photos stay on this page's server, and are deleted after {limits().upload_minutes} minutes, or when it stops."
    )


CSS = (Path(__file__).parent / "assets/demo.css").read_text(encoding="utf-8")

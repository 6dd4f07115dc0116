"""Texts of each task: names of outputs, headings, messages. Imports no heavy modules."""

from dataclasses import dataclass

from kcars.core.errors import one_of


@dataclass(frozen=True)
class TaskTexts:
    """The texts of one task.

    of_pairs: whether scores are on pairs of photos, by difficulty, of unseen models; output: name of the network's output in
    exports; answer: name of an export's prediction; decision: required keys of the decision in scores.json; photos: number of
    photos per prediction; boxes: options for their boxes; several: message for a wrong number of photos; command: an example;
    fitted: heading of the parts fitted after training; unseen: part of the title of scores; history: title of the chart of
    validation scores; parted: unit that is split between training and test; panel: title of a figure's panel, formatted with
    `target` and `split`.
    """

    of_pairs: bool
    output: str
    answer: str
    decision: tuple[str, ...]
    photos: int
    boxes: str
    several: str
    command: str
    fitted: str
    unseen: str
    history: str
    parted: str
    panel: str

    def split(self, difficulty: str) -> str:
        """Return the test split for a difficulty: its pairs, or "test"."""
        return difficulty if self.of_pairs else "test"


TEXTS = {
    "classify": TaskTexts(
        of_pairs=False,
        output="logits",
        answer="probabilities",
        decision=("temperature",),
        photos=1,
        boxes="--box",
        several="is a classifier; give one photo to explain",
        command="kcars predict PHOTO --model .",
        fitted="adjust",
        unseen="",
        history="Balanced accuracy of held-out photos",
        parted="photos",
        panel="{target}s",
    ),
    "verify": TaskTexts(
        of_pairs=True,
        output="embedding",
        answer="embedding",
        decision=("threshold", "scale", "offset"),
        photos=2,
        boxes="--left-box, --right-box",
        several="is a verifier; give two photos to explain",
        command="kcars compare PHOTO PHOTO --model .",
        fitted="metric",
        unseen="unseen models, ",
        history="ROC-AUC of held-out pairs",
        parted="models, each whole,",
        panel="same {target}? {split} pairs",
    ),
}


def task_texts(task: str) -> TaskTexts:
    """Return the texts of a task; KcarsError for an unknown task."""
    if task not in TEXTS:
        raise one_of("task", task, TEXTS)
    return TEXTS[task]

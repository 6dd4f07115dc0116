"""What tells the tasks apart for people and files: names of outputs, headings, sentences. Imports nothing heavy."""

from dataclasses import dataclass

from kcars.core.errors import one_of


@dataclass(frozen=True)
class TaskTexts:
    """The texts of one task.

    of_pairs: whether it is scored on pairs of photos, by difficulty, of models that training never saw; output: what the
    network returns, as exports call it; answer: what pixels give in an export; decision: what scores.json must hold of the
    decision; photos: how many one question takes; boxes: the options that give their boxes; several: what a message says of
    another number; command: an example; fitted: heading of what was fitted after training; unseen: in the title of scores;
    history: title of the chart of validation scores; parted: what is split between training and test; panel: title of a
    figure's panel, of `target` and `split`.
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
        """The test split of a difficulty: its pairs, or the one test."""
        return difficulty if self.of_pairs else "test"


TEXTS = {
    "classify": TaskTexts(
        of_pairs=False,
        output="logits",
        answer="probabilities",
        decision=("temperature",),
        photos=1,
        boxes="--box",
        several="names photos: one explains its answer",
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
        several="compares photos: two explain its answer",
        command="kcars compare PHOTO PHOTO --model .",
        fitted="metric",
        unseen="unseen models, ",
        history="ROC-AUC of held-out pairs",
        parted="models, each whole,",
        panel="same {target}? {split} pairs",
    ),
}


def task_texts(task: str) -> TaskTexts:
    """The texts of a task; KcarsError for a task that there is not."""
    if task not in TEXTS:
        raise one_of("task", task, TEXTS)
    return TEXTS[task]

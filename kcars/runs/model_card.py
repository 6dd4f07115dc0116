"""The model card: what a trained model tells of itself, to programs (JSON) and to people (Markdown)."""

from kcars.core.errors import KcarsError
from kcars.core.files import fingerprint
from kcars.posthoc.pipeline import Pipeline
from kcars.runs.fitted import pipeline_of
from kcars.runs.run import WEIGHTS, Run
from kcars.runs.score_files import file_of
from kcars.schemas import card_schema
from kcars.settings import Strategy
from kcars.tasks.texts import task_texts

FORMAT = 1
LIMITS = (
    "It knows the classes above and nothing else: whatever it is shown, it names one of them, or, at a chosen risk, "
    "`unknown`, which is measured on photos like those that it learned from.",
    "Scores hold for photos like those of its dataset: other cameras, countries and years of make will do worse.",
    "Probabilities are fitted on validation photos whose classes are as frequent as there; a pair's, where as many pairs are the same as not.",
)
CLIENT = (
    "Send whole JPEG files, of one or three colours (grey, YCbCr, RGB): an Exif turn is applied, as kcars applies it. Four colours, for "
    "printing, and other formats are refused, as other pixels would be read of them.",
    "Boxes are left, top, right, bottom in pixels of the upright photo, counted from 0, right and bottom just outside, and are clipped to it; "
    "-1, -1, -1, -1 is the whole photo. A box that holds no pixel of the photo, or is given in shares of it, is refused.",
    "`pixels` are (n, {size_px}, {size_px}, 3) uint8, RGB: {cut}shrunk by area averaging, stretched linearly, to a square "
    "whatever the shape. Scaling, and the mean over the mirror image and what else is looked at, happen inside.",
    "A batch with a photo that is no JPEG, ends too early, is damaged or has more than 100 million pixels is refused whole, and the "
    "message says which one, but where TensorFlow's decoder fails itself; the rest is to be sent again without it. An empty batch gives empty answers, but by LiteRT, which takes one photo or more.",
)


def of_run(run: Run) -> dict:
    """The card of a scored run; KcarsError where it is unscored, or was scored before scores became probabilities."""
    scores, strategy, facts, classes = run.scores(), run.strategy(), run.facts(), run.classes()
    decision = scores["decision"]
    if not {"temperature", "scale"} & set(decision) or "metric" not in scores or not scores.get("cost"):
        raise KcarsError(
            f"run {run.folder}: was scored by an earlier kcars; kcars evaluate {run.folder} scores it anew"
        )
    for name in task_texts(strategy.task).decision:
        if decision.get(name) is None:
            raise KcarsError(f"run {run.folder}: its {name} is undefined, without which it answers nothing; train anew")
    pipeline = pipeline_of(run)
    card = {
        "format": FORMAT,
        "model_fingerprint": _model_fingerprint(run),
        "task": strategy.task,
        "target": strategy.target,
        "classes": {"names": classes.full_names(), "makes": classes.makes, "ids": classes.ids.tolist()},
        "input": {
            "size_px": strategy.data.size_px,
            "crop": strategy.data.crop,
            "padding": strategy.data.padding,
            "learned_in_boxes": bool(facts["data"].get("training_photos_in_boxes", strategy.data.crop == "box")),
            **views_of(run),
            "unit": pipeline.gives_unit_vectors,
        },
        "embedding": _dimensions(strategy, pipeline) if task_texts(strategy.task).of_pairs else None,
        "metric": scores["metric"],
        "adjusted": scores.get("adjusted"),
        "decision": decision,
        **{name: scores.get(name) for name in ("protocol", "deciding", "best_epoch", "kept", "finished", "folds", "cost")},
        "scores": scores["scores"],
        "baselines": scores["baselines"],
        "data": {name: facts["data"].get(name) for name in ("fingerprint", "split", "training_photos", "validation_photos", "test_photos")},
        "strategy": facts["strategy"],
        "settings": facts["settings"],
        "weights": facts.get("weights"),
        "versions": facts["versions"],
        "machine": facts["machine"],
    }  # fmt: skip
    card_schema.check(card, f"run {run.folder}", f"kcars evaluate {run.folder} scores it anew")
    return card


def _model_fingerprint(run: Run) -> str | None:
    """Equal for what gives a photo the same numbers, in a run and in its exports; None where there are no weights."""
    if not run.files.has(WEIGHTS):
        return None
    scores, views = run.scores(), views_of(run)
    transform, head = pipeline_of(run).transform, file_of("head", scores)
    parts = [run.files.sha256(WEIGHTS), transform and transform.fingerprint()]
    parts += [run.files.sha256(head)] if scores.get("adjusted") and run.files.has(head) else []
    return fingerprint(parts, scores["metric"], views["mirror"], views["shift"])


def views_of(run: Run) -> dict:
    """mirror and shift (`evaluate`) that a run was scored with, which a stopped new scoring leaves as they were."""
    asked = run.strategy().evaluate
    return run.scores().get("views") or {"mirror": asked.mirror, "shift": asked.shift}


def _dimensions(strategy: Strategy, pipeline: Pipeline) -> int:
    """Numbers that a verifier gives of a photo."""
    return strategy.model.embedding if pipeline.transform is None else pipeline.transform.projection.shape[1]

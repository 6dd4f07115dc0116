"""The model card of a trained model, as JSON and Markdown."""

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
    "The model predicts only the classes above: for any photo it returns one of them, or, at a chosen risk, "
    "`unknown`. Its error rates are measured on photos similar to its training data.",
    "Scores apply to photos similar to its dataset; expect lower scores for other cameras, countries and model years.",
    "Probabilities are fitted on validation photos and assume their class frequencies; for pairs, as many same as different ones.",
)
CLIENT = (
    "Send whole JPEG files with one or three channels (grey, YCbCr, RGB); the Exif orientation is applied as in kcars. Four channels, for "
    "printing, and other formats are rejected, because they would decode to different pixels.",
    "Boxes are left, top, right, bottom in pixels of the upright photo, from 0, with right and bottom exclusive, and are clipped to it; "
    "-1, -1, -1, -1 is the whole photo. A box without a pixel of the photo, or with relative coordinates, is rejected.",
    "`pixels` are (n, {size_px}, {size_px}, 3) uint8, RGB: {cut}shrunk by area averaging, or enlarged linearly, to a square "
    "regardless of the aspect ratio. Scaling, and the mean over the mirror image and other views, are part of the model.",
    "A batch with a photo that is not a JPEG, is truncated, damaged or has more than 100 million pixels is rejected as a whole. The "
    "message names the photo, except if TensorFlow's decoder itself fails; send the others again without it. An empty batch returns an empty result, except with LiteRT, which requires at least one photo.",
)


def of_run(run: Run) -> dict:
    """Return the card of a scored run; KcarsError if it is unscored, or was scored by a version without probabilities."""
    scores, strategy, facts, classes = run.scores(), run.strategy(), run.facts(), run.classes()
    decision = scores["decision"]
    if not {"temperature", "scale"} & set(decision) or "metric" not in scores or not scores.get("cost"):
        raise KcarsError(
            f"run {run.folder}: was scored by an earlier kcars; kcars evaluate {run.folder} scores it again"
        )
    for name in task_texts(strategy.task).decision:
        if decision.get(name) is None:
            raise KcarsError(f"run {run.folder}: its {name} is undefined, so it cannot predict; train it again")
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
    card_schema.check(card, f"run {run.folder}", f"kcars evaluate {run.folder} scores it again")
    return card


def _model_fingerprint(run: Run) -> str | None:
    """Return a fingerprint, equal for models with equal outputs, such as a run and its exports; None without weights."""
    if not run.files.has(WEIGHTS):
        return None
    scores, views = run.scores(), views_of(run)
    transform, head = pipeline_of(run).transform, file_of("head", scores)
    parts = [run.files.sha256(WEIGHTS), transform and transform.fingerprint()]
    parts += [run.files.sha256(head)] if scores.get("adjusted") and run.files.has(head) else []
    return fingerprint(parts, scores["metric"], views["mirror"], views["shift"])


def views_of(run: Run) -> dict:
    """Return `evaluate.mirror` and `evaluate.shift` of the run's last finished scoring."""
    asked = run.strategy().evaluate
    return run.scores().get("views") or {"mirror": asked.mirror, "shift": asked.shift}


def _dimensions(strategy: Strategy, pipeline: Pipeline) -> int:
    """Return the dimension of a verifier's embedding."""
    return strategy.model.embedding if pipeline.transform is None else pipeline.transform.projection.shape[1]

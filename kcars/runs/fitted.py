"""Reads the post-hoc pipeline of a scored run from its files."""

from kcars.core.errors import KcarsError
from kcars.posthoc.adjusted_head import AdjustedHead
from kcars.posthoc.distance_transform import DistanceTransform
from kcars.posthoc.pipeline import Pipeline
from kcars.runs.run import Run
from kcars.runs.score_files import file_of
from kcars.tasks.texts import task_texts


def pipeline_of(run: Run) -> Pipeline:
    """Return the post-hoc pipeline of a scored run; KcarsError if it is unscored, or a file is missing, damaged or of another network."""
    scores, strategy = run.scores(), run.strategy()
    transform = DistanceTransform.chosen(scores.get("metric"), run.folder, name := file_of("metric", scores))
    if transform and len(transform.mean) != (wanted := strategy.model.embedding):
        raise KcarsError(
            f"{run.folder / name}: expects vectors of {len(transform.mean)} dimensions, but the run's have {wanted}; {run.files.remedy(name)}"
        )
    head = AdjustedHead.chosen(scores.get("adjusted"), run.folder, file_of("head", scores))
    unit = task_texts(strategy.task).of_pairs and strategy.model.head != "linear"
    return Pipeline(head, transform, unit, scores["decision"])

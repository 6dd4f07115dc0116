"""Output of `kcars strategies`: one line per strategy, with its size and the paper's scores."""

from kcars.evaluation.score_table import aligned
from kcars.paper.published import published
from kcars.settings.strategy import load_strategy, strategy_files

SHORT = {"accuracy": "acc.", "balanced_accuracy": "balanced", "roc_auc": "ROC-AUC"}


def listing() -> str:
    """Return the table of all shipped strategies."""
    known = published()
    rows = [["strategy", "task", "target", "backbone", "loss", "px", "parameters", "in the paper", "about"]]
    for name in strategy_files():
        strategy, paper = load_strategy(name), known[name]
        scores = ", ".join(f"{short} {paper.scores[key]:.3f}" for key, short in SHORT.items() if key in paper.scores)
        rows.append([
            name, strategy.task, strategy.target, strategy.model.backbone, strategy.loss.name,
            str(strategy.data.size_px), f"{paper.parameters_m:.1f} M", scores or "-", strategy.about,
        ])  # fmt: skip
    return "\n".join(aligned(rows, left={1, 2, 3, 4, 7, 8}))

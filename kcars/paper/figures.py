"""Draws the paper's Figures 2 to 8 from run files."""

from collections.abc import Iterable
from pathlib import Path

from kcars.core.files import writable_folder
from kcars.core.plain_text import echo
from kcars.paper import figures_pairs, figures_scores, figures_training
from kcars.paper.figures_runs import LeftOut
from kcars.paper.figures_style import in_style, write
from kcars.report.read import Reported

# Number in the paper -> (file name, function from runs to (end of the file name, figure)).
FIGURES = {
    2: ("class-distribution", figures_training.class_distribution),
    3: ("accuracy", figures_scores.accuracy_and_balanced),
    4: ("loss", figures_training.loss_curves),
    5: ("cross-entropy-focal", figures_scores.cross_entropy_and_focal),
    6: ("cost", figures_scores.cost_and_score),
    7: ("roc", figures_pairs.roc_curves),
    8: ("distances", figures_pairs.distance_histograms),
}


def draw_figures(runs: Iterable[Path], out: Path, report=echo) -> list[Path]:
    """Draw all figures for which the scored runs have data, as SVG, PDF and PNG in `out`; `report` gets the reasons for others.

    Raises KcarsError for a folder that is not a scored run.
    """
    reported = [Reported(folder) for folder in dict.fromkeys(map(Path, runs))]
    writable_folder(out, "--out")
    files = []
    for number, (name, figures) in FIGURES.items():
        try:
            with in_style():
                for end, figure in figures(reported):
                    files += write(figure, out / f"figure-{number}-{name}{end}")
        except LeftOut as reason:
            report(f"figure {number} is skipped: it {reason}")
    return files

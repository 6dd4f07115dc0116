"""An ablation study: variants of a strategy, each at the same budget of steps x multiply-adds, as one table.

    python tools/ablate.py tools/ablations/verify.yaml --data CompCars --out runs/ablate-verify --dry-run
    python tools/ablate.py tools/ablations/verify.yaml --data CompCars --out runs/ablate-verify --seeds 0,1,2

Each variant and seed is a run folder in --out, trained in a process of its own, with its output in a .log beside it. Ctrl-C or a
kill loses nothing: the same command goes on, and trains nothing that is done. A variant that fails is told, and the rest go
on. After each run the table is written anew, to table.md and table.csv in --out. `tools/ablation_study.py` says what may
stand in a study's file.
"""

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import ablation_runs
import ablation_study
import ablation_table
from ablation_plan import DRAWN, Planner, Trial

from kcars.core.errors import Interrupted, KcarsError, one_of
from kcars.core.files import writable_folder, write_text


def main(arguments: Sequence[str] | None = None) -> None:
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="a YAML file, such as tools/ablations/verify.yaml")
    parser.add_argument("--data", default=DRAWN, help="a dataset as `kcars train` takes it; drawn cars without")
    parser.add_argument("--out", type=Path, required=True, help="where the runs and the table lie")
    parser.add_argument("--photos", type=int, help="the budget, in the place of the study's `budget.photos`")
    parser.add_argument("--seeds", type=_seeds, default=[0], help="such as 0,1,2; sweeps choose with the first")
    parser.add_argument("--only", type=_names, default=[], help="these variants, by name, with commas between them")
    parser.add_argument("--table", type=Path, help="the Markdown table once more, in this file")
    parser.add_argument("--retry", action="store_true", help="try again what failed before")
    parser.add_argument(
        "--dry-run", action="store_true", help="print epochs, photos and cost of each variant; train nothing"
    )
    options = parser.parse_args(arguments)
    try:
        run(options, f"python tools/ablate.py {shlex.join(arguments)}")
    except KcarsError as error:
        print(f"ablate: {error}", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, Interrupted) as stop:
        print(f"ablate: {str(stop) or 'stopped'}", file=sys.stderr)
        sys.exit(128 + getattr(stop, "signal", 2))


def run(options: argparse.Namespace, command: str, tell: Callable = print) -> None:
    study = ablation_study.read(options.study, options.photos)
    for name in options.only:
        if name not in study.variants:
            raise one_of("--only", name, study.variants)
    writable_folder(options.out, "--out")
    planner = Planner(study, options.data, options.out)
    for trial in every(
        planner, options.seeds
    ):  # Wrong settings, and folders of other studies, are told before all work.
        ablation_runs.refuse_others(trial, planner)
    if options.dry_run:
        tell(ablation_table.plan_table(planner, options.seeds[0]))
        return
    for seed in options.seeds:  # All variants with one seed, then with the next: a table is there early.
        for name in selected(study, options.only):
            for trial in wanted(planner, name, seed, options.seeds[0]):
                if bring(trial, options.retry, tell):
                    write(planner, options, command)
    write(planner, options, command)
    tell((options.out / "table.md").read_text(encoding="utf-8"))


def every(planner: Planner, seeds: Sequence[int]) -> list[Trial]:
    """All that could be run, of sweeps each point with each seed; with the runs that others begin with."""
    points = [(name, point) for name in planner.study.variants for point in planner.points(name)]
    trials = [planner.trial(name, point, seed) for seed in seeds for name, point in points]
    return [one for trial in trials for one in (trial.before, trial) if one]


def selected(study: ablation_study.Study, only: Sequence[str]) -> list[str]:
    """The variants to run, in the file's order, those that others are scored from before these."""
    names = [name for name in study.variants if not only or name in only]
    sources = {study.variants[name].of for name in names} - {None}
    trained = [name for name, one in study.variants.items() if one.of is None and (name in names or name in sources)]
    return trained + [name for name in names if study.variants[name].of]


def wanted(planner: Planner, name: str, seed: int, first: int) -> list[Trial]:
    """The runs of a variant with a seed: of a sweep every point with the first seed, then the chosen point alone."""
    if seed == first and planner.study.variants[name].of is None:
        return [planner.trial(name, point, seed) for point in planner.points(name)]
    point = ablation_table.chosen(planner, name, first)
    return [] if point is None else [planner.trial(name, point, seed)]


def bring(trial: Trial, retry: bool, tell: Callable) -> bool:
    """Whether there was something to do for the run, which is told."""
    if ablation_runs.scored(trial):
        return False
    tell(f"{trial}: {' '.join(trial.overrides)} ...", flush=True)
    try:
        tell(f"{trial}: {ablation_runs.bring(trial, retry)}", flush=True)
    except ablation_runs.Failed as failed:
        tell(f"{trial}: failed: {failed}", flush=True)
    return True


def write(planner: Planner, options: argparse.Namespace, command: str) -> None:
    found = ablation_table.rows(planner, options.seeds)
    told = ablation_table.markdown(planner, found, options.seeds, command)
    for place in (options.out / "table.md", *([options.table] if options.table else [])):
        write_text(place, told)
    write_text(options.out / "table.csv", ablation_table.as_csv(found))


def _seeds(text: str) -> list[int]:
    try:
        return list(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of whole numbers, such as 0,1,2") from None


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


if __name__ == "__main__":
    main()

"""Brings the runs of an ablation study, each by `kcars train` in a process of its own: what is done stays done."""

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from ablation_plan import Planner, Trial

from kcars.core.errors import Interrupted, KcarsError
from kcars.core.files import write_json
from kcars.runs.keras_setup import settled
from kcars.runs.resume import WITHOUT_EFFECT, differences
from kcars.runs.run import Run
from kcars.tasks import task_module
from kcars.tuning.search import kept

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Failed(Exception):  # noqa: N818  (a result of the study)
    """A variant that gives no scores, and why; the others go on."""


def bring(trial: Trial, retry: bool = False) -> str:
    """Train, go on, score: whatever is left of a run and of the one that it begins with; what that was, "" for nothing.

    Raises Failed, which is kept beside the run folder and told again unless `retry`; Interrupted where the process was
    stopped; KcarsError where another process works there.
    """
    if scored(trial):
        return ""
    if not retry and (reason := failure(trial)):
        raise Failed(reason)
    if trial.before:
        bring(trial.before, retry)
    if trial.source and not trial.folder.exists():
        _copy(trial)
    what, arguments = _next(trial)
    if trial.folder.exists():
        with Run.locked(trial.folder):  # KcarsError: somebody trains it already.
            pass
    log = trial.folder.with_name(f"{trial}.log")
    begun = log.stat().st_size if log.exists() else 0
    code = run_kcars(arguments, log)
    stopped = {sign * number + more for number in STOPS for sign, more in ((-1, 0), (1, 128))}
    if code and code not in stopped:  # Also killed, as for want of memory.
        reason = _last_words(log, begun) if code in (1, 2) else f"ended with code {code}"
        write_json(_marker(trial), {"reason": reason, "settings": _asked(trial)})
        raise Failed(reason)
    if code:
        raise Interrupted(code - 128 if code > 128 else abs(code), f"stopped at {trial}; the same command goes on")
    _marker(trial).unlink(missing_ok=True)
    return what


def _next(trial: Trial) -> tuple[str, list[str]]:
    """What is left to do for a run, in a word, and the command that does it."""
    run, data = existing(trial), ["--data", trial.data]
    sets = [part for text in trial.overrides for part in ("--set", text)]
    if run is None:
        return "trained", ["train", "--strategy", trial.strategy, *sets, *data, "--out", str(trial.folder)]
    if trial.source:
        return "scored anew", ["train", "--resume", str(trial.folder), *sets, *data]
    if not run.facts()["finished"]:
        return "gone on with", ["train", "--resume", str(trial.folder), *data]
    return "scored", ["evaluate", str(trial.folder), *data]


def run_kcars(arguments: list[str], log: Path) -> int:
    """The exit code of `kcars` with the arguments, its output added to the log.

    A Ctrl-C or SIGTERM is handed on to it, so that it saves everything, and then ends the study (Interrupted).
    """
    command = [sys.executable, "-m", "kcars.cli", *arguments]
    heard: list[int] = []
    with _handed_on(heard) as processes, log.open("ab") as file:
        # A session of its own: a terminal's Ctrl-C comes once, by way of this process.
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
        processes.append(process)
        if heard:
            process.send_signal(signal.SIGTERM)
        code = process.wait()
    if heard:
        raise Interrupted(heard[0], f"stopped, all saved (see {log}); the same command goes on")
    return code


@contextmanager
def _handed_on(heard: list[int]):
    """While the block runs, signals that end this process go to the processes of the list that it gives."""
    processes: list[subprocess.Popen] = []

    def handle(number, frame):
        heard.append(number)
        for process in processes:
            process.send_signal(signal.SIGTERM)

    before = {number: signal.getsignal(number) for number in STOPS}
    heeded = [
        number for number in STOPS if before[number] != signal.SIG_IGN
    ]  # A job in the background may ignore some.
    try:
        for number in heeded:
            signal.signal(number, handle)
        yield processes
    finally:
        for number in heeded:
            signal.signal(number, before[number])


def existing(trial: Trial) -> Run | None:
    """The run that lies there; None where training has not begun."""
    return Run.open(trial.folder) if (trial.folder / "run.json").is_file() else None


def scored(trial: Trial) -> bool:
    """Whether scores of the finished run are there."""
    run = existing(trial)
    return run is not None and (run.folder / "scores.json").is_file() and run.scores()["finished"]


def failure(trial: Trial) -> str:
    """Why the same run, or one that it builds on, failed before; "" where none did."""
    if not _marker(trial).is_file():
        return next((told for one in (trial.before, trial.source) if one and (told := failure(one))), "")
    told = json.loads(_marker(trial).read_text(encoding="utf-8"))
    return told["reason"] if told["settings"] == _asked(trial) else ""


def refuse_others(trial: Trial, planner: Planner) -> None:
    """KcarsError where the trial's folder holds a run of other settings or other data."""
    run = existing(trial)
    if run is None or (trial.source and not scored(trial)):  # A copy has its source's settings until it is scored.
        return
    run.refuse_other_data(planner.dataset_of(trial))
    changes = differences(run.strategy(), settled(trial.settings))
    for key, (before, now) in changes.items():
        if key not in WITHOUT_EFFECT:
            raise KcarsError(
                f"--out: {trial.folder} was made with {key} {before!r}, this study asks for {now!r}; remove that folder, or "
                "choose another --out"
            )


def validation_score(trial: Trial) -> float:
    """The monitored validation score, of the photos seen and measured as the test's are, or of folds; nan before it is there."""
    if not scored(trial):
        return float("nan")
    run = existing(trial)
    found = run.scores().get("validation")
    if not found:
        return kept(run)[0]
    score = found[task_module(run.strategy().task).monitor(run.strategy())]
    return float("nan") if score is None else score


def histories(trial: Trial) -> list[list[dict[str, float]]]:
    """The histories of a run and of its folds."""
    files = [trial.folder, *sorted(trial.folder.glob("fold-*"))]
    return [Run(folder).history() for folder in files if (folder / "history.csv").is_file()]


def _copy(trial: Trial) -> None:
    """The source's run folder without its scores, whole or not at all."""
    if not scored(trial.source):
        raise Failed(f"{trial.source} has no scores")
    unfinished = Path(tempfile.mkdtemp(dir=trial.folder.parent, prefix=f".{trial.folder.name}."))
    try:
        copied = unfinished / "run"
        shutil.copytree(trial.source.folder, copied, ignore=shutil.ignore_patterns("scores.json", ".lock"))
        copied.replace(trial.folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _marker(trial: Trial) -> Path:
    return trial.folder.with_name(f"{trial}.failed.json")


def _asked(trial: Trial) -> list[str]:
    return [trial.strategy, trial.data, *trial.overrides]


def _last_words(log: Path, begun: int) -> str:
    """What a process that failed said last, from this place of its log on; its error where it told one."""
    lines = [line for line in log.read_bytes()[begun:].decode(errors="replace").splitlines() if line.strip()]
    told = [line.removeprefix("kcars: ") for line in lines if line.startswith("kcars: ")]
    return (told or lines or ["ended without a word"])[-1]

"""Rivals measured in turn, A B A B, each in a process of its own that stays: what `tools/bench_*.py` share.

A benchmark calls `contest` with a command for each rival; the command's process calls `serve` with a function that
does the work once. While one works the others are stopped (SIGSTOP), so that no idle thread pool
takes its cores. Absolute figures drift with the machine, so what counts is the median of the rounds' ratios.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from kcars.core.environment import processor, processor_units

ROUNDS = 9


class Rival:
    """A process that measures when it is asked to."""

    def __init__(self, name: str, command: list[str]):
        self.name = name
        self.told = tempfile.TemporaryFile("w+")  # noqa: SIM115  Open as long as the process.
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.told, text=True
        )
        self._answer()  # It is ready.
        self._pause()

    def measure(self) -> float:
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        figure = self._answer()
        self._pause()
        return figure

    def close(self) -> None:
        self.process.kill()
        self.process.wait()

    def _pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def _answer(self):
        for line in self.process.stdout:
            if line.startswith("figure "):
                return json.loads(line[7:])
        self.told.seek(0)
        raise SystemExit(f"{self.name}: ended without a figure\n{self.told.read()[-3000:]}")


def contest(commands: dict[str, list[str]], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """The figures of each rival, one a round; in every round each measures once, in an order that turns."""
    rivals = []
    try:
        for name, command in commands.items():
            rivals.append(Rival(name, command))
        for rival in rivals:  # Thrown away: caches and clocks settle.
            rival.measure()
        figures: dict[str, list[float]] = {rival.name: [] for rival in rivals}
        for number in range(rounds):
            for rival in rivals if number % 2 == 0 else reversed(rivals):
                figures[rival.name].append(rival.measure())
    finally:
        for rival in rivals:
            rival.close()
    return figures


def main_or_rival(main: Callable[[], None], rival: Callable) -> None:
    """What a benchmark's script does: `main`, or, called with --rival, the work of one with the rest of the arguments."""
    if sys.argv[1:2] == ["--rival"]:
        rival(*sys.argv[2:])
    else:
        main()


def serve(work: Callable[[], object]) -> None:
    """In a rival's process: do the work once for each time that is asked for, and tell its seconds."""
    tell(None)
    while asked():
        begun = time.perf_counter()
        work()
        tell(time.perf_counter() - begun)


def asked() -> bool:
    """Wait until a measurement is asked for; False where none will be."""
    return bool(sys.stdin.readline())


def tell(figure: float | None) -> None:
    print("figure", json.dumps(figure), flush=True)


def times_as_fast(seconds: list[float], than: list[float]) -> tuple[float, float, float]:
    """(median, least, most) of the rounds' ratios: how many times as fast as another's seconds these are."""
    ratios = [other / own for own, other in zip(seconds, than, strict=True)]
    return median(ratios), min(ratios), max(ratios)


def told(ratio: tuple[float, float, float]) -> str:
    middle, least, most = ratio
    return f"{middle:.2f} ({least:.2f} to {most:.2f})"


def markdown(title: str, head: list[str], rows: list[list]) -> str:
    """A section with a table for docs/performance.md: what was measured stands beside the command that measured it."""
    command = shlex.join(["python", f"tools/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    lines = [f"## {title}", "", f"`{command}`", "", line(head), line(["---"] * len(head))]
    return "\n".join([*lines, *map(line, rows), ""])


def line(cells: list) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def machine() -> str:
    """The processor, its cores and what it has for half precision, and the system's memory."""
    units = sorted({"avx2", "avx512f", "avx512_bf16", "amx_bf16"} & processor_units())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{processor()}, {os.cpu_count()} cores ({', '.join(units)}), {memory:.0f} GiB"

"""Rivals measured in turn, A B A B, each in a process of its own that stays: what `tools/bench_*.py` share.

A benchmark calls `contest` with a command for each rival; the command's process calls `serve` with a function that
does the work once and gives a figure. While one works the others are stopped (SIGSTOP), so that no idle thread pool
takes its cores. Absolute figures drift with the machine, so what counts is the median of the rounds' ratios.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROUNDS = 9


class Rival:
    """A process that measures when it is asked to."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str] | None = None):
        self.name = name
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if not os.environ.get("BENCH_DEBUG") else None,
            text=True,
            env={**os.environ, **(environment or {})},
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
        told = self.process.stderr.read()[-3000:] if self.process.stderr else ""
        raise SystemExit(f"{self.name}: ended without a figure\n{told}")


def serve(measure: Callable[[], float]) -> None:
    """In a rival's process: measure once for each line that comes in, until no more do."""
    print("figure null", flush=True)
    for _ in sys.stdin:
        print("figure", json.dumps(measure()), flush=True)


def contest(commands: dict[str, list[str]], rounds: int = ROUNDS, environment=None) -> dict[str, list[float]]:
    """The figures of each rival, one a round; in every round each measures once, in an order that turns."""
    rivals = []
    try:
        for name, command in commands.items():
            rivals.append(Rival(name, command, environment))
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


def times_as_fast(seconds: list[float], than: list[float]) -> tuple[float, float, float]:
    """(median, least, most) of the rounds' ratios: how many times as fast as another's seconds these are."""
    ratios = [other / own for own, other in zip(seconds, than, strict=True)]
    return median(ratios), min(ratios), max(ratios)


def told(ratio: tuple[float, float, float]) -> str:
    middle, least, most = ratio
    return f"{middle:.2f} ({least:.2f} to {most:.2f})"


def markdown(title: str, command: str, head: list[str], rows: list[list]) -> str:
    """A section with a table for docs/performance.md: what was measured stands beside what measured it."""
    lines = [f"## {title}", "", f"`{command}`", "", line(head), line(["---"] * len(head))]
    return "\n".join([*lines, *map(line, rows), ""])


def line(cells: list) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def machine() -> str:
    """The processor, its cores and what it has for half precision, and the system's memory."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    name = next((text.split(":")[1].strip() for text in info.splitlines() if text.startswith("model name")), "unknown")
    units = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in info.split()]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{name}, {os.cpu_count()} cores ({', '.join(units)}), {memory:.0f} GiB"

"""Random edits of a JSON file, and every reader of a run folder that needs no network."""

import copy
import json
import random
from pathlib import Path

from kcars.cli.report import scored
from kcars.evaluation.score_table import run_table, score_table
from kcars.report.page import write_page
from kcars.report.read import Reported
from kcars.runs import provenance, resume
from kcars.runs.fitted import pipeline_of
from kcars.runs.model_card import of_run
from kcars.runs.run import Run
from kcars.tasks import task_module
from kcars.tasks.plan import history_column

DEEP = json.loads("[" * 100 + "]" * 100)
VALUES = [None, True, False, "", "x", "\x1b[2J", 0, -1, 3, 2.5, -0.5, 10**30, -(10**30), 1e308, [], {}, [[]], {"a": 1}, [1], ["x"]]  # fmt: skip
TEXTS = ["NaN", "Infinity", "-Infinity", '"\\ud800"', "1e999", "[" * 5000 + "]" * 5000, '{"a":' * 200 + "1" + "}" * 200, "9" * 5000]  # fmt: skip
MARK = "put here"


def edited(text: str, chance: random.Random) -> str:
    """A JSON text with one value deleted, doubled, or another in its place; or cut off; or with a byte changed."""
    kind = chance.random()
    if kind < 0.03:
        return text[: chance.randrange(len(text))]
    if kind < 0.06:
        place = chance.randrange(len(text))
        return text[:place] + chr(chance.randrange(128)) + text[place + 1 :]
    content = json.loads(text)
    holder, key = chance.choice(list(_places(content)))
    if kind < 0.3:
        del holder[key]
    elif kind < 0.85:
        holder[key] = copy.deepcopy(chance.choice([*VALUES, DEEP]))
    elif kind < 0.9 and isinstance(holder, list):
        holder.append(holder[key])
    else:
        holder[key] = MARK
    return json.dumps(content).replace(f'"{MARK}"', chance.choice(TEXTS))


def _places(content):
    """(container, key) of every value, the upper ones as often as all below them together."""
    level = [content]
    for _ in range(4):
        inner = []
        for one in level:
            keys = list(one) if isinstance(one, dict) else range(min(len(one), 3))
            for key in keys:
                yield one, key
                if isinstance(one[key], (dict, list)):
                    inner.append(one[key])
        level = inner


def readers(folder: Path, out: Path, page: bool) -> list:
    """Calls of what each command does with a run folder before it builds a network."""

    def answer():
        run = Run.open(folder)
        of_run(run), pipeline_of(run)

    def table():
        run_table({str(one): Run.open(one).scores() for one in scored((folder,))})

    def evaluate():
        run = Run.open(folder)
        run.kept(history_column(task_module(run.strategy().task).monitor(run.strategy())))
        run.refuse_other_data(_Data(run.facts()["data"]["fingerprint"]))

    def elsewhere():
        run = Run.open(folder)
        provenance.read(run), run.classes(), run.scores()
        score_table({**run.scores(), "on": "elsewhere", "counts": Reported(folder).scores["counts"]})

    def go_on():
        run = Run.open(folder)
        strategy = resume.settings_to_go_on(run, ())
        resume.planned(run, strategy), resume.identity(run), run.checksums()
        resume.warn_of_other_machine(run)

    found = [answer, table, evaluate, elsewhere, go_on]
    return [*found, lambda: write_page([folder], out)] if page else found


class _Data:
    """A dataset, as far as a run asks."""

    source = "data"

    def __init__(self, fingerprint: str):
        self._fingerprint = fingerprint

    def fingerprint(self) -> str:
        return self._fingerprint


CELLS = ["", "nan", "inf", "-1", "x", "1e999", "\x1b[2J", "a,b", '"', "0.5", "9" * 400, "\n", "1:30", "-0"]


def edited_table(text: str, chance: random.Random) -> str:
    """A CSV text with a cell changed, a row or a column gone or doubled, or cut off."""
    lines = text.splitlines()
    place, kind = chance.randrange(min(len(lines), 6)), chance.random()
    if kind < 0.1:
        return text[: chance.randrange(len(text))]
    if kind < 0.2:
        return "\n".join(lines[:place] + lines[place + 1 :])
    if kind < 0.3:
        return "\n".join([*lines, lines[place], ""])
    cells = lines[place].split(",")
    column = chance.randrange(len(cells))
    if kind < 0.4:
        del cells[column]
    else:
        cells[column] = chance.choice(CELLS)
    return "\n".join([*lines[:place], ",".join(cells), *lines[place + 1 :], ""])

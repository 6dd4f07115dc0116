"""Every strategy beside the paper's row: names, inputs, batches, and networks built at full size."""

import numpy as np
import pytest

from kcars.data.photo_table import Classes
from kcars.paper.listing import listing
from kcars.paper.published import published
from kcars.settings.strategy import load_strategy, strategy_files
from kcars.tasks import task_module
from kcars.tasks.plan import Plan

CLASSES = {"make": 75, "model": 431}  # Of the paper's lists of CompCars.
DRAWN, REAL = 84, 68  # Models of the data that ours are for.


def architectures() -> dict[str, str]:
    """One strategy for each distinct network."""
    found = {}
    for name in strategy_files():
        strategy = load_strategy(name)
        own = name.partition("/")[0] if "/" in name else ""
        outputs = strategy.target if strategy.task == "classify" else ""
        settings = strategy.model.model_dump(exclude={"weights", "normalization", "dropout"})
        found.setdefault(repr((strategy.task, own, outputs, strategy.data.size_px, settings)), name)
    return {name: name for name in found.values()}


@pytest.mark.parametrize("name", architectures())
def test_networks_are_of_the_published_size(name):
    strategy, paper = load_strategy(name), published()[name]
    classes = CLASSES[strategy.target] if paper.table else DRAWN if name.startswith("demo/") else REAL
    stub = Classes(strategy.target, np.arange(classes), [""] * classes)
    network = task_module(strategy.task).network(Plan(None, strategy, np.zeros(0, int), np.zeros(0, int), stub))
    size = strategy.data.size_px
    assert network.scored.input_shape == (None, size, size, 3)
    counted = network.trained if strategy.model.auxiliary else network.scored
    parameters = sum(int(np.prod(weight.shape)) for weight in counted.trainable_weights)
    if strategy.model.auxiliary:
        # The tables count an auxiliary head that was left at ImageNet's 1,000 classes; ours has the dataset's.
        parameters += (1000 - classes) * (768 + 1)
    assert parameters / 1e6 == pytest.approx(paper.parameters_m, rel=0.01 if paper.table else 0.02)


def test_the_paper_has_26_strategies_and_each_is_shipped():
    tables = [row.table for row in published().values()]
    assert [tables.count(table) for table in ("I", "II", "III", "IV")] == [8, 8, 4, 6]
    assert published().keys() == strategy_files().keys()


def test_every_line_tells_size_and_scores():
    lines = listing().splitlines()
    assert len(lines) == 2 + len(strategy_files())
    (line,) = [line for line in lines if line.startswith("Vr_SRes18_CT_B128_MdH ")]
    assert all(part in line for part in ("resnet18", "contrastive", "192", "11.4 M", "acc. 0.721", "ROC-AUC 0.788"))

"""Learning-rate range tests: curves known by heart, then tiny networks of both tasks."""

import csv

import cv2
import numpy as np
import pytest
from support.commands import kcars, small

from kcars.core.errors import KcarsError
from kcars.core.number_range import bounds
from kcars.tuning import rate_test
from kcars.tuning.rate_curve import RateCurve, draw, is_over, smooth, suggest

pytestmark = pytest.mark.usefixtures("lean")

STEPS = 20


def test_a_range_of_numbers():
    assert bounds("1e-5..1e-1", "here") == (1e-5, 0.1)
    assert bounds("-2..3", "here") == (-2, 3)


@pytest.mark.parametrize("text", ["", "1", "1..", "a..b", "2..1", "1..1", "nan..1", "0..inf", "1..2..3"])
def test_what_is_none(text):
    with pytest.raises(KcarsError, match=r"^here: .*expected LOW\.\.HIGH"):
        bounds(text, "here")


def test_rates_rise_by_the_same_factor():
    assert np.allclose(rate_test.rising_rates(1e-5, 1e-1, 21)[::5], [1e-5, 1e-4, 1e-3, 1e-2, 1e-1])


def cosine(steps=401) -> RateCurve:
    """Loss 2 + cos(x) at rate e^x, x from 0 to 3/2 pi: steepest at pi / 2, smallest at pi, then rising."""
    x = np.linspace(0, 1.5 * np.pi, steps)
    return RateCurve(np.exp(x), 2 + np.cos(x), steps)


def test_a_cosine_falls_most_at_a_quarter_and_is_smallest_at_half_its_turn():
    found = suggest(cosine())
    assert np.log(found.steepest) == pytest.approx(np.pi / 2, abs=0.02)
    assert np.log(found.minimum) == pytest.approx(np.pi, abs=0.02)
    assert (found.tenth, found.rate) == (found.minimum / 10, found.steepest)


def test_an_early_fall_suggests_a_tenth_of_the_minimums_rate():
    x = np.linspace(0, 8, 200)
    falls = RateCurve(np.exp(x), np.where(x < 0.5, 3 - x, 2.5 - 0.01 * x), 200)
    assert suggest(falls).rate == suggest(falls).tenth > suggest(falls).steepest


def test_smoothing_keeps_straight_lines_and_does_not_lag():
    line = np.arange(200.0)
    assert np.allclose(smooth(line, 200)[40:-40], line[40:-40])
    step = (line >= 100).astype(float)
    assert smooth(step, 200)[[99, 100]] == pytest.approx([0.475, 0.525], abs=0.005)


def test_a_loss_that_never_falls_suggests_nothing():
    rates = np.geomspace(1e-5, 1e-1, 50)
    rising = RateCurve(rates, np.linspace(1, 2, 50), 50)
    assert suggest(rising) is None
    assert "no suggestion: the loss never fell" in rate_test.report(rising, None, "constant")
    assert draw(rising, None, "rising").axes


def test_it_is_over_beyond_four_times_the_smallest():
    rates = np.geomspace(1e-5, 1e-1, 100)
    for height, over in ((3.5, False), (5.0, True)):
        losses = np.concatenate([np.full(50, 1.0), np.full(50, height)])
        assert is_over(RateCurve(rates, losses, 100)) is over


def test_the_first_loss_that_is_not_finite_ends_it():
    rates = np.geomspace(1e-5, 1e-1, 5)
    curve = rate_test._until_it_diverges(iter([3.0, 2.0, float("nan"), 1.0, 1.0]), rates)
    assert (curve.losses.tolist(), curve.rates.tolist(), curve.steps) == ([3.0, 2.0], rates[:2].tolist(), 5)
    with pytest.raises(KcarsError, match="not finite before the first step at rate 1e-05"):
        rate_test._until_it_diverges(iter([float("inf")]), rates)


def test_one_cycle_is_given_a_tenth():
    found = suggest(cosine())
    assert f"--set train.learning_rate={found.rate:.2g} " in rate_test.report(cosine(), found, "warmup_cosine")
    told = rate_test.report(cosine(), found, "one_cycle")
    assert f"use the higher: --set train.learning_rate={found.rate / 10:.2g} " in told


def curve_of(data, out, *more) -> list[dict]:
    output = kcars("tune", "--data", data, "--out", out, "--steps", STEPS, *more)
    assert "rate test:" in output
    assert {file.name for file in out.iterdir()} == {"rate_test.csv", "rate_test.png"}
    height, width, _ = cv2.imread(str(out / "rate_test.png")).shape
    assert width > height > 300
    with (out / "rate_test.csv").open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    "settings",
    [
        ("--task", "classify", *small("train.gradient_accumulation=2", "model.dropout=0.3")),
        ("--task", "verify", *small()),
        ("--strategy", "Vr_SRes18_CT_B128_SCR", *small("model.backbone=simple_resnet")),
    ],
    ids=["plain, in two parts", "pk", "pairs"],
)
def test_every_order_of_photos_gives_the_same_curve_twice(drawn, tmp_path, settings):
    first = curve_of(drawn, tmp_path / "first", *settings)
    assert curve_of(drawn, tmp_path / "second", *settings) == first
    assert [row["rate"] for row in first] == pytest.approx(np.geomspace(1e-5, 1e-1, STEPS)[: len(first)], rel=1e-6)
    assert first[-1]["loss"] != first[0]["loss"]


def test_the_loss_is_that_of_each_batch_alone(drawn, tmp_path):
    """At a rate too small to change a weight, losses are those of one network, whatever came before."""
    from kcars.data.source import load
    from kcars.images.pixel_store import open_store
    from kcars.settings.strategy import load_strategy
    from kcars.tasks import classify

    tiny = ("--task", "classify", "--rates", "1e-30..1e-29", *small("model.backbone=resnet18", "data.augment=''"))
    found = curve_of(drawn, tmp_path / "out", *tiny)
    strategy = load_strategy("scratch/classify", [part for part in tiny if "=" in part])
    dataset = load(drawn, "classify", strategy.data)
    plan = classify.plan(dataset, strategy)
    from kcars.runs.keras_setup import start

    start(strategy.train)
    network, loss = classify.network(plan), classify.objective(plan)["loss"]["model"]
    stream = classify.stream(plan, open_store(dataset.table, strategy.data))
    for step, row in enumerate(found):
        inputs, labels = stream.batch(step)
        own = float(loss(labels["model"], network.trained(inputs, training=True)["model"]))
        assert row["loss"] == pytest.approx(own, rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rates", "1e-1..1e-5"], "--rates: 1e-1 is not below 1e-5"),
        (["--rates", "0..1"], "--rates: 0 is not a valid learning rate"),
        (["--rates", "fast"], "--rates: 'fast' is not a range"),
        (["--steps", "0"], "--steps 0: are too few"),
        (["--trials", "3"], "--trials: requires --search"),
        (["--set", "train.epoch=1"], "unknown setting"),
        (["--out", "/proc/nowhere"], "--out: /proc/nowhere cannot be written"),
    ],
)
def test_mistakes_are_one_line(drawn, arguments, message):
    output = kcars("tune", "--task", "classify", "--data", drawn, *arguments, code=2)
    assert message in output.splitlines()[-1]
    assert "Traceback" not in output


def test_a_task_is_needed_and_a_run_is_left_alone(drawn, tmp_path):
    assert "--task: is missing" in kcars("tune", "--data", drawn, code=2)
    (tmp_path / "run.json").write_text("{}")
    output = kcars("tune", "--task", "classify", "--data", drawn, "--out", tmp_path, code=2)
    assert "is a run; choose another folder" in output
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]

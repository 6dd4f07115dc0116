"""Flat photos, each of its own class and grey: what is mixed with what, and how much, is read off the pixels."""

import numpy as np
import pytest

from kcars.input.augment.mix import Mix

NUMBERS = np.arange(10)


def flat(values, side: int = 50) -> np.ndarray:
    return np.broadcast_to(np.array(values, np.uint8)[:, None, None, None], (len(values), side, side, 3)).copy()


def mixed(kind: str, step: int = 0, seed: int = 0, alpha: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    photos, labels = Mix(kind, alpha, {"model": 10}, seed)(flat(NUMBERS), {"model": NUMBERS}, step)
    return photos, labels["model"]


def test_two_flat_colours_become_one_between():
    for step in range(20):
        photos, labels = Mix("mixup", 1.0, {"model": 2}, 0)(flat([0, 200]), {"model": np.array([0, 1])}, step)
        assert (photos == photos[:, :1, :1, :1]).all() and photos.dtype == np.uint8
        rows = labels["model"]
        np.testing.assert_allclose(photos[:, 0, 0, 0], 200 * rows[:, 1], atol=0.5001)
        np.testing.assert_allclose(rows.sum(1), 1, rtol=1e-6)
        assert rows.dtype == np.float32


def test_the_pasted_area_is_the_labels_share_exactly():
    pasted = 0
    for step in range(50):
        photos, labels = mixed("cutmix", step)
        for number in NUMBERS:
            np.testing.assert_allclose(labels[:, number], (photos == number).all(3).mean((1, 2)), atol=1e-6)
        for part in (photos != NUMBERS[:, None, None, None]).any(3):
            assert part.any(0).sum() * part.any(1).sum() == part.sum()  # A rectangle.
            pasted += part.any()
    assert pasted > 400


def test_a_pasted_part_may_lie_anywhere():
    """Shares of Beta(1e4, 1e4) are a half: parts of sqrt(1/2) of the sides, whose centre is anywhere."""
    covered = sum(
        (mixed("cutmix", step, alpha=1e4)[0] != NUMBERS[:, None, None, None]).any(3).sum(0) for step in range(40)
    )
    share = covered / 400
    side = np.sqrt(0.5)
    corner, middle = (side / 2) ** 2, side**2
    assert share[0, 0] == pytest.approx(corner, abs=0.08)
    assert share[-1, -1] == pytest.approx(corner, abs=0.08)
    assert share[25, 25] == pytest.approx(middle, abs=0.08)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_every_photo_is_mixed_into_one_other(kind):
    for step in range(20):
        _, labels = mixed(kind, step, alpha=1e4)
        other = np.where(np.eye(10, dtype=bool), 0, labels).argmax(1)
        assert sorted(other) == NUMBERS.tolist() and (other != NUMBERS).all()
        assert ((labels > 0).sum(1) == 2).all()


def test_shares_are_of_the_beta_distribution():
    shares = np.concatenate([1 - np.diag(mixed("mixup", step, alpha=0.2)[1]) for step in range(200)])
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(0.25 / (2 * 0.2 + 1), abs=0.01)  # Of Beta(a, a): 1 / (4 (2 a + 1)).


def test_both_is_one_kind_a_batch():
    blended = 0
    for step in range(60):
        photos, labels = mixed("both", step)
        pasted = all(
            (photo == label.nonzero()[0][:, None, None, None]).any(0).all()
            for photo, label in zip(photos, labels, strict=True)
        )
        evenly = bool((photos == photos[:, :1, :1, :1]).all())
        assert pasted != evenly
        blended += evenly
    assert 15 < blended < 45


def test_two_of_one_class_stay_that_class():
    labels = Mix("mixup", 1.0, {"make": 3}, 0)(flat([1, 2, 3]), {"make": np.array([2, 2, 2])}, 0)[1]["make"]
    np.testing.assert_allclose(labels, np.eye(3)[[2, 2, 2]], atol=1e-6)


def test_draws_are_a_function_of_seed_and_step():
    photos, labels = mixed("both", 3)
    again, same = mixed("both", 3)
    assert (photos == again).all() and (labels == same).all()
    assert (mixed("both", 4)[1] != labels).any() and (mixed("both", 3, seed=1)[1] != labels).any()

from dataclasses import replace

import numpy as np
import pytest
from support.streams import Numbered, flat, make

from kcars.input.augment.chain import Augment
from kcars.input.augment.mix import Mix
from kcars.input.stream import by_make


def test_plain_shows_each_photo_once_an_epoch_in_a_new_order():
    stream = make("plain")
    seen = np.concatenate([stream.batch(step)[0][:, 0, 0, 0] for step in range(5)])  # 40 = two epochs of 20
    assert sorted(seen[:20]) == sorted(seen[20:]) == sorted(stream.rows.tolist())
    assert (seen[:20] != seen[20:]).any()


def test_labels_belong_to_their_pixels():
    stream = make("plain")
    pixels, labels = stream.batch(3)
    assert (labels["model"] == stream.labels["model"][pixels[:, 0, 0, 0] // 3]).all()


@pytest.mark.parametrize("order", ["plain", "pk", "pairs"])
def test_a_batch_is_a_function_of_seed_and_step(order):
    first, second = make(order), make(order)
    second.batch(0), second.batch(9)
    for a, b in zip(flat(first.batch(5)), flat(second.batch(5)), strict=True):
        assert (a == b).all()
    assert any((a != b).any() for a, b in zip(flat(first.batch(5)), flat(first.batch(6)), strict=True))
    other = make(order, seed=1)
    assert any((a != b).any() for a, b in zip(flat(first.batch(5)), flat(other.batch(5)), strict=True))


@pytest.mark.parametrize("order", ["plain", "pk"])
def test_photos_weigh_by_their_class_from_the_first_step_of_balancing_on(order):
    weights = np.float32([0.5, 0.75, 1, 2, 4])
    stream = replace(make(order), class_weights=weights, begin_step=3)
    for step in range(6):
        photos, labels, found = stream.batch(step)
        expected = weights[labels["model"]] if step >= 3 else np.ones(8)
        assert found["model"].dtype == np.float32 and (found["model"] == expected).all()
        for a, b in zip(flat((photos, labels)), flat(make(order).batch(step)), strict=True):
            assert (a == b).all()


def test_with_parts_of_a_batch_the_first_step_is_the_first_part():
    whole = replace(make("plain"), class_weights=np.float32([0.5, 0.75, 1, 2, 4]))
    parts = replace(whole, parts=4, begin_step=8)
    assert all((parts.batch(step)[2]["model"] == 1).all() for step in range(8))
    found = [parts.batch(step)[2]["model"] for step in range(8, 12)]
    assert (np.concatenate(found) == whole.batch(2)[2]["model"]).all()


def test_pk_holds_p_classes_of_k_photos():
    for step in range(20):
        pixels, labels = make("pk").batch(step)
        found, counts = np.unique(labels["model"], return_counts=True)
        assert counts.tolist() == [4, 4]
        for label in found[np.isin(found, [0, 1, 2])]:  # classes of four photos or more repeat none
            assert len(np.unique(pixels[labels["model"] == label][:, 0, 0, 0])) == 4


def test_pk_with_fewer_classes_than_p_fills_the_batch_evenly():
    labels = make("pk", batch=32).batch(0)[1]["model"]
    assert sorted(np.bincount(labels).tolist()) == [6, 6, 6, 7, 7]


def test_pairs_follow_the_paper():
    stream = make("pairs")
    left, right, same = [], [], []
    for step in range(1000):
        inputs, labels = stream.batch(step)
        left.append(inputs["left"][:, 0, 0, 0] // 3)
        right.append(inputs["right"][:, 0, 0, 0] // 3)
        same.append(labels["same"])
    left, right, same = map(np.concatenate, (left, right, same))
    label = stream.labels["model"]
    assert (left != right).all()
    assert ((label[left] == label[right]) == same.astype(bool)).all()
    assert np.bincount(left).tolist() == [400] * 20  # each photo in turn: 8,000 pairs over 20 photos
    assert 0.44 < same[label[left] < 4].mean() < 0.56
    assert same[label[left] == 4].sum() == 0  # a class of one photo has no positive
    others = right[(left == 0) & (same == 1)]
    assert set(others.tolist()) == set(range(1, 7))


def test_augmentation_differs_between_the_sides_and_steps():
    stream = make("pairs", augment="brightness_contrast(1)")
    plain = make("pairs")
    assert (stream.batch(0)[0]["left"] != plain.batch(0)[0]["left"]).any()


@pytest.mark.parametrize("order", ["plain", "pk", "pairs"])
def test_parts_of_a_batch_are_the_whole_batch(order):
    augment = "brightness_contrast(1, brightness=0.5)"
    whole, parts = make(order, augment=augment), replace(make(order, augment=augment), parts=4)
    assert parts.steps_per_epoch == 4 * whole.steps_per_epoch
    for step in range(3):
        pieces = [flat(parts.batch(4 * step + part)) for part in range(4)]
        for one, *others in zip(flat(whole.batch(step)), *pieces, strict=True):
            assert (one == np.concatenate(others)).all()


def test_photos_grow_at_their_steps():
    class Grey(Numbered):
        def read(self, rows):
            return np.full((len(rows), 8, 8, 3), 7, np.uint8)

    stream = replace(make("pk"), store=Grey(), sizes=((0, 4), (2, 6), (5, 8)))
    assert [stream.batch(step)[0].shape[1] for step in range(7)] == [4, 4, 6, 6, 6, 8, 8]


def test_portions_are_of_one_make_as_they_come():
    makes = np.array([7, 7, 7, 8, 9, 9])
    assert by_make(np.array([4, 0, 3, 2, 1, 5]), makes, 2) == [[4, 5], [0, 2], [3], [1]]


def test_models_of_one_make_share_a_batch():
    labels = np.repeat(np.arange(12), 4)
    makes = np.repeat([0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 5], 4)  # Two makes have a single model.
    stream = replace(make("pk", batch=16, labels=labels), makes=makes, classes_per_make=2)
    seen, shared = np.zeros(12, int), []
    for step in range(600):
        found = np.unique(stream.batch(step)[1]["model"])
        seen[found] += 1
        assert len(found) == 4
        shared.append(np.unique(makes[4 * found], return_counts=True)[1].max())
    by_chance = replace(stream, classes_per_make=1)
    rivals = [np.unique(makes[4 * np.unique(by_chance.batch(step)[1]["model"])]) for step in range(600)]
    assert np.mean(np.array(shared) >= 2) > 0.9 > np.mean([len(found) < 4 for found in rivals])
    assert seen.min() > 0.8 * seen.mean()  # No model is left out.


COUNTS = [16, 4, 4, 0, 1]  # Of square roots 4, 2, 2, 0, 1; the class without photos is never drawn.


def sampled(sampling, batch=25, **more):
    return replace(make("plain", batch=batch, labels=np.repeat(np.arange(5), COUNTS)), sampling=sampling, **more)


def photos_of(stream, steps) -> np.ndarray:
    """Places of the photos of some steps, one after the other."""
    return np.concatenate([stream.batch(step)[0][:, 0, 0, 0] // 3 for step in steps])


def classes_of(stream, places) -> list[int]:
    return np.bincount(stream.labels["model"][places], minlength=5).tolist()


def test_square_root_sampling_draws_by_the_square_root():
    stream = sampled("square_root")
    assert stream.steps_per_epoch == 1
    per_epoch = np.array([classes_of(stream, photos_of(stream, [epoch])) for epoch in range(9)])
    wanted = 25 * np.array([4, 2, 2, 0, 1]) / 9
    assert (np.abs(per_epoch - wanted) < 1).all()  # A whole number next to it in every epoch,
    assert (per_epoch.sum(1) == 25).all()
    assert np.abs(per_epoch.mean(0) - wanted).max() < 0.5


def test_balanced_sampling_draws_classes_equally_and_photos_in_turn():
    labels = np.repeat(np.arange(5), [7, 5, 4, 3, 1])
    stream = replace(make("plain", batch=4, labels=labels), sampling="balanced")
    for epoch in range(10):
        seen = photos_of(stream, range(5 * epoch, 5 * epoch + 5))
        assert classes_of(stream, seen) == [4] * 5
        times = np.bincount(seen, minlength=20)
        assert times[:12].max() == 1  # None of seven or five repeats in four draws,
        assert times[12:16].tolist() == [1] * 4
        assert sorted(times[16:19]) == [1, 1, 2]  # and of three photos one comes twice.
        assert times[19] == 4
    everything = photos_of(stream, range(50))
    assert set(everything) == set(range(20))


def test_a_sampled_epoch_is_in_chance_order_and_a_function_of_seed_and_step():
    first, second = sampled("balanced", batch=5), sampled("balanced", batch=5)
    backwards = [photos_of(second, [step]) for step in reversed(range(20))]
    assert (photos_of(first, range(20)) == np.concatenate(backwards[::-1])).all()
    labels = first.labels["model"]
    kinds = [len(set(labels[photos_of(first, [step])])) for step in range(20)]
    assert max(kinds) > 2
    assert (photos_of(first, range(5)) != photos_of(first, range(5, 10))).any()
    other = replace(sampled("balanced", batch=5), seed=1)
    assert (photos_of(first, range(5)) != photos_of(other, range(5))).any()


def test_sampling_counts_from_its_first_step_on():
    natural, late, at_once = sampled("natural", 5), sampled("balanced", 5, begin_step=7), sampled("balanced", 5)
    assert (photos_of(late, range(7)) == photos_of(natural, range(7))).all()
    assert (photos_of(late, range(7, 20)) == photos_of(at_once, range(7, 20))).all()
    assert (photos_of(natural, range(7, 20)) != photos_of(at_once, range(7, 20))).any()
    parts = replace(late, batch_size=10, parts=2, begin_step=8)  # Counted in parts of batches, as steps are.
    assert (photos_of(parts, range(8)) == photos_of(replace(parts, sampling="natural"), range(8))).all()
    assert (photos_of(parts, range(8, 20)) == photos_of(replace(parts, begin_step=0), range(8, 20))).all()


@pytest.mark.parametrize("order", ["plain", "pk"])
def test_photos_of_rare_classes_are_changed_more_often(order):
    rare = Augment("brightness_contrast(1, brightness=(0.5, 0.5))", 0, "balance.augment")
    labels = np.repeat(np.arange(3), [20, 10, 5])
    plain = make(order, batch=35 if order == "plain" else 12, labels=labels)
    stream, changed = replace(plain, rare_augment=rare), [[], [], []]
    for step in range(60):
        (before, labels), (after, _) = plain.batch(step), stream.batch(step)
        for label, differs in zip(labels["model"], (before != after).any((1, 2, 3)), strict=True):
            changed[label].append(differs)
    shares = [np.mean(one) for one in changed]
    assert shares[0] == 0
    assert shares[1:] == pytest.approx([0.5, 0.75], abs=0.08)


def test_a_mixed_batch_has_rows_of_shares_for_every_output():
    plain = make("plain")
    plain = replace(plain, labels={**plain.labels, "auxiliary": plain.labels["model"]})
    stream = replace(plain, mix=Mix("both", 1.0, {"model": 6, "auxiliary": 6}, 0))
    for step in range(5):
        photos, labels = stream.batch(step)
        assert photos.dtype == np.uint8 and set(labels) == {"model", "auxiliary"}
        assert labels["model"].shape == (8, 6) and (labels["model"] == labels["auxiliary"]).all()
        numbers = plain.batch(step)[1]["model"]
        np.testing.assert_allclose(labels["model"].sum(1), 1, rtol=1e-6)
        assert set(np.nonzero(labels["model"])[1]) <= set(numbers)  # And not 5, which no photo is of.


def test_parts_of_a_batch_are_mixed_each_in_itself():
    parts = replace(make("plain"), parts=2)
    stream = replace(parts, mix=Mix("mixup", 1.0, {"model": 5}, 0))
    for number in range(8):
        numbers, rows = parts.batch(number)[1]["model"], stream.batch(number)[1]["model"]
        assert set(np.nonzero(rows)[1]) <= set(numbers)

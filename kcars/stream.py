"""What training sees: batch(step), a pure function of seed and step, in numpy alone."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from kcars.images.augment import Augment
from kcars.images.pixels import resized
from kcars.keys import generator


@dataclass(frozen=True)
class Stream:
    """An endless sequence of training batches.

    rows: (n,) Index rows to learn from; labels: target -> (n,) class numbers; key_target: whose classes pairs and
    P x K batches are made of; store: gives pixels by Index row, and says whether it decodes them for that; batch_size: photos, or pairs with order `pairs`, that
    weights change by; parts: steps that a batch passes in, each a slice of it; makes: (n,) of the rows, by which P x K
    batches hold up to `classes_per_make` classes of one make; sizes: (first step, side) of photos that grow, or none;
    class_weights: (classes,) float32 of the key target, None where photos weigh alike; begin_step: number of the first step,
    parts counted, at which balancing counts.
    """

    store: object
    rows: np.ndarray
    labels: dict[str, np.ndarray]
    key_target: str
    order: str
    batch_size: int
    photos_per_class: int
    seed: int
    augment: Augment
    parts: int = 1
    makes: np.ndarray | None = None
    classes_per_make: int = 1
    sizes: tuple[tuple[int, int], ...] = ()
    class_weights: np.ndarray | None = None
    begin_step: int = 0

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which about every photo passes once; each batch in all its parts."""
        return max(1, round(len(self.rows) / self.batch_size)) * self.parts

    @cached_property
    def groups(self) -> list[np.ndarray]:
        """Places (positions in `rows`) of each class of the key target."""
        labels = self.labels[self.key_target]
        return [np.flatnonzero(labels == label) for label in range(int(labels.max()) + 1)]

    @cached_property
    def class_makes(self) -> np.ndarray:
        """Make (classes,) of each class of the key target."""
        return np.array([self.makes[group[0]] for group in self.groups])

    def batch(self, number: int) -> tuple:
        """Inputs and labels of a step: pixels and {target: labels}, or {"left", "right"} and {"same"} for pairs.

        With class_weights a third part, {target: weights (n,) float32}, which are 1 before begin_step.
        """
        step, part = divmod(number, self.parts)
        size = self.batch_size // self.parts
        mine = slice(part * size, (part + 1) * size)
        samples = step * self.batch_size + np.arange(self.batch_size)[mine]
        if self.order == "pairs":
            left, right, same = (column[mine] for column in random_pairs(self, step))
            samples = 2 * samples
            inputs = {"left": self._pixels(left, samples, number), "right": self._pixels(right, samples + 1, number)}
            return inputs, {"same": same}
        places = ORDERS[self.order](self, step)[mine]
        labels = {target: labels[places] for target, labels in self.labels.items()}
        if self.class_weights is None:
            return self._pixels(places, samples, number), labels
        weights = self.class_weights[self.labels[self.key_target][places]]
        weights = weights if number >= self.begin_step else np.ones_like(weights)
        return self._pixels(places, samples, number), labels, dict.fromkeys(labels, weights)

    def _pixels(self, places: np.ndarray, samples: np.ndarray, step: int) -> np.ndarray:
        photos = self.store.read(self.rows[places])  # Of this batch alone.
        side = next((side for first, side in reversed(self.sizes) if step >= first), photos.shape[1])
        photos = resized(photos, side)
        return self.augment(photos, samples, out=photos)


def plain(stream: Stream, step: int) -> np.ndarray:
    """Places of a step when every photo passes once an epoch, in a new order each; batches may straddle epochs."""
    count = len(stream.rows)
    position = step * stream.batch_size + np.arange(stream.batch_size)
    epochs, places = position // count, position % count
    out = np.empty(len(position), np.int64)
    for epoch in np.unique(epochs):
        mask = epochs == epoch
        out[mask] = _permutation(stream.seed, int(epoch), count)[places[mask]]
    return out


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    return generator(seed, "order", epoch).permutation(count)


def classes_times_photos(stream: Stream, step: int) -> np.ndarray:
    """Places of P = batch / K classes, or all where there are fewer, with K photos each, or more to fill the batch.

    A photo repeats only in a class that has too few.
    """
    draw = generator(stream.seed, "pk", step)
    wanted = min(stream.batch_size // stream.photos_per_class, len(stream.groups))
    chosen = draw.permutation(len(stream.groups))
    if stream.classes_per_make > 1:
        portions = by_make(chosen, stream.class_makes, stream.classes_per_make)
        chosen = np.concatenate([portions[number] for number in draw.permutation(len(portions))])
    chosen = chosen[:wanted]
    each = np.full(wanted, stream.batch_size // wanted)
    each[: stream.batch_size % wanted] += 1
    groups = [stream.groups[number] for number in chosen]
    return np.concatenate([draw.choice(g, k, replace=len(g) < k) for g, k in zip(groups, each, strict=True)])


def by_make(order: np.ndarray, makes: np.ndarray, together: int) -> list[list[int]]:
    """Classes, as they come in `order`, in portions of up to so many of one make.

    In a batch they are negatives of one make to each other, which are hard to tell apart.
    """
    portions: dict[tuple, list[int]] = {}
    met: dict[int, int] = {}
    for one in order.tolist():
        make = makes[one]
        place = met[make] = met.get(make, -1) + 1
        portions.setdefault((make, place // together), []).append(one)
    return list(portions.values())


def random_pairs(stream: Stream, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The paper's pairs: each photo in turn as anchor, with another of its class or, half the time, of another.

    A class of one photo gives negatives only. Returns places left, right and same (float32).
    """
    labels, groups = stream.labels[stream.key_target], stream.groups
    left = plain(stream, step)
    draw = generator(stream.seed, "pairs", step)
    same = draw.random(len(left)) < 0.5
    right = np.empty_like(left)
    for place, anchor in enumerate(left):
        own = groups[labels[anchor]]
        same[place] &= len(own) > 1
        if same[place]:
            other = own[draw.integers(len(own) - 1)]
            right[place] = own[-1] if other == anchor else other
        else:
            label = draw.integers(len(groups) - 1)
            right[place] = draw.choice(groups[label + (label >= labels[anchor])])
    return left, right, same.astype(np.float32)


ORDERS = {"plain": plain, "pk": classes_times_photos}

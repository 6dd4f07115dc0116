"""Training batches as batch(step), a pure function of seed and step, in NumPy."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from kcars.core.rng import generator
from kcars.images.pixel_store import PixelStore
from kcars.images.pixels import resized
from kcars.input.augment.chain import Augment
from kcars.input.augment.mix import Mix


@dataclass(frozen=True)
class Stream:
    """An endless sequence of training batches.

    rows: (n,) PhotoTable rows of the training photos; labels: target -> (n,) class numbers; key_target: the target whose
    classes form pairs and P x K batches; store: reads pixels by PhotoTable row, and reports whether it decodes them each time;
    batch_size: photos, or pairs with order `pairs`, per weight update; parts: steps into which a batch is split; makes: (n,)
    make numbers, by which P x K batches contain up to `classes_per_make` classes of one make; sizes: (first step, side) of
    progressive resizing, or none; rare_augment: applied after `augment`, with the probability `rarity` of each photo; mix:
    mixes the photos of a step, and labels become rows of shares; sampling: with order `plain`, a key of POWERS; class_weights:
    (classes,) float32 of the key target, None for equal weights; begin_step: first step, parts counted, at which sampling and
    class_weights apply.
    """

    store: PixelStore
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
    rare_augment: Augment | None = None
    mix: Mix | None = None
    sampling: str = "natural"
    class_weights: np.ndarray | None = None
    begin_step: int = 0

    @property
    def steps_per_epoch(self) -> int:
        """Steps, parts counted, in which about every photo is used once."""
        return max(1, round(len(self.rows) / self.batch_size)) * self.parts

    @cached_property
    def groups(self) -> list[np.ndarray]:
        """Positions in `rows` of each class of the key target."""
        labels = self.labels[self.key_target]
        return [np.flatnonzero(labels == label) for label in range(int(labels.max()) + 1)]

    @cached_property
    def class_makes(self) -> np.ndarray:
        """Make numbers (classes,) of the classes of the key target."""
        assert self.makes is not None
        return np.array([self.makes[group[0]] for group in self.groups])

    @cached_property
    def by_class(self) -> np.ndarray:
        """Positions in `rows`, sorted by class."""
        return np.concatenate(self.groups)

    @cached_property
    def rarity(self) -> np.ndarray:
        """1 - n / n_max for each position, with n photos of its class and n_max of the largest class."""
        photos = np.array([len(group) for group in self.groups])
        return 1 - (photos / photos.max())[self.labels[self.key_target]]

    def batch(self, number: int) -> tuple:
        """Inputs and labels of a step: pixels and {target: labels}, or {"left", "right"} and {"same"} for pairs.

        With class_weights, a third element {target: weights (n,) float32}, which are 1 before begin_step.
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
        positions = ORDERS[self.order](self, step)[mine]
        photos = self._pixels(positions, samples, number)
        labels = {target: labels[positions] for target, labels in self.labels.items()}
        if self.mix:
            photos, labels = self.mix(photos, labels, number)
        if self.class_weights is None:
            return photos, labels
        return photos, labels, dict.fromkeys(labels, self._weights(labels[self.key_target], number))

    def _weights(self, labels: np.ndarray, number: int) -> np.ndarray:
        """Loss weights (n,) float32 of the photos; labels: numbers, or rows of shares."""
        if number < self.begin_step:
            return np.ones(len(labels), np.float32)
        assert self.class_weights is not None
        found = labels @ self.class_weights if labels.ndim > 1 else self.class_weights[labels]
        return found.astype(np.float32)

    def _pixels(self, positions: np.ndarray, samples: np.ndarray, step: int) -> np.ndarray:
        photos = self.store.read(self.rows[positions])  # A new array for this batch.
        side = next((side for first, side in reversed(self.sizes) if step >= first), photos.shape[1])
        photos = resized(photos, side)
        photos = self.augment(photos, samples, out=photos)
        if self.rare_augment:
            photos = self.rare_augment(photos, samples, out=photos, chances=self.rarity[positions])
        return photos


def plain(stream: Stream, step: int) -> np.ndarray:
    """Positions for a step; each epoch uses every photo once, in a new order, and batches may span two epochs.

    From begin_step on, an epoch has the same number of positions, with the share of each class given by `sampling`.
    """
    count, power = len(stream.rows), POWERS[stream.sampling]
    by_class = power < 1 and step * stream.parts >= stream.begin_step
    position = step * stream.batch_size + np.arange(stream.batch_size)
    epochs, positions = position // count, position % count
    out = np.empty(len(position), np.int64)
    for epoch in np.unique(epochs):
        mask = epochs == epoch
        if by_class:
            photos = tuple(len(group) for group in stream.groups)
            out[mask] = stream.by_class[_drawn_by_class(stream.seed, int(epoch), photos, power)[positions[mask]]]
        else:
            out[mask] = _permutation(stream.seed, int(epoch), count)[positions[mask]]
    return out


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    return generator(seed, "order", epoch).permutation(count)


@lru_cache(maxsize=4)
def _drawn_by_class(seed: int, epoch: int, photos: tuple[int, ...], power: float) -> np.ndarray:
    """As many positions as photos, which are sorted by class; each class in proportion to its photos to the power `power`.

    The number of a class is its share, randomly rounded up or down; a photo repeats only after all photos of its class were
    used equally often.
    """
    draw, counts = generator(seed, "by class", epoch), np.array(photos)
    edges = np.cumsum(np.where(counts > 0, counts.astype(float) ** power, 0))
    edges = edges / edges[-1] * counts.sum()
    wanted = np.diff(np.floor(edges + draw.random()), prepend=0).astype(
        int
    )  # The total is exact, because the last edge is an integer.
    first = np.cumsum(counts) - counts
    chosen = [
        start + np.concatenate([draw.permutation(count) for _ in range(-(-number // count))])[:number]
        for start, count, number in zip(first, counts, wanted, strict=True)
        if number
    ]
    return draw.permutation(np.concatenate(chosen))


def classes_times_photos(stream: Stream, step: int) -> np.ndarray:
    """Positions of P = batch / K classes, or of all if there are fewer, with K photos each, or more to fill the batch.

    Photos repeat only in classes that have too few.
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
    """Classes in the order of `order`, grouped into up to `together` classes of one make.

    In a batch these are hard negatives of each other.
    """
    portions: dict[tuple, list[int]] = {}
    met: dict[int, int] = {}
    for one in order.tolist():
        make = int(makes[one])
        count = met[make] = met.get(make, -1) + 1
        portions.setdefault((make, count // together), []).append(one)
    return list(portions.values())


def random_pairs(stream: Stream, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The paper's pairs: each photo in turn is the anchor, with a photo of its class or, half the time, of another class.

    A class of one photo has only different pairs. Returns positions left and right, and same (float32).
    """
    labels, groups = stream.labels[stream.key_target], stream.groups
    left = plain(stream, step)
    draw = generator(stream.seed, "pairs", step)
    same = draw.random(len(left)) < 0.5
    right = np.empty_like(left)
    for pair, anchor in enumerate(left):
        own = groups[labels[anchor]]
        same[pair] &= len(own) > 1
        if same[pair]:
            other = own[draw.integers(len(own) - 1)]
            right[pair] = own[-1] if other == anchor else other
        else:
            label = draw.integers(len(groups) - 1)
            right[pair] = draw.choice(groups[label + (label >= labels[anchor])])
    return left, right, same.astype(np.float32)


ORDERS = {"plain": plain, "pk": classes_times_photos}
# Exponent of a class's number of photos, to which its sampling rate is proportional.
POWERS = {"natural": 1.0, "square_root": 0.5, "balanced": 0.0}

"""Progressive resizing: training begins with small photos, which cost less, and ends with those that are scored."""

from kcars.settings import DataSettings

STEP_PX = 16


def sizes_by_epoch(data: DataSettings, epochs: int) -> list[int]:
    """Side in pixels of each epoch's photos: from first_px in steps of 16, in equal parts, to size_px from `growth` on.

    Howard 2018 (DAWNBench's fast.ai entry) and Tan and Le 2021, arXiv 2104.00298, train so.
    """
    if data.first_px is None:
        return [data.size_px] * epochs
    smaller = list(range(data.first_px, data.size_px, STEP_PX))
    growing = min(round(data.growth * epochs), epochs - 1)  # The last epoch has what is scored.
    return [smaller[epoch * len(smaller) // growing] if epoch < growing else data.size_px for epoch in range(epochs)]


def changes(sizes: list[int]) -> list[int]:
    """Epochs, counted from 0, whose photos are larger than those of the epoch before."""
    return [epoch for epoch in range(1, len(sizes)) if sizes[epoch] != sizes[epoch - 1]]


def sizes_by_step(sizes: list[int], steps_per_epoch: int) -> tuple[tuple[int, int], ...]:
    """(first step, side) of each run of epochs of one size, as a Stream takes them."""
    return tuple((epoch * steps_per_epoch, sizes[epoch]) for epoch in [0, *changes(sizes)])


def work_share(sizes: list[int]) -> float:
    """What training costs, as a share of what it would at the last epoch's size: work goes with the area."""
    return sum(size**2 for size in sizes) / (len(sizes) * sizes[-1] ** 2)

"""Progressive resizing: training starts with small photos, which cost less, and ends with the size used for scoring."""

from kcars.settings import DataSettings

STEP_PX = 16


def sizes_by_epoch(data: DataSettings, epochs: int) -> list[int]:
    """Side in pixels of the photos of each epoch: first_px, raised evenly in steps of 16, and size_px from `growth` on.

    As in Howard 2018 (fast.ai's DAWNBench entry) and Tan and Le 2021, arXiv 2104.00298.
    """
    if data.first_px is None:
        return [data.size_px] * epochs
    smaller = list(range(data.first_px, data.size_px, STEP_PX))
    growing = min(round(data.growth * epochs), epochs - 1)  # The last epoch uses the size for scoring.
    return [smaller[epoch * len(smaller) // growing] if epoch < growing else data.size_px for epoch in range(epochs)]


def changes(sizes: list[int]) -> list[int]:
    """Epochs, counted from 0, with larger photos than the epoch before."""
    return [epoch for epoch in range(1, len(sizes)) if sizes[epoch] != sizes[epoch - 1]]


def sizes_by_step(sizes: list[int], steps_per_epoch: int) -> tuple[tuple[int, int], ...]:
    """(first step, side) of each series of epochs of one size, for a Stream."""
    return tuple((epoch * steps_per_epoch, sizes[epoch]) for epoch in [0, *changes(sizes)])


def work_share(sizes: list[int]) -> float:
    """Cost of training relative to training at the last size throughout; cost is proportional to the area."""
    return sum(size**2 for size in sizes) / (len(sizes) * sizes[-1] ** 2)

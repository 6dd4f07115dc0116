"""Text summary of clusters: sizes, noise, and agreement with known names."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

MOST_LINES = 20


def summary(numbers: np.ndarray, names: Sequence[str], cut: float, least: int) -> Iterator[str]:
    """Yield the lines of the summary. numbers (n,): of the clusters, -1 for noise; names: of the photos, "" if unknown."""
    grouped, groups = int((numbers >= 0).sum()), int(numbers.max()) + 1
    yield f"{groups} clusters of {least} photos or more, with mean distances up to {cut:.3f}: {grouped} of {len(numbers)} photos"
    for number in range(min(groups, MOST_LINES)):
        members = np.flatnonzero(numbers == number).tolist()
        yield f"  cluster {number + 1}: {len(members)} photos{_known(Counter(names[row] for row in members if names[row]))}"
    if groups > MOST_LINES:
        sizes = np.bincount(numbers[numbers >= MOST_LINES])[MOST_LINES:]
        yield f"  {groups - MOST_LINES} more of {sizes.min()} to {sizes.max()} photos"
    yield f"noise: {len(numbers) - grouped} photos ({1 - grouped / len(numbers):.0%}) have too few similar photos"


def _known(names: Counter) -> str:
    """Return the most frequent name of the members."""
    if not names:
        return ""
    name, count = names.most_common(1)[0]
    return f"; {count} of the {names.total()} named photos are {name}"

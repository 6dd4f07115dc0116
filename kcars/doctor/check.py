"""Checks a dataset: decodes every photo once, compares the lists, and reports findings by kind."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import cast

import joblib
import numpy as np
from joblib.externals.loky.process_executor import TerminatedWorkerError
from tqdm import tqdm

from kcars.core.csv_files import csv_text
from kcars.core.errors import KcarsError
from kcars.core.files import write_text
from kcars.core.limits import limits
from kcars.core.workers import each
from kcars.data.faults import KINDS, Fault, spoils
from kcars.data.photo_table import Dataset, Pairs
from kcars.data.spelling import why_missing
from kcars.doctor.examine import Examined, examine
from kcars.untrusted.reading import MIB

# Of 256 bits. Copies that were compressed, resized or brightened differ in up to 20, cropped by 2 % in about 34; among
# 4,154 real photos every pair up to 42 was one photo under two names, and the first pair of two cars differed in 52.
NEAR_BITS = 44


def check(datasets: dict[str, Dataset], listed: Sequence[Fault] = (), progress: bool = True) -> list[Fault]:
    """All faults of the datasets of one source, by task ("classify", "verify"); `listed`: those found by its reader.

    Photos used by both tasks are decoded once.
    """
    photos = _photos(datasets)
    paths = sorted(photos)
    examined = dict(zip(paths, _examined([photos[path] for path in paths], progress), strict=True))
    faults = [*listed]
    for dataset in datasets.values():
        faults += [Fault("missing", path, why_missing(dataset.table.root, [path])) for path in dataset.missing]
    faults += [Fault(kind, path, seen) for path in paths for kind, seen in examined[path].faults]
    faults += _copies(examined, datasets)
    for task, dataset in datasets.items():
        faults += _splits(task, dataset)
    order = {kind: number for number, kind in enumerate(KINDS)}
    return sorted(dict.fromkeys(faults), key=lambda fault: (order[fault.kind], fault.path, fault.other))


def _photos(datasets: dict[str, Dataset]) -> dict[str, tuple[Path, tuple[int, ...] | None]]:
    """File and box of each distinct photo, by its path."""
    photos = {}
    for dataset in datasets.values():
        table = dataset.table
        for row, path in enumerate(table.paths):
            photos[path] = (table.root / path, table.box_at(row))
    return photos


def _examined(photos: Sequence[tuple[Path, tuple[int, ...] | None]], progress: bool) -> list[Examined]:
    """Each photo examined, with one process per core; photos that exceed a process's share of memory, one after the other."""
    processes = joblib.cpu_count()
    share = limits().decoding_mib * MIB // processes
    try:
        found: Iterable[Examined | None] = each(examine, ((file, box, share) for file, box in photos), processes)
        found = list(tqdm(found, total=len(photos), desc="examining", unit="photo", disable=None if progress else True))
    except TerminatedWorkerError:  # Linux kills processes when memory runs out.
        raise KcarsError("a process that examined photos was killed; memory may be too short") from None
    return [one or cast(Examined, examine(*photo)) for one, photo in zip(found, photos, strict=True)]


# ---- copies ----


def _copies(examined: dict[str, Examined], datasets: dict[str, Dataset]) -> list[Fault]:
    """Copies by content, and near copies by structure, as severe as the use of the two photos."""
    use = _use(datasets)
    same_content = defaultdict(list)
    for path, found in examined.items():
        if found.digest:
            same_content[found.digest].append(path)
    faults = [_copy("copy", first, other, use) for first, *others in same_content.values() for other in others]
    copies = {other for _, *others in same_content.values() for other in others}
    hashes = {path: found.hash for path, found in examined.items() if found.hash is not None and path not in copies}
    hashed = list(hashes)
    for first, second, bits in near_pairs(list(hashes.values()), NEAR_BITS):
        faults.append(_copy("near_copy", hashed[first], hashed[second], use, f"{bits} of 256 bits differ"))
    return faults


def _use(datasets: dict[str, Dataset]) -> dict[str, tuple[tuple, set[tuple[str, bool]]]]:
    """(label, {(task, whether it is a test photo)}) of each photo."""
    use: dict[str, tuple[tuple, set]] = {}
    for task, dataset in datasets.items():
        table = dataset.table
        labels = list(zip(table.ids["make"].tolist(), table.ids["model"].tolist(), strict=True))
        for tested, rows in ((False, dataset.not_tested()), (True, dataset.test_rows())):
            for row in rows:
                use.setdefault(str(table.paths[row]), (labels[row], set()))[1].add((task, tested))
    return use


def _copy(kind: str, first: str, second: str, use: dict, detail: str = "") -> Fault:
    (label, roles), (other_label, other_roles) = use.get(first, ((), set())), use.get(second, ((), set()))
    crossing = [tested for task, tested in roles if (task, not tested) in other_roles]
    seen = [detail] if detail else []
    if crossing:
        kind += "_in_two_splits"
        seen.append(f"{second if crossing[0] else first} is a training photo")
        seen += ["under two models"] if label != other_label else []
    elif label != other_label:
        kind += "_with_two_labels"
    return Fault(kind, first, "; ".join(seen), second)


def near_pairs(hashes: Sequence[np.ndarray], most_bits: int, chunk: int = 2048) -> Iterator[tuple[int, int, int]]:
    """(first, second, differing bits) of all pairs of hashes (32,) uint8 that differ in at most `most_bits` bits.

    All pairs are compared, as a product of signs: 100,000 photos take a minute or two on two cores, and little memory.
    """
    if len(hashes) < 2:
        return
    signs = np.unpackbits(np.stack(hashes), axis=1).astype(np.float32) * 2 - 1
    for start in range(0, len(signs), chunk):
        for other in range(start, len(signs), chunk):
            differing = (signs.shape[1] - signs[start : start + chunk] @ signs[other : other + chunk].T) / 2
            rows, columns = np.nonzero(differing <= most_bits)
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
                if start + row < other + column:
                    yield start + row, other + column, int(differing[row, column])


# ---- lists ----


def _splits(task: str, dataset: Dataset) -> Iterator[Fault]:
    """Photos and models on both sides of a split, impossible pairs, models of one photo."""
    table = dataset.table
    for row in np.intersect1d(dataset.not_tested(), dataset.test_rows()):
        yield Fault("in_two_splits", str(table.paths[row]), task)
    model = table.ids["model"]
    ids, photos = np.unique(model[dataset.train], return_counts=True)
    for id_ in ids[photos == 1]:
        yield Fault(
            "model_of_one_photo",
            str(table.paths[dataset.train[model[dataset.train] == id_][0]]),
            table.name("model", id_),
        )
    if task != "verify":
        return
    for id_ in np.intersect1d(ids, model[dataset.test_rows()]):
        row = dataset.train[model[dataset.train] == id_][0]
        kind = "model_in_two_splits" if dataset.split == "as listed" else "model_in_train_and_test"
        yield Fault(kind, str(table.paths[row]), table.name("model", id_))
    for pairs in dataset.pairs.values():
        yield from _pair_faults(table.paths, model, pairs)


def _pair_faults(paths: np.ndarray, model: np.ndarray, pairs: Pairs) -> Iterator[Fault]:
    ends = np.sort(np.stack([pairs.left, pairs.right], axis=1), axis=1)
    distinct, counts = np.unique(ends, axis=0, return_counts=True) if len(ends) else (ends, np.zeros(0))
    for left, right in distinct[counts > 1]:
        yield Fault("pair_repeated", str(paths[left]), "", str(paths[right]))
    for left, right in ends[ends[:, 0] == ends[:, 1]]:
        yield Fault("pair_of_itself", str(paths[left]), "", str(paths[right]))
    wrong = (model[pairs.left] == model[pairs.right]) != (pairs.same == 1)
    for left, right, same in zip(pairs.left[wrong], pairs.right[wrong], pairs.same[wrong], strict=True):
        yield Fault("pair_with_wrong_label", str(paths[left]), f"listed as {same}", str(paths[right]))


# ---- output ----


def summary(faults: Sequence[Fault], photos: int) -> str:
    """The summary table of `kcars data check`: one line per kind, those that invalidate results first."""
    counts = Counter(fault.kind for fault in faults)
    lines = [f"{photos} photos examined, {len(faults)} finding{'s' * (len(faults) != 1)}"]
    for kind in KINDS:
        if counts[kind]:
            mark = "spoils" if spoils(kind) else "note"
            lines.append(f"  {mark:<7} {kind:<26} {counts[kind]:>7}  {KINDS[kind][1]}")
    return "\n".join(lines)


def write_csv(file: Path, faults: Sequence[Fault]) -> None:
    """Write one line per finding: kind, whether it invalidates results, photo, detail, the other photo."""
    columns = {
        "kind": [fault.kind for fault in faults],
        "spoils": [int(spoils(fault.kind)) for fault in faults],
        "path": [fault.path for fault in faults],
        "seen": [fault.detail for fault in faults],
        "other": [fault.other for fault in faults],
    }
    write_text(file, csv_text(columns))

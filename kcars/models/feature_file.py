"""Features of photos by a frozen backbone in a file of the cache folder: each photo is embedded once, whatever its dataset."""

import os
import zlib
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np

from kcars.core.errors import KcarsError
from kcars.core.limits import limits
from kcars.untrusted.reading import MIB, opened

KEY_BYTES = 16


def photo_key(pixels: np.ndarray) -> bytes:
    """The key of a photo: a hash of its pixels (h, w, 3) uint8."""
    return blake2b(np.ascontiguousarray(pixels).data, digest_size=KEY_BYTES).digest()


class FeatureFile:
    """Features (views, d) float32 of photos by key, in a file to which records are appended.

    A record is the key, the features and the CRC-32 of both. Records that are damaged, or that a killed process left incomplete,
    are treated as missing. One process at a time may append. Raises KcarsError for a link, for anything but a regular file, and
    beyond `features_mib`.
    """

    def __init__(self, path: Path, shape: tuple[int, int]):
        self.path, self.shape = path, shape
        self._record = np.dtype([("key", f"V{KEY_BYTES}"), ("features", "<f4", shape), ("sum", "<u4")])
        self._positions = self._read_positions()

    def missing(self, keys: Sequence[bytes]) -> list[int]:
        """Positions in `keys` of the first occurrence of each key that the file lacks."""
        first: dict[bytes, int] = {}
        for position, key in enumerate(keys):
            if key not in self._positions:
                first.setdefault(key, position)
        return list(first.values())

    def append(self, keys: Sequence[bytes], features: np.ndarray) -> None:
        """Append the features (n, views, d) of photos that the file lacks; raises KcarsError if the disk is full."""
        records = np.zeros(len(keys), self._record)
        records["key"], records["features"] = np.array(keys, f"V{KEY_BYTES}"), features
        records["sum"] = [_sum(record) for record in records]
        try:
            with open(self.path, "ab") as file:
                whole = os.fstat(file.fileno()).st_size // self._record.itemsize
                file.truncate(whole * self._record.itemsize)  # Removes a record that is incomplete.
                file.write(records.tobytes())
        except OSError as error:
            raise KcarsError(
                f"{self.path}: cannot be written ({error.strerror}); free some space or set KCARS_CACHE"
            ) from None
        self._positions |= {key: whole + number for number, key in enumerate(keys)}

    def read(self, keys: Sequence[bytes]) -> np.ndarray:
        """Features (n, views, d) float32 of photos that the file has, in the order of `keys`; KcarsError if they changed."""
        found = np.empty((len(keys), *self.shape), np.float32)
        records = self._records()
        for number, key in enumerate(keys):
            if self._positions[key] >= len(records):
                raise KcarsError(f"{self.path}: was deleted meanwhile; start the command again")
            record = records[self._positions[key]]
            if bytes(record["key"]) != key or _sum(record) != record["sum"]:
                raise KcarsError(f"{self.path}: is damaged; delete it to compute it again")
            found[number] = record["features"]
        return found

    def _read_positions(self) -> dict[bytes, int]:
        """Key -> number of the last sound record."""
        return {
            bytes(record["key"]): number
            for number, record in enumerate(self._records())
            if _sum(record) == record["sum"]
        }

    def _records(self) -> np.ndarray:
        """The complete records, memory-mapped."""
        if not os.path.lexists(self.path):
            return np.empty(0, self._record)
        with opened(self.path, limits().features_mib * MIB, root=self.path.parent) as file:
            count = os.fstat(file.fileno()).st_size // self._record.itemsize
            return np.memmap(file, self._record, "r", shape=(count,)) if count else np.empty(0, self._record)


def _sum(record: np.void) -> int:
    return zlib.crc32(record.tobytes()[:-4])

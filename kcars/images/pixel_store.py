"""The pixel store: every photo is decoded, cropped and resized once, and stored as raw uint8 for later epochs and runs."""

import errno
import os
import shutil
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
from filelock import FileLock
from tqdm import tqdm

from kcars.core.errors import KcarsError
from kcars.core.files import cache_folder, fingerprint, real_path, writable_folder, write_json, written_whole
from kcars.core.plain_text import warn
from kcars.core.unfinished import forget_all_leftovers
from kcars.data.photo_table import PhotoTable, PixelStore
from kcars.images import store_files
from kcars.images.decode import DECODE_VERSION, read_photo
from kcars.images.pixels import empty_photos
from kcars.settings import DataSettings
from kcars.untrusted.reading import array_in, read_bytes, read_json

NONE_BAD = np.zeros(0, np.int64)


class Decoded:
    """Photos decoded at every read: `data.cache: off`.

    checksums: (n,) uint32 of each file's size and time, to refuse photos that change meanwhile; None to accept them.
    """

    bad = NONE_BAD
    decodes = True

    def __init__(self, table: PhotoTable, data: DataSettings, checksums: np.ndarray | None = None):
        self.table, self.data, self.checksums = table, data, checksums

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Pixels (n, size, size, 3) uint8 of PhotoTable rows, in the same order."""
        out = empty_photos(len(rows), self.data.size_px)
        for position, row in enumerate(rows):
            out[position] = self.photo(row)
        return out

    def photo(self, row: int) -> np.ndarray:
        path = self.table.root / str(self.table.paths[row])
        if self.checksums is not None and _stamp_sum(self.table, row) != self.checksums[row]:
            raise KcarsError(f"{path}: has changed since the run began; restore it, or start the run again")
        return read_photo(path, self.table.box_at(row), self.data.size_px, self.data.crop, self.data.padding)


class OnDisk:
    """Photos read from the store's file, row by row, with constant memory.

    checksums: (n,) uint32 of each photo's pixels; bad: rows (n,) of photos that could not be decoded and are black.
    """

    decodes = False

    def __init__(self, file: Path, size_px: int, checksums: np.ndarray, bad: np.ndarray = NONE_BAD):
        self.file, self.size_px, self.checksums, self.bad = file, size_px, checksums, bad
        self._unread = checksums != 0  # Bad photos have none.
        self._handle = os.open(file, os.O_RDONLY)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Pixels (n, size, size, 3) uint8 of PhotoTable rows, in the same order; checksums are verified at the first read."""
        out = empty_photos(len(rows), self.size_px)
        each = out[0].nbytes if len(rows) else 0
        for position, row in enumerate(rows):
            if os.preadv(self._handle, [out[position]], int(row) * each) != each:
                raise KcarsError(f"{self.file}: ends too early; delete it to rebuild it")
            if self._unread[row]:
                if _checksum(out[position]) != self.checksums[row]:
                    raise KcarsError(f"{self.file}: is damaged; delete it to rebuild it")
                self._unread[row] = False
        return out

    def __del__(self):
        if hasattr(self, "_handle"):
            os.close(self._handle)


class InMemory:
    """The store's whole content in memory: `data.cache: memory`."""

    decodes = False

    def __init__(self, pixels: np.ndarray, checksums: np.ndarray, bad: np.ndarray = NONE_BAD):
        self.pixels, self.checksums, self.bad = pixels, checksums, bad

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Pixels (n, size, size, 3) uint8 of PhotoTable rows, in the same order."""
        return np.take(self.pixels, rows, axis=0, out=empty_photos(len(rows), self.pixels.shape[1]))


def open_store(table: PhotoTable, data: DataSettings, progress: bool = True) -> PixelStore:
    """The store of a PhotoTable for the data settings, built first if it does not exist.

    Its `bad` rows are the photos that `data.on_bad_photo: skip` leaves out. Raises KcarsError for photos that cannot be
    decoded, unless they are skipped, and if the disk is full; then no files remain.
    """
    if data.cache == "off":
        return Decoded(table, data, np.array([_stamp_sum(table, row) for row in range(len(table))], np.uint32))
    decoded, file = Decoded(table, data), store_file(table, data)
    with FileLock(f"{file}.lock"):  # A second process waits here until the store is built.
        kept = _kept(file, decoded)
        if kept is None:
            _build(decoded, file, progress)
            kept = _kept(file, decoded)
        if kept is None:
            raise KcarsError(f"{file}: cannot be read back; set KCARS_CACHE to another disk")
        os.utime(file)  # Marks the store as in use.
        sums, bad = kept
        if bad and data.on_bad_photo == "stop":
            raise _bad_photos(list(bad.values()), len(table))
        stored = OnDisk(file, data.size_px, sums, np.array(list(bad), np.int64))
    if data.cache == "disk":
        return stored
    return InMemory(stored.read(np.arange(len(table))), stored.checksums, stored.bad)


def _kept(file: Path, decoded: Decoded) -> tuple[np.ndarray, dict[int, str]] | None:
    """Checksums, and bad photos by row, of a store; None if it is missing, or damaged, in which case it is deleted."""
    if not (file.is_file() and store_files.checksums(file).is_file()):
        return None
    try:
        sums = array_in(
            read_bytes(store_files.checksums(file), 4 * len(decoded.table) + 4096), store_files.checksums(file)
        )
        bad = read_json(store_files.bad_list(file)) if os.path.lexists(store_files.bad_list(file)) else {}
        if (
            file.stat().st_size == store_bytes(len(decoded.table), decoded.data)
            and (sums.shape, sums.dtype) == ((len(decoded.table),), np.uint32)
            and list(bad) == [str(row) for row in np.flatnonzero(sums == 0)]
        ):
            return sums, {int(row): str(reason) for row, reason in bad.items()}
    except (KcarsError, TypeError, AttributeError):
        pass
    warn(f"warning: {file}: is damaged and is rebuilt")
    store_files.forget(file)
    return None


def _checksum(pixels: np.ndarray | bytes) -> int:
    """Checksum of one photo's pixels; never 0, which marks a missing photo."""
    return zlib.crc32(pixels) or 1  # pyright: ignore[reportArgumentType]  Contiguous pixels are a buffer.


def _bad_photos(reasons: list[str], photos: int) -> KcarsError:
    return KcarsError(
        f"{len(reasons)} of {photos} photos are bad; delete them, or leave them out with --set data.on_bad_photo=skip: "
        f"{'; '.join(reasons[:3])}"
    )


def store_bytes(photos: int, data: DataSettings) -> int:
    """Size of the store's file."""
    return photos * data.size_px**2 * 3


def store_file(table: PhotoTable, data: DataSettings) -> Path:
    """The path of the store: its name is a hash of photos (path, size, time), boxes and decoding settings."""
    photos = [_stamp(table, row) for row in range(len(table))]
    boxes = table.box.tolist() if data.crop == "box" else None
    settings = [data.size_px, data.crop, data.padding if data.crop == "box" else 0, DECODE_VERSION]
    key = fingerprint(str(real_path(table.root)), photos, boxes, settings)
    return writable_folder(cache_folder() / "stores", "cache folder (KCARS_CACHE)") / f"{data.size_px}px-{key}.pixels"


def _stamp(table: PhotoTable, row: int) -> tuple:
    path = table.root / str(table.paths[row])
    try:
        status = os.stat(path)
    except OSError as error:
        raise KcarsError(f"{path}: cannot be read ({error.strerror})") from None
    return str(table.paths[row]), status.st_size, status.st_mtime_ns


def _stamp_sum(table: PhotoTable, row: int) -> int:
    return zlib.crc32(repr(_stamp(table, row)).encode())


def _build(decoded: Decoded, file: Path, progress: bool) -> None:
    total = store_bytes(len(decoded.table), decoded.data)
    forget_all_leftovers(file.parent)
    store_files.forget_old_stores(file.parent, total)
    partial, begun = store_files.partial(file), 0
    if partial.is_file():
        begun = partial.stat().st_blocks * 512
    free = shutil.disk_usage(file.parent).free + begun
    if total > free:
        raise KcarsError(
            f"{file.parent}: {total >> 20} MiB are needed for the pixel store, {free >> 20} MiB are free; "
            "free some space, set KCARS_CACHE to a larger disk, or --set data.cache=off"
        )
    try:
        with open(partial, "r+b" if begun else "w+b") as handle:
            handle.truncate(total)
            sums = _sums_so_far(file, len(decoded.table))
            bad = _decode_all(decoded, handle.fileno(), sums, progress)
            os.fsync(handle.fileno())
        if bad and decoded.data.on_bad_photo == "stop":
            raise _bad_photos(list(bad.values()), len(decoded.table))
        store_files.bad_list(file).unlink(missing_ok=True)
        if bad:
            write_json(store_files.bad_list(file), bad)
        with written_whole(store_files.checksums(file), "wb") as handle:
            np.save(handle, sums)
        os.replace(partial, file)
    except OSError as error:
        store_files.forget_partial(file)
        raise KcarsError(
            f"{partial}: cannot be written ({error.strerror}); free some space or set KCARS_CACHE"
        ) from None
    except KcarsError:
        store_files.forget_partial(file)
        raise
    store_files.forget_partial(file)  # A build that is killed or interrupted leaves it for the next one.


def _sums_so_far(file: Path, photos: int) -> np.ndarray:
    """Checksums (photos,) uint32 in a file, from an interrupted build; 0 for photos that are not decoded yet."""
    path = store_files.partial_checksums(file)
    if not (path.is_file() and path.stat().st_size == 4 * photos):
        path.write_bytes(bytes(4 * photos))
    return np.memmap(path, np.uint32, "r+")


def _decode_all(decoded: Decoded, handle: int, sums: np.ndarray, progress: bool) -> dict[int, str]:
    """Decodes all photos into the file, on all cores, except those that are already there according to their checksums.

    Writes the checksums of the pixels into `sums`; returns the reason, by row, for photos that cannot be decoded.
    """
    each = store_bytes(1, decoded.data)

    def write(row: int) -> KcarsError | None:
        if sums[row] and _checksum(os.pread(handle, each, row * each)) == sums[row]:
            return None
        try:
            pixels = decoded.photo(row)
        except KcarsError as error:
            sums[row] = 0
            return error
        if os.pwrite(handle, pixels.tobytes(), row * each) != each:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sums[row] = _checksum(pixels)
        return None

    count = len(decoded.table)
    bar = tqdm(total=count, desc="decoding photos once", unit="photo", disable=None if progress else True)
    bad = {}
    with ThreadPoolExecutor(joblib.cpu_count()) as pool, bar:
        try:
            for row, error in enumerate(pool.map(write, range(count))):
                if error:
                    bad[row] = str(error)
                bar.update()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return bad

"""The pixel store: every photo decoded, cut and resized once, kept as raw uint8 for all later epochs and runs."""

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
    """Photos decoded anew at every read: `data.cache: off`.

    checksums: (n,) uint32 of each file's size and time, where a photo that changes meanwhile is to be refused.
    """

    bad = NONE_BAD
    decodes = True

    def __init__(self, table: PhotoTable, data: DataSettings, checksums: np.ndarray | None = None):
        self.table, self.data, self.checksums = table, data, checksums

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(n, size, size, 3) uint8 pixels of PhotoTable rows, in their order."""
        out = empty_photos(len(rows), self.data.size_px)
        for place, row in enumerate(rows):
            out[place] = self.photo(row)
        return out

    def photo(self, row: int) -> np.ndarray:
        path = self.table.root / str(self.table.paths[row])
        if self.checksums is not None and _stamp_sum(self.table, row) != self.checksums[row]:
            raise KcarsError(f"{path}: has changed since the run began; put it back as it was, or begin anew")
        return read_photo(path, self.table.box_at(row), self.data.size_px, self.data.crop, self.data.padding)


class OnDisk:
    """Photos read from the store's file, row by row: memory stays flat however many there are.

    checksums: (n,) uint32 of each photo's pixels; bad: rows (n,) of photos that could not be decoded and are black
    here.
    """

    decodes = False

    def __init__(self, file: Path, size_px: int, checksums: np.ndarray, bad: np.ndarray = NONE_BAD):
        self.file, self.size_px, self.checksums, self.bad = file, size_px, checksums, bad
        self._unread = checksums != 0  # What is bad has none.
        self._handle = os.open(file, os.O_RDONLY)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(n, size, size, 3) uint8 pixels of PhotoTable rows, in their order; compared with their checksums the first time."""
        out = empty_photos(len(rows), self.size_px)
        each = out[0].nbytes if len(rows) else 0
        for place, row in enumerate(rows):
            if os.preadv(self._handle, [out[place]], int(row) * each) != each:
                raise KcarsError(f"{self.file}: ends too early; delete it, and it is built again")
            if self._unread[row]:
                if _checksum(out[place]) != self.checksums[row]:
                    raise KcarsError(f"{self.file}: is damaged; delete it, and it is built again")
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
        """(n, size, size, 3) uint8 pixels of PhotoTable rows, in their order."""
        return np.take(self.pixels, rows, axis=0, out=empty_photos(len(rows), self.pixels.shape[1]))


def open_store(table: PhotoTable, data: DataSettings, progress: bool = True) -> PixelStore:
    """The store of a PhotoTable under the data settings, built first where it does not exist yet.

    Its `bad` rows are those that `data.on_bad_photo: skip` leaves out. Raises KcarsError for photos that cannot be
    decoded, unless they are skipped, and for a disk without room; then nothing is left behind.
    """
    if data.cache == "off":
        return Decoded(table, data, np.array([_stamp_sum(table, row) for row in range(len(table))], np.uint32))
    decoded, file = Decoded(table, data), store_file(table, data)
    with FileLock(f"{file}.lock"):  # A second process waits here, and then finds the store built.
        kept = _kept(file, decoded)
        if kept is None:
            _build(decoded, file, progress)
            kept = _kept(file, decoded)
        if kept is None:
            raise KcarsError(f"{file}: cannot be read back; set KCARS_CACHE to another disk")
        os.utime(file)  # Tells which stores are in use.
        sums, bad = kept
        if bad and data.on_bad_photo == "stop":
            raise _bad_photos(list(bad.values()), len(table))
        stored = OnDisk(file, data.size_px, sums, np.array(list(bad), np.int64))
    if data.cache == "disk":
        return stored
    return InMemory(stored.read(np.arange(len(table))), stored.checksums, stored.bad)


def _kept(file: Path, decoded: Decoded) -> tuple[np.ndarray, dict[int, str]] | None:
    """Checksums and bad photos by row of a store; None where there is none, or a damaged one, which is then deleted."""
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
    warn(f"warning: {file}: is damaged, and is built again")
    store_files.forget(file)
    return None


def _checksum(pixels: np.ndarray | bytes) -> int:
    """Of one photo's pixels; never 0, which stands for a photo that is not there."""
    return zlib.crc32(pixels) or 1  # pyright: ignore[reportArgumentType]  Contiguous pixels are a buffer.


def _bad_photos(reasons: list[str], photos: int) -> KcarsError:
    return KcarsError(
        f"{len(reasons)} of {photos} photos are bad; delete them, or --set data.on_bad_photo=skip leaves them out: "
        f"{'; '.join(reasons[:3])}"
    )


def store_bytes(photos: int, data: DataSettings) -> int:
    """Size of the store's file."""
    return photos * data.size_px**2 * 3


def store_file(table: PhotoTable, data: DataSettings) -> Path:
    """Where the store lies: its name is a key of photos (place, size, time), boxes and decoding settings."""
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
            "make room, set KCARS_CACHE to a larger disk, or --set data.cache=off"
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
        raise KcarsError(f"{partial}: cannot be written ({error.strerror}); make room or set KCARS_CACHE") from None
    except KcarsError:
        store_files.forget_partial(file)
        raise
    store_files.forget_partial(file)  # A build that is killed, or stopped from the keyboard, leaves it for the next.


def _sums_so_far(file: Path, photos: int) -> np.ndarray:
    """(photos,) uint32 in a file: the checksums of a build that was stopped, 0 for what it did not come to."""
    path = store_files.partial_checksums(file)
    if not (path.is_file() and path.stat().st_size == 4 * photos):
        path.write_bytes(bytes(4 * photos))
    return np.memmap(path, np.uint32, "r+")


def _decode_all(decoded: Decoded, handle: int, sums: np.ndarray, progress: bool) -> dict[int, str]:
    """Every photo to its place in the file, on all cores, but for those that are there already by their checksums.

    Writes the checksums of the pixels into `sums`; gives why, by row, for those that cannot be decoded.
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

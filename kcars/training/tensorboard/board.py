"""Writes scalars, images and texts of a run to a TensorBoard event file."""

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np

from kcars.core.errors import KcarsError
from kcars.core.limits import limits
from kcars.runs.contents import EVENTS
from kcars.untrusted.reading import MIB, opened
from kcars.untrusted.run_folder import RunFolder

WORK = ("step", "photos", "seconds", "train_seconds")
_CHECKSUM = 4  # Bytes of the checksum after the length of a record, and of that after its content.
_AROUND = 8 + 2 * _CHECKSUM  # Bytes of a record in addition to its content: its length (8) and checksums.


def board_of(folder: Path) -> "Board | NoBoard":
    """Return the Board of a run, or a NoBoard if TensorFlow, which writes event files, is not installed."""
    return Board(folder) if importlib.util.find_spec("tensorflow") else NoBoard()


class NoBoard:
    """A Board without output, for training without TensorFlow."""

    is_seen = False

    def scalars(self, rows: list[dict[str, float]]) -> None: ...

    def image(self, name: str, epoch: int, pixels: np.ndarray, description: str = "") -> None: ...

    def text(self, name: str, markdown: str) -> None: ...

    def shows(self, name: str, epoch: int) -> bool:
        return True


class Board:
    """The event file of a run; steps are epochs, and 0 is before the first.

    Event files are append-only, so the first write of a process creates a new file with the scalars of all epochs, and the
    images of the earlier file up to the first written epoch. This drops what a killed process wrote after its last saved
    state, and no image is drawn twice.
    """

    is_seen = True

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self._writer: Any = None
        self._numbers, self._pictures = 0, set()

    def scalars(self, rows: list[dict[str, float]]) -> None:
        """Write the new rows of a history."""
        import tensorflow as tf

        with self._writing(int(rows[-1]["epoch"])):
            for row in rows[self._numbers :]:
                for name, value in row.items():
                    if name != "epoch":
                        tf.summary.scalar(tag(name), value, step=int(row["epoch"]))
        self._numbers = len(rows)

    def image(self, name: str, epoch: int, pixels: np.ndarray, description: str = "") -> None:
        """Write pixels (height, width, 3) uint8; description: Markdown that TensorBoard shows with them."""
        import tensorflow as tf

        with self._writing(epoch):
            tf.summary.image(name, pixels[None], step=epoch, description=description)
        self._pictures.add((name, epoch))

    def text(self, name: str, markdown: str) -> None:
        """Write a text without an epoch, once per process, because it may have changed."""
        import tensorflow as tf

        with self._writing(0):
            tf.summary.text(name, markdown, step=0)

    def shows(self, name: str, epoch: int) -> bool:
        """Return whether the image exists, from this process or an earlier one; valid after the first write."""
        return (name, epoch) in self._pictures

    @contextlib.contextmanager
    def _writing(self, epoch: int) -> Iterator[None]:
        """Direct `tf.summary` to this file within the block, then flush it; KcarsError if writing fails."""
        import tensorflow as tf

        try:
            if self._writer is None:
                self._begin_anew(epoch)
            with cast(Any, self._writer).as_default():
                yield
            cast(Any, self._writer).flush()
        except (OSError, tf.errors.OpError) as error:
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0].rpartition("; ")[2]
            raise KcarsError(f"{self.folder}: cannot be written ({reason})") from None

    def _begin_anew(self, epoch: int) -> None:
        import tensorflow as tf

        before = [self.folder.parent / name for name in RunFolder(self.folder.parent).files(self.folder.name, EVENTS)]
        writer = tf.summary.create_file_writer(str(self.folder))
        with writer.as_default():
            for step, picture in _pictures(before):
                if step <= epoch and (picture.tag, step) not in self._pictures:
                    summary = tf.compat.v1.Summary(value=[picture])
                    tf.summary.experimental.write_raw_pb(summary.SerializeToString(), step=step)
                    self._pictures.add((picture.tag, step))
        writer.flush()
        for file in before:  # Only after the new file is on disk, in case the process is killed.
            file.unlink()
        self._writer = writer


def tag(column: str) -> str:
    """Return the tag of a history column: `training/loss`, `validation/loss`, `work/seconds`."""
    if column.startswith("val_"):
        return f"validation/{column.removeprefix('val_')}"
    return f"{'work' if column in WORK else 'training'}/{column}"


def _pictures(files: list[Path]) -> Iterator[tuple]:
    """Yield (step, summary value) of every image in event files, up to a record that a killed process left incomplete."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    for file in files:
        with contextlib.suppress(DecodeError):
            for record in _whole_records(file):
                event = tf.compat.v1.Event.FromString(record)
                for value in event.summary.value:
                    if value.metadata.plugin_data.plugin_name == "images":
                        yield event.step, value


def _whole_records(file: Path) -> Iterator[bytes]:
    """Yield the content of leading records that are within the image size limit and the rest of the file.

    TensorFlow's own reader allocates the length that a record states, also of records after the one that is asked for.
    """
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    most = limits().event_mib * MIB
    with opened(file) as content:
        left = os.fstat(content.fileno()).st_size
        while len(size := content.read(8)) == 8:
            length = int.from_bytes(size, "little")
            left -= length + _AROUND
            checksum = int.from_bytes(content.read(_CHECKSUM), "little")
            if length > most or left < 0 or checksum != masked_crc32c(size):
                return
            yield content.read(length)
            content.seek(_CHECKSUM, os.SEEK_CUR)

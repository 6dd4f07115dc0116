"""TensorBoard scalars of a run, epoch by epoch."""

from pathlib import Path

from kcars.errors import KcarsError


class Scalars:
    """Writes the numbers of epochs under their history names.

    TensorBoard files can only grow. So the first writing of a process begins them anew, with all epochs: those that a
    killed process wrote beyond its last saved state do not stay.
    """

    def __init__(self, folder: Path):
        self.folder, self._writer, self._written = Path(folder), None, 0

    def write(self, rows: list[dict[str, float]]) -> None:
        """Write the rows of a history that were not written yet."""
        import tensorflow as tf

        try:
            if self._writer is None:
                for old in self.folder.glob("events.out.tfevents.*"):
                    old.unlink()
                self._writer = tf.summary.create_file_writer(str(self.folder))
            for row in rows[self._written :]:
                with self._writer.as_default(step=int(row["epoch"])):
                    for name, value in row.items():
                        if name != "epoch":
                            tf.summary.scalar(name, value)
            self._writer.flush()
        except (OSError, tf.errors.OpError) as error:
            told = getattr(error, "strerror", None) or str(error).splitlines()[0].rpartition("; ")[2]
            raise KcarsError(f"{self.folder}: cannot be written ({told})") from None
        self._written = len(rows)

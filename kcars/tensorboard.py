"""TensorBoard scalars of a run, epoch by epoch."""

from pathlib import Path

import keras


class TensorBoardScalars(keras.callbacks.Callback):
    """Writes every number of an epoch's logs under its history name."""

    def __init__(self, folder: Path):
        super().__init__()
        import tensorflow as tf

        self._summary = tf.summary
        self._writer = tf.summary.create_file_writer(str(folder))

    def on_epoch_end(self, epoch, logs=None):
        with self._writer.as_default(step=epoch + 1):
            for name, value in logs.items():
                self._summary.scalar(name, float(value))
        self._writer.flush()

    def on_train_end(self, logs=None):
        self._writer.close()

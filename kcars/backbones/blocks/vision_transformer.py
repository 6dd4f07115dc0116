"""A vision transformer (Dosovitskiy et al. 2020, arXiv 2010.11929) with register tokens (Darcet et al. 2023, arXiv 2309.16588)."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
from keras import layers, ops

from kcars.backbones.blocks.convnext import norm
from kcars.backbones.blocks.gelu import Gelu
from kcars.backbones.blocks.layers import LayerScale, StochasticDepth

CUBIC = -0.5  # The free parameter of bicubic interpolation, with which PyTorch's reduces images without aliasing.


class Layout(NamedTuple):
    """patch: side of a patch in pixels; trained: patches on a side of the photos for which positions are stored; registers:
    tokens that are neither patches nor class."""

    width: int
    heads: int
    blocks: int
    patch: int
    trained: int
    registers: int


def transformer_grid(images, layout: Layout, drop_path: float = 0.0):
    """A feature map (n, h / patch, w / patch, 2 * width) for scaled images (n, h, w, 3) of a fixed size.

    The first half of its channels is the normalized patch tokens. The second half is the normalized class token, shared among
    the patches by the attention of the last block, so that the global average is the mean patch token and the class token.
    """
    patches = layers.Conv2D(layout.width, layout.patch, layout.patch, name="patches")(images)
    rows, columns = patches.shape[1:3]
    x, attention = Tokens(layout.registers, layout.trained, name="tokens")(patches), None
    for block in range(1, layout.blocks + 1):
        drop = drop_path * (block - 1) / max(layout.blocks - 1, 1)
        x, attention = _block(x, layout.heads, f"block{block}", drop)
    x = norm("top_norm")(x)
    return ClassTokenOnGrid(rows, columns, name="grid")([x, attention])


def _block(x, heads: int, name: str, drop: float):
    """(tokens (n, t, c), attention (n, heads, t, t)): attention among the tokens, then two layers at each."""
    y = norm(f"{name}_norm1")(x)
    width = y.shape[-1]
    three = [layers.Dense(width, name=f"{name}_{part}")(y) for part in ("query", "key", "value")]
    y, attention = Attention(heads, name=f"{name}_attention")(three)
    x = _added(x, layers.Dense(width, name=f"{name}_output")(y), f"{name}_first", drop)
    y = layers.Dense(4 * width, name=f"{name}_wide")(norm(f"{name}_norm2")(x))
    y = layers.Dense(width, name=f"{name}_narrow")(Gelu(name=f"{name}_gelu")(y))
    return _added(x, y, f"{name}_second", drop), attention


def _added(x, y, name: str, drop: float):
    y = LayerScale(1.0, name=f"{name}_scale")(y)
    if drop:
        y = StochasticDepth(drop, name=f"{name}_drop")(y)
    return layers.Add(name=f"{name}_add")([x, y])


@keras.saving.register_keras_serializable(package="kcars")
class Tokens(keras.layers.Layer):
    """Patches (n, h, w, c) to tokens (n, 1 + registers + h * w, c): class token, registers, patches with their positions.

    Positions are stored for trained x trained patches and interpolated to h x w.
    """

    def __init__(self, registers, trained, **kwargs):
        super().__init__(**kwargs)
        self.registers, self.trained = int(registers), int(trained)

    def build(self, input_shape):
        width, begin = input_shape[-1], keras.initializers.TruncatedNormal(stddev=0.02)
        sizes = {"class": 1, "register": self.registers, "position": 1 + self.trained**2}
        self.first, self.register, self.position = (  # In float32, in which positions are interpolated.
            self.add_weight(shape=(1, size, width), initializer=begin, autocast=False, name=name)
            for name, size in sizes.items()
        )

    def call(self, patches):
        rows, columns, width = patches.shape[1:]
        places = self._interpolated(self.position[0, 1:], rows, columns)
        added = ops.concatenate([self.first + self.position[:, :1], self.register, places], axis=1)
        flat = ops.reshape(patches, (-1, rows * columns, width))
        return ops.pad(flat, [[0, 0], [1 + self.registers, 0], [0, 0]]) + ops.cast(added, flat.dtype)

    def _interpolated(self, position, rows: int, columns: int):
        """Positions (1, rows * columns, c) float32, bicubic and without aliasing."""
        side, width = self.trained, position.shape[-1]
        by_row = ops.matmul(ops.array(bicubic(side, rows), "float32"), ops.reshape(position, (side, side * width)))
        found = ops.matmul(ops.array(bicubic(side, columns), "float32"), ops.reshape(by_row, (rows, side, width)))
        return ops.reshape(found, (1, rows * columns, width))

    def compute_output_spec(self, patches):
        shape: Sequence = patches.shape
        tokens = 1 + self.registers + shape[1] * shape[2]
        return keras.KerasTensor((shape[0], tokens, shape[3]), dtype=self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "registers": self.registers, "trained": self.trained}


@keras.saving.register_keras_serializable(package="kcars")
class Attention(keras.layers.Layer):
    """Queries, keys and values (n, t, c) to (values (n, t, c), attention (n, heads, t, t)), which is computed in float32."""

    def __init__(self, heads, **kwargs):
        super().__init__(**kwargs)
        self.heads = int(heads)

    def call(self, three):
        tokens, width = three[0].shape[1:]
        split = (-1, tokens, self.heads, width // self.heads)
        query, key, value = (ops.transpose(ops.reshape(one, split), (0, 2, 1, 3)) for one in three)
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) * (width // self.heads) ** -0.5
        attention = ops.softmax(ops.cast(scores, "float32"), axis=-1)
        found = ops.matmul(ops.cast(attention, value.dtype), value)
        return ops.reshape(ops.transpose(found, (0, 2, 1, 3)), (-1, tokens, width)), attention

    def compute_output_spec(self, three):
        count, tokens, width = three[0].shape
        return (
            keras.KerasTensor((count, tokens, width), dtype=self.compute_dtype),
            keras.KerasTensor((count, self.heads, tokens, tokens), dtype="float32"),
        )

    def get_config(self):
        return {**super().get_config(), "heads": self.heads}


@keras.saving.register_keras_serializable(package="kcars")
class ClassTokenOnGrid(keras.layers.Layer):
    """Tokens (n, t, c), the class token first and patches last, and attention (n, heads, t, t) to a grid (n, h, w, 2c) float32.

    Each position has its patch token, and the class token times h * w times the share of the position in its attention to the
    patches: the mean of these is the class token.
    """

    def __init__(self, rows, columns, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.rows, self.columns = int(rows), int(columns)

    def call(self, given):
        tokens, attention = (ops.cast(one, "float32") for one in given)
        places, width = self.rows * self.columns, tokens.shape[-1]
        share = ops.mean(attention[:, :, 0, -places:], axis=1)
        share = share * (places / ops.sum(share, axis=-1, keepdims=True))
        spread = tokens[:, :1] * ops.expand_dims(share, -1)
        grid = ops.concatenate([tokens[:, -places:], spread], axis=-1)
        return ops.reshape(grid, (-1, self.rows, self.columns, 2 * width))

    def compute_output_spec(self, given):
        shape = (given[0].shape[0], self.rows, self.columns, 2 * given[0].shape[-1])
        return keras.KerasTensor(shape, dtype="float32")

    def get_config(self):
        return {**super().get_config(), "rows": self.rows, "columns": self.columns}


def bicubic(given: int, wanted: int) -> np.ndarray:
    """A matrix (wanted, given) that resizes `given` values in a row, whose kernel is as wide as the reduction (Keys 1981)."""
    step = given / wanted
    centre = (np.arange(wanted)[:, None] + 0.5) * step
    distance = np.abs(np.arange(given) + 0.5 - centre) / max(step, 1.0)
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
    far = CUBIC * (((distance - 5) * distance + 8) * distance - 4)
    weights = np.where(distance < 1, near, np.where(distance < 2, far, 0.0))
    return weights / weights.sum(1, keepdims=True)

"""What kcars uses of Keras, as types: Keras' own sources have few, and what is guessed from them holds of no backend.

A tensor is `Any`, as it is TensorFlow's, PyTorch's or a symbolic one, and no class is above them all. Names that are missing here are
missing from Keras too, as far as a check can tell: add what is used.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from . import (
    activations as activations,
)
from . import (
    applications as applications,
)
from . import (
    backend as backend,
)
from . import (
    callbacks as callbacks,
)
from . import (
    config as config,
)
from . import (
    initializers as initializers,
)
from . import (
    layers as layers,
)
from . import (
    losses as losses,
)
from . import (
    metrics as metrics,
)
from . import (
    models as models,
)
from . import (
    ops as ops,
)
from . import (
    optimizers as optimizers,
)
from . import (
    random as random,
)
from . import (
    saving as saving,
)
from . import (
    utils as utils,
)
from .layers import Layer as Layer
from .models import Model as Model

__version__: str

class Variable:
    name: str
    path: str
    shape: tuple[int, ...]
    dtype: str
    trainable: bool
    value: Any
    def __init__(
        self, initializer: Any, *, dtype: str | None = None, trainable: bool = True, **settings: Any
    ) -> None: ...
    def assign(self, value: Any) -> Any: ...
    def assign_add(self, value: Any) -> Any: ...
    def numpy(self) -> npt.NDArray[Any]: ...
    def __array__(self, dtype: Any = None) -> np.ndarray[Any, Any]: ...
    def __getitem__(self, key: Any) -> Any: ...
    def __add__(self, other: Any) -> Any: ...
    def __radd__(self, other: Any) -> Any: ...
    def __sub__(self, other: Any) -> Any: ...
    def __rsub__(self, other: Any) -> Any: ...
    def __mul__(self, other: Any) -> Any: ...
    def __rmul__(self, other: Any) -> Any: ...
    def __truediv__(self, other: Any) -> Any: ...
    def __rtruediv__(self, other: Any) -> Any: ...
    def __pow__(self, other: Any) -> Any: ...
    def __rpow__(self, other: Any) -> Any: ...
    def __float__(self) -> float: ...
    def __int__(self) -> int: ...

class KerasTensor:
    name: str
    shape: tuple[Any, ...]
    dtype: str
    def __init__(self, shape: Any, dtype: str = "float32", **settings: Any) -> None: ...

Input: Callable[..., Any]

"""The activation beside its definition by the normal distribution."""

import math

import keras
import numpy as np
import pytest

from kcars.backbones.blocks.gelu import Gelu


@pytest.mark.parametrize(("policy", "tolerance"), [("float32", 1e-6), ("mixed_bfloat16", 0.02)])
def test_values_are_those_of_the_definition(policy, tolerance):
    values = np.linspace(-6, 6, 61).astype(np.float32)
    expected = [x * 0.5 * (1 + math.erf(x / math.sqrt(2))) for x in values]
    found = Gelu(dtype=policy)(values)
    assert keras.backend.standardize_dtype(found.dtype) == Gelu(dtype=policy).compute_dtype
    assert np.asarray(found).astype(float) == pytest.approx(expected, abs=tolerance, rel=tolerance)

"""Probabilities from logits, compared with those of SciPy."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from lstm_sentiment.model.probabilities import log_softmax, probabilities, sigmoid

CHECKED = settings(deadline=None, max_examples=50, derandomize=True)
LOGITS = st.floats(-1e4, 1e4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_are_computed_in_float64(dtype: type) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        probabilities = sigmoid(np.array([-1000, -100, 0, 17.5, 30, 1000], dtype))
    assert probabilities.dtype == np.float64
    expected = [0, math.exp(-100), 0.5, 1 - math.exp(-17.5), 1 - math.exp(-30), 1]
    assert probabilities == pytest.approx(expected, rel=1e-14)
    assert (probabilities[3:5] < 1).all()


@CHECKED
@given(st.lists(LOGITS, max_size=5))
def test_a_sigmoid_is_that_of_scipy(logits: list[float]) -> None:
    np.testing.assert_allclose(sigmoid(np.array(logits)), special.expit(logits), rtol=1e-15)


@CHECKED
@given(st.lists(st.tuples(LOGITS, LOGITS, LOGITS), min_size=1, max_size=4))
def test_a_softmax_is_that_of_scipy(logits: list[tuple[float, ...]]) -> None:
    rows = np.array(logits)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(probabilities(rows), special.softmax(rows, axis=1))
        np.testing.assert_array_equal(log_softmax(rows), special.log_softmax(rows, axis=1))

"""Fixtures of all tests of scripts."""

from collections.abc import Iterator

import pytest

from lstm_sentiment.model.subnormals import are_subnormals_flushed, flush_subnormals


@pytest.fixture(autouse=True)
def subnormals_as_before() -> Iterator[None]:
    """A benchmark sets the mode of its own process, which tests share with others."""
    yield
    if are_subnormals_flushed():
        flush_subnormals(False)

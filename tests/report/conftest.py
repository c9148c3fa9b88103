"""Fixtures for the tests of reports."""

import gc

import pytest

from lstm_sentiment.report.page import Block
from tests.support.reports import put_three, report


@pytest.fixture(autouse=True)
def _no_garbage_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    """statsmodels collects garbage at every correction, which takes longer than all the rest."""
    monkeypatch.setattr(gc, "collect", lambda *_: 0)


@pytest.fixture(scope="session")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[Block]:
    """Return the report on `put_three`."""
    folder = tmp_path_factory.mktemp("three")
    put_three(folder)
    return report(folder)

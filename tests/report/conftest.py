"""Fixtures for the tests of reports."""

import pytest

from lstm_sentiment.report.page import Block
from tests.support.reports import put_three, report


@pytest.fixture(scope="session")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[Block]:
    """Return the report on `put_three`."""
    folder = tmp_path_factory.mktemp("three")
    put_three(folder)
    return report(folder)

"""Numbers as text."""

import pytest

from lstm_sentiment.report.formatting import p_value


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0004, "<0.001"),
        (0.0306, "0.031"),
        (0.0494, "0.049"),
        (0.0497, "<0.050"),
        (0.05, "0.050"),
        (0.0501, "0.050"),
        (1.0, "1.000"),
    ],
)
def test_a_p_value_shows_whether_it_is_below_five_per_cent(p: float, text: str) -> None:
    assert p_value(p) == text

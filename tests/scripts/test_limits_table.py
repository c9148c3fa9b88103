"""The table of limits in docs/reliability.md has all limits and their present values."""

import re

import pytest

from lstm_sentiment.files import limits
from lstm_sentiment.files.limits import LIMITS, Limit
from scripts.publish import pages
from scripts.publish.limits_table import markdown

PAGE = pages.DOCS / "reliability.md"


def test_the_page_has_the_present_table() -> None:
    text = PAGE.read_text()
    assert f"<!-- table of limits -->\n{markdown()}\n<!-- end -->" in text


def test_every_limit_of_the_module_has_a_row() -> None:
    defined = [value for value in vars(limits).values() if isinstance(value, Limit)]
    assert sorted(limit.name for limit in LIMITS) == sorted(limit.name for limit in defined)


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_a_row_has_the_value_of_its_limit(limit: Limit) -> None:
    [row] = re.findall(rf"`{limit.variable}` \| (.*) \| ([\d,]+) (.*) \|", markdown())
    applies_to, amount, unit = row
    assert applies_to == limit.applies_to
    factor = 2**20 if unit == "MiB" else 1
    assert int(amount.replace(",", "")) * factor == limit.default
    assert unit in ("MiB", limit.unit)

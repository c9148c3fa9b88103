"""numbers and names -> text."""

from collections.abc import Sequence

import numpy as np

NAMED = 3  # in a sentence, which gives the number of further names
NOTHING = "–"  # an unknown value


def percent(value: float) -> str:
    """Return a share in per cent, such as 87.50."""
    return f"{100 * value:.2f}"


def points(difference: float) -> str:
    """Return a difference of shares in percentage points, such as +1.25."""
    return f"{100 * difference:+.2f}"


def mean_percent(shares: np.ndarray) -> str:
    """Return the mean of (S,) shares in per cent."""
    return percent(shares.mean()) if len(shares) else NOTHING


def spread(shares: np.ndarray) -> str:
    """Return the mean of (S,) shares in per cent and, if S > 1, their standard deviation."""
    deviation = f" ± {percent(shares.std(ddof=1))}" if len(shares) > 1 else ""
    return mean_percent(shares) + deviation


def mean(values: np.ndarray, form: str) -> str:
    """Return the mean of (S,) values in a format such as ",.0f"."""
    return format(float(values.mean()), form) if len(values) else NOTHING


def bounds(interval: tuple[float, float] | None) -> str:
    """Return an interval of shares in per cent, such as 86.10 to 88.20."""
    return " to ".join(map(percent, interval)) if interval else NOTHING


def p_value(p: float) -> str:
    """Return a p-value with three digits, which show whether it is below 0.05."""
    text = "<0.001" if p < 0.001 else f"{p:.3f}"
    return "<0.050" if text == "0.050" and p < 0.05 else text


def first_names(names: Sequence[str]) -> str:
    """Return the first names, and the number of further names."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def enumeration(names: Sequence[str]) -> str:
    """Return one or more names in the form "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

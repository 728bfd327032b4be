"""Numbers formatted as text for people, in one style for terminal and reports.

Four significant digits, and every digit before the point; a comma between thousands;
an exponent only from a million on and below a ten-thousandth; shares in per cent. And
how wide a text is.
"""

from __future__ import annotations

import math
import os
import re
from numbers import Integral
from typing import Any

#: What a number that is not there looks like.
NONE = "–"
_SHARES = r"(balanced_)?accuracy|top\d+|f1|precision|recall|probability|share"


def number(value: Any, digits: int = 4) -> str:
    """Return a number formatted as text, with four significant digits by default.

    Whole numbers (``int``) are counts and keep all of their digits.

    Args:
        value: a number, or None for one that is missing.
        digits: how many significant ones at most, besides those before the point.

    >>> number(0.123456), number(340_000.4), number(3.4e6), number(2e-5), number(7.0)
    ('0.1235', '340,000', '3.4e6', '2e-5', '7')
    >>> number(12_345_678), number(None), number(float("nan")), number(-math.inf)
    ('12,345,678', '–', 'nan', '-inf')
    """
    if value is None:
        return NONE
    if isinstance(value, Integral):
        return f"{int(value):,}"
    value = float(value)
    if not math.isfinite(value):
        return f"{value:g}"
    if abs(value) < 10 ** (digits - 1):
        rounded = float(f"{value:.{digits}g}") + 0.0  # which makes 0 of −0
    else:
        rounded = float(round(value))
    size = abs(rounded)
    if size and not 1e-4 <= size < 1e6:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{_short(mantissa)}e{int(exponent)}"
    before = math.floor(math.log10(size)) + 1 if size else 0
    return _short(f"{rounded:,.{max(digits - before, 0)}f}")


def percent(share: Any, decimals: int = 2) -> str:
    """Return a share formatted as text in per cent; 100 % and 0 % only if exact.

    >>> percent(0.98765), percent(1.0), percent(0.999999), percent(1e-9)
    ('98.77%', '100.00%', '>99.99%', '<0.01%')
    """
    if share is None:
        return NONE
    share, least = float(share), 10.0 ** -(decimals + 2)
    text = f"{share:.{decimals}%}"
    if 0 < share < 1 and text == f"{0:.{decimals}%}":
        return f"<{least:.{decimals}%}"
    if 0 < share < 1 and text == f"{1:.{decimals}%}":
        return f">{1 - least:.{decimals}%}"
    return text


def is_share(metric: str) -> bool:
    """Return whether a metric is a share, shown in per cent."""
    return re.fullmatch(_SHARES, metric) is not None


def measure(metric: str, value: Any) -> str:
    """Return a metric's value formatted as text, shares in per cent.

    >>> measure("accuracy", 0.975), measure("mae", 1234.5678)
    ('97.50%', '1,235')
    """
    return percent(value) if is_share(metric) else number(value)


def width(text: str) -> int:
    """Return the width of a text in terminal columns; Chinese characters take two.

    >>> width("iris"), width("玫瑰")
    (4, 4)
    """
    from unicodedata import combining, east_asian_width  # few programs need it

    return sum(0 if combining(c) else 1 + (east_asian_width(c) in "WF") for c in text)


def padded(text: str, columns: int, mark: str = " ") -> str:
    """Return a text padded on the right to a width in terminal columns.

    >>> padded("iris ", 8, "─"), padded("玫瑰 ", 8, "─")
    ('iris ───', '玫瑰 ───')
    """
    return text + mark * (columns - width(text))


def plain(value: Any) -> Any:
    """Return ``value`` as JSON data: NaN and infinity become None, arrays lists.

    >>> plain({"loss": float("nan"), "rows": (1, 2.5)})
    {'loss': None, 'rows': [1, 2.5]}
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _short(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text

"""Names: those of initializers as paths of parameters, and back.

PyTorch's names are paths already (``layer1.0.weight``). Others have characters that no
attribute has, so these are written otherwise, and the module keeps both names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

#: A name of one attribute has at most so many characters.
LONGEST = 120


def paths(names: Iterable[str], taken: Iterable[str]) -> dict[str, str]:
    """Return a path for each name: dots between parts of letters, digits and ``_``.

    Args:
        names: of initializers.
        taken: names that no part may have.

    >>> paths(["fc.weight", "onnx::MatMul_7", "fc weight", "fc_weight", "fc"], [])
    ... # doctest: +NORMALIZE_WHITESPACE
    {'fc.weight': 'fc.weight', 'onnx::MatMul_7': 'onnx_MatMul_7',
     'fc weight': 'fc_weight', 'fc_weight': 'fc_weight_1', 'fc': 'fc_1'}
    """
    reserved = set(taken)
    used: set[str] = set()
    holders: set[str] = set()
    counts: Counter[str] = Counter()
    result: dict[str, str] = {}
    for name in names:
        parts = [_cleaned(part, reserved) for part in name.split(".")]
        if len(parts) > 16:
            parts = [_cleaned("_".join(parts), reserved)]
        path = _free(parts, used, holders, counts)
        used.add(path)
        holders.update(_prefixes(path))
        result[name] = path
    return result


def _cleaned(part: str, reserved: set[str]) -> str:
    """Return one part of a path: an attribute's name that nothing else has."""
    text = re.sub(r"[^0-9A-Za-z_]+", "_", part).strip("_")[:LONGEST] or "_"
    return f"{text}_" if text in reserved else text


def _prefixes(path: str) -> list[str]:
    """Return the paths of the modules that hold a parameter."""
    parts = path.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


def _free(
    parts: list[str], used: set[str], holders: set[str], counts: Counter[str]
) -> str:
    """Return a path that no other name has, and that is no module's."""
    path = ".".join(parts)
    if any(prefix in used for prefix in _prefixes(path)):
        path = "_".join(parts)
    free = path
    while free in used or free in holders:
        counts[path] += 1
        free = f"{path}_{counts[path]}"
    return free

"""The data of an explanation's page read once more, as plainly as can be.

Nothing here knows the package: numbers are unpacked by NumPy, a link is a list of
``(child, parent, derivative)``, and paths are sums over those lists.
"""

from __future__ import annotations

import base64
import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

Triple = tuple[int, int, float]


def unpacked(pack: Any) -> np.ndarray:
    """The numbers of a pack."""
    if isinstance(pack, list):
        return np.array(pack)
    if "all" in pack:
        return np.full(pack["size"], pack["all"])
    return np.frombuffer(base64.b64decode(pack["base64"]), "<" + pack["type"])


def places(pack: Any, shape: list[int]) -> list[int]:
    """The places that a link names."""
    if "start" not in pack:
        return unpacked(pack).tolist()
    steps = zip(np.indices(shape), pack["steps"])
    grid = pack["start"] + sum((i * s for i, s in steps), np.zeros(shape, int))
    return grid.reshape(-1).tolist()


@dataclass
class Term:
    """An element that is joined to another one, with the derivative between them."""

    v: int
    k: int
    d: float


class Sheet:
    """Values and links of a step."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data, self.values, self.loss = data, data["values"], data["loss"]

    def size(self, v: int) -> int:
        return int(np.prod(self.values[v]["shape"], dtype=int))

    def numbers(self, v: int, key: str = "data") -> np.ndarray:
        return unpacked(self.values[v][key])

    def triples(self, link: dict[str, Any]) -> list[Triple]:
        """All derivatives of a link."""
        p, c = (self.values[link[k]]["shape"] for k in ("from", "to"))
        if link["kind"] == "listed":
            lists = [unpacked(link[k]).tolist() for k in ("children", "parents", "d")]
            return list(zip(*lists))
        if link["kind"] == "times":
            return list(self._times(link))
        d = unpacked(link["d"]).tolist()
        if link["kind"] == "each":
            rows = [
                (k, j, x) for k, (j, x) in enumerate(zip(places(link["index"], c), d))
            ]
        else:
            assert link["kind"] == "into"
            rows = [
                (k, j, x) for j, (k, x) in enumerate(zip(places(link["index"], p), d))
            ]
        return [(k, j, x) for k, j, x in rows if k >= 0 and j >= 0]

    def _times(self, link: dict[str, Any]) -> Iterator[Triple]:
        ids = (link["from"], link["other"], link["to"])
        shapes = [self.values[v]["shape"] for v in ids]
        letters = link["letters"]
        other = self.numbers(link["other"]).reshape(shapes[1])
        sizes: dict[str, int] = {}
        slid = sorted(c for c in letters[2] if c.isdigit())
        for word, shape in zip(letters, shapes):
            sizes |= {c: n for c, n in zip(word, shape) if not c.isdigit()}
        at = {c: [w.index(c) for w in letters] for c in slid}
        window, through = (1, 0) if link.get("first", True) else (0, 1)
        plain = list(sizes)
        for setting in itertools.product(*(range(sizes[c]) for c in plain)):
            known = dict(zip(plain, setting))
            ranges = [
                itertools.product(
                    range(shapes[2][at[c][2]]), range(shapes[window][at[c][window]])
                )
                for c in slid
            ]
            for pairs in itertools.product(*ranges):
                index = [[known.get(c, 0) for c in word] for word in letters]
                for n, (c, (o, r)) in enumerate(zip(slid, pairs)):
                    i = o * link["strides"][n] + r * link["rhs_dilation"][n]
                    i -= link["padding"][n][0]
                    if i % link["lhs_dilation"][n]:
                        break
                    i //= link["lhs_dilation"][n]
                    if not 0 <= i < shapes[through][at[c][through]]:
                        break
                    index[2][at[c][2]] = o
                    index[window][at[c][window]] = r
                    index[through][at[c][through]] = i
                else:
                    k, j = (
                        int(np.ravel_multi_index(index[w], shapes[w]))
                        if shapes[w]
                        else 0
                        for w in (2, 0)
                    )
                    yield k, j, float(other[tuple(index[1])])

    @cached_property
    def ways(self) -> tuple[dict[Any, list[Term]], dict[Any, list[Term]]]:
        """From each element to those it is computed from, and to those that read it."""
        down: dict[Any, list[Term]] = defaultdict(list)
        up: dict[Any, list[Term]] = defaultdict(list)
        for link in self.data["links"]:
            if link["kind"] == "left":
                continue
            for k, j, d in self.triples(link):
                down[link["to"], k].append(Term(link["from"], j, d))
                up[link["from"], j].append(Term(link["to"], k, d))
        return down, up

    def near(self, v: int, k: int, way: int) -> list[Term]:
        """The next elements that have a symbol (0: back, 1: ahead)."""
        found: dict[tuple[int, int], float] = defaultdict(float)
        waiting = [Term(v, k, 1.0)]
        while waiting:
            here = waiting.pop()
            for term in self.ways[way][here.v, here.k]:
                d = here.d * term.d
                if "symbol" in self.values[term.v]:
                    found[term.v, term.k] += d
                elif d:
                    waiting.append(Term(term.v, term.k, d))
        return [Term(*place, d) for place, d in found.items() if d]

    def slope(self, v: int, k: int) -> float:
        """∂ℒ/∂v[k] of a value that the step computes."""
        if v == self.loss:
            return 1.0
        if "gradient" not in self.values[v]:
            return 0.0
        return float(self.numbers(v, "gradient")[k])

    def products(self, v: int, k: int) -> list[float]:
        """The products whose sum is ∂ℒ/∂v[k]."""
        return [self.slope(t.v, t.k) * t.d for t in self.near(v, k, 1)]

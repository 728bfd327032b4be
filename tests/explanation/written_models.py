"""Models as people write them: words of the public functions, one behind the other."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn
from chainrule.errors import ChainruleError
from tests.program_vocabulary import CHOICES, WEIGHTS, WORDS

D: Any = {"dtype": "float64"}


@dataclass(frozen=True)
class Said:
    """A word, what it is said of, by number, and what is drawn in it."""

    word: str
    of: tuple[int, ...]
    drawn: dict[str, Any]


class Written(nn.Module):
    """Layers, and words about what they and other words give."""

    def __init__(self, seed: int, many: int = 4) -> None:
        rng = random.Random(seed)
        cr.manual_seed(seed)
        self.f, self.g = nn.Linear(4, 4, **D), nn.Linear(4, 3, **D)
        self.w = nn.Parameter(np.random.default_rng(seed).normal(size=(3, 4)))
        self.out = nn.Linear(4, 2, **D)
        self.said: list[Said] = []
        rows = np.random.default_rng(seed).normal(size=(5, 4))
        x, more = cr.tensor(rows[:3]), cr.tensor(rows)
        for _ in range(60):
            (name,) = rng.choices([*WORDS], WEIGHTS)
            word = WORDS[name]
            values = self._values(x)
            kinds = [_kind(v) for v in values]
            of = [
                rng.choice([i for i, k in enumerate(kinds) if k == kind])
                for kind in word.kinds
            ]
            drawn = {k: CHOICES[k](rng) for k in word.drawn}
            self.said.append(Said(name, tuple(of), drawn))
            try:
                made = self._values(x)[-1]
                self.forward(more)  # for any number of samples
                tame = np.all(np.abs(made.detach().numpy()) < 30)
                if not tame or not 0 < made.size < 200:
                    raise ValueError
            except (ChainruleError, ArithmeticError, ValueError, IndexError, TypeError):
                self.said.pop()
            if len(self.said) == many:
                break

    def _values(self, x: cr.Tensor) -> list[cr.Tensor]:
        h = self.f(x)
        values = [x, h, self.g(h.tanh()), self.w, (h * 2).int(), h > 0]
        for each in self.said:
            word = WORDS[each.word]
            made = word.apply(*[values[i] for i in each.of], **each.drawn)
            values.append(made)
        return values

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        values = self._values(x)
        y = self.out(values[1])
        for each in values[6:]:
            y = y + (each * 1.0).sum() * 0.1 if _kind(each) == "f" else y
        return y


def _kind(value: cr.Tensor) -> str:
    return "f" if value.dtype.is_float else "b" if value.dtype == cr.bool else "i"

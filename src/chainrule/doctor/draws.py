"""Other draws of initial weights: the same rule with another seed.

Weights that look as the layers draw them, or as He's or Glorot's rule does, are drawn
anew by it. Others that look like independent draws, of whatever deviation, change
places among themselves within each matrix. Those that have an order, which may have
been trained, are kept.
"""

from __future__ import annotations

import numpy as np

from chainrule.doctor.finding import Change
from chainrule.doctor.initialising import is_of_product, keep_variance, redrawn
from chainrule.doctor.setup import Setup, as_drawn
from chainrule.graph.node import Array
from chainrule.random import permutation
from chainrule.tensor import tensor
from chainrule.text import _

#: Deviations that differ by a smaller share, beside three standard errors of two draws,
#: are those of one rule.
ALIKE = 0.1
#: So few numbers show no order, and none of which a sum is this many standard errors
#: away from what independent draws have is independent.
FEW, ERRORS = 40, 4.0


def other_draw(setup: Setup) -> Change | None:
    """Return the change of all initial weights to another draw of the same rule.

    None where one of them has an order.
    """
    paths = {n.rpartition(".")[0] for n, __ in setup.model.named_parameters()}
    if paths <= as_drawn(setup.model):
        return redrawn(paths)
    own = _deviations(setup)
    known = dict[bool, float]()
    for relu in (True, False):
        fresh = setup.copy()
        keep_variance(fresh, relu=relu)
        other = _deviations(fresh)
        if own and all(_alike(own[n], found) for n, found in other.items()):
            far = (abs(own[n][0] - s) / s for n, (s, __) in other.items() if s)
            known[relu] = sum(far)
    if known:
        return _by_rule(relu=min(known, key=known.__getitem__))
    matrices = [p.numpy() for p in setup.model.parameters() if p.ndim > 1]
    large = [m for m in matrices if m.size >= FEW]
    drawn = all(map(is_noise, large)) and all(m.std() > 0 for m in matrices)
    return _places() if large and drawn else None


def _alike(own: tuple[float, int], other: tuple[float, int]) -> bool:
    """Return whether two deviations, each of so many numbers, are those of one rule."""
    (a, n), (b, __) = own, other
    return abs(a - b) <= (ALIKE + 3 / np.sqrt(n)) * b


def _deviations(setup: Setup) -> dict[str, tuple[float, int]]:
    """Return the deviations of all weight matrices; none if some are not of layers."""
    found = {
        n: (float(np.std(p.numpy())), p.numpy().size)
        for n, p in setup.model.named_parameters()
        if p.ndim > 1
    }
    return found if all(is_of_product(setup.model, n) for n in found) else {}


def _by_rule(*, relu: bool) -> Change:
    def apply(setup: Setup) -> None:
        keep_variance(setup, relu=relu)

    return Change(_("other initial weights"), "weights", "", apply, slots=("weights",))


def _places() -> Change:
    """Return the change that puts the numbers of each matrix in another order."""

    def apply(setup: Setup) -> None:
        for k, (__, p) in enumerate(setup.model.named_parameters()):
            if p.ndim > 1:
                numbers = p.numpy()
                order = permutation(numbers.size, setup.seed, k)
                other = numbers.reshape(-1)[order].reshape(numbers.shape)
                p.detach().copy_(tensor(other))

    return Change(_("other initial weights"), "weights", "", apply, slots=("weights",))


def is_noise(weights: Array) -> bool:
    """Return whether numbers look like independent draws of one symmetric distribution.

    Neither their mean nor the mean of their squares is far from that of all, for any
    index of any axis. Weights that were trained have rows and columns that matter more
    than others.

    >>> noise = np.random.default_rng(0).normal(size=(40, 30))
    >>> is_noise(noise), is_noise(noise * np.linspace(0.1, 2, 30)), is_noise(noise * 0)
    (True, False, False)
    """
    w = weights.astype(np.float64)
    spread = float(w.std())
    if w.size < FEW or not np.isfinite(spread) or not spread:
        return False
    w = w / spread
    squares = w * w
    off = squares - squares.mean()
    deviations = 1.0, max(float(off.std()), 1e-12)
    if abs(float(w.mean())) * np.sqrt(w.size) > ERRORS:
        return False
    for axis, length in enumerate(w.shape):
        each = w.size // length
        if length == 1 or each == 1:
            continue
        others = tuple(i for i in range(w.ndim) if i != axis)
        for numbers, deviation in zip((w, off), deviations, strict=True):
            sums = numbers.sum(others) / (deviation * np.sqrt(each))
            if np.abs(sums).max() > ERRORS + 1:
                return False
            if abs(float((sums * sums).mean()) - 1) > ERRORS * np.sqrt(2 / length):
                return False
    return True

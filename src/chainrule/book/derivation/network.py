"""Feed-forward networks parsed from descriptions such as ``2-3tanh-1sigmoid``.

Sizes with ``-`` between them, from the input on; behind the size of each layer stands
its activation, and nothing stands for none.

>>> network = parse("4-3sigmoid-2softmax")
>>> network.sizes, network.activations
((4, 3, 2), ('sigmoid', 'softmax'))
>>> parse("2-3tnah-1")
Traceback (most recent call last):
    ...
chainrule.errors.ParseError: There is no activation 'tnah'.
  expected: one of sigmoid, tanh, relu, leakyrelu, gelu, softmax, or nothing
  got:      2-3tnah-1
               ^^^^
  fix:      did you mean 2-3tanh-1?
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from chainrule import nn
from chainrule.book.derivation.activations import (
    ACTIVATIONS,
    IDENTITY,
    LEAK,
    NAMES,
    SOFTMAX,
)
from chainrule.errors import ArgumentError, ParseError, nearest
from chainrule.text import _

#: More layers than this, or larger ones, nobody writes out.
DEEPEST, WIDEST = 20, 100_000
_PART = re.compile(r"\s*(?P<size>\d+)\s*(?P<name>[^\W\d]\w*)?\s*")
EXAMPLE = "2-3tanh-1sigmoid"


@dataclass(frozen=True)
class Network:
    """A feed-forward network of layers z⁽ˡ⁾ = W⁽ˡ⁾ a⁽ˡ⁻¹⁾ + b⁽ˡ⁾, a⁽ˡ⁾ = f⁽ˡ⁾(z⁽ˡ⁾).

    Attributes:
        sizes: of the input and of each layer.
        activations: of each layer, by name.
        biases: whether each layer has a b; all of them by default.
        paths: what the ``state_dict`` calls each layer: ``"0"``, ``"2"``, ….
    """

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    biases: tuple[bool, ...] = ()
    paths: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not self.biases:
            object.__setattr__(self, "biases", (True,) * self.depth)
        if not self.paths:
            object.__setattr__(self, "paths", tuple(_paths(self.activations)))

    @property
    def depth(self) -> int:
        """The number of layers L of a feed-forward network, without the input."""
        return len(self.activations)

    @property
    def layers(self) -> range:
        """The layer numbers 1 … L of a feed-forward network."""
        return range(1, self.depth + 1)

    def activation(self, k: int) -> str:
        """Return the name of the activation function f⁽ᵏ⁾ of a network's layer k."""
        return self.activations[k - 1]

    def bias(self, k: int) -> bool:
        """Return whether layer k of a feed-forward network has a bias b."""
        return self.biases[k - 1]

    def __str__(self) -> str:
        parts = [str(self.sizes[0])]
        for size, name in zip(self.sizes[1:], self.activations):
            parts.append(f"{size}{'' if name == IDENTITY else name}")
        return "-".join(parts)

    def module(self) -> nn.Sequential:
        """Return the described network as an ``nn.Sequential`` in float64."""
        layers: list[nn.Module] = []
        for k, (before, size) in enumerate(pairwise(self.sizes), 1):
            layers.append(nn.Linear(before, size, self.bias(k), dtype="float64"))
            if self.activation(k) != IDENTITY:
                layers.append(getattr(nn, ACTIVATIONS[self.activation(k)].module)())
        return nn.Sequential(*layers)


def _paths(activations: tuple[str, ...]) -> Iterator[str]:
    at = 0
    for name in activations:
        yield str(at)
        at += 1 if name == IDENTITY else 2


# -- from text -------------------------------------------------------------------------


def parse(spec: str) -> Network:
    """Parse a network description such as ``2-3tanh-1sigmoid``.

    Args:
        spec: sizes with activations: ``"4-3sigmoid-2softmax"``. Names in any case.

    Raises:
        ParseError: for text that is no such description, with the place.
    """
    if not isinstance(spec, str):
        raise ArgumentError(
            _("A network is described in words."),
            expected=_("text such as {example}", example=repr(EXAMPLE)),
            got=type(spec).__name__,
        )
    sizes: list[int] = []
    names: list[str] = []
    for k, (start, end) in enumerate(_places(spec)):
        size, name = _part(spec, start, end, first=k == 0)
        sizes.append(size)
        if k:
            names.append(name)
    if not names:
        raise _refused(
            spec,
            (0, len(spec)),
            _("A network has an input and at least one layer."),
            _("two sizes or more, with - between them"),
        )
    if len(names) > DEEPEST:
        raise _refused(
            spec,
            (0, len(spec)),
            _("That network is too deep to be written out."),
            _("at most {most} layers", most=DEEPEST),
        )
    return Network(tuple(sizes), tuple(names))


def _places(spec: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each layer in a network description, split at ``-``."""
    start = 0
    for part in spec.split("-"):
        yield start, start + len(part)
        start += len(part) + 1


def _part(spec: str, start: int, end: int, *, first: bool) -> tuple[int, str]:
    """Parse a layer of a network description, ``3tanh``, into size and activation."""
    text = spec[start:end]
    match = _PART.fullmatch(text)
    if match is None:
        raise _refused(
            spec,
            (start, end),
            _("A layer is a size, and its activation behind it.")
            if text.strip()
            else _("A size is missing."),
            _("a whole number, and a name or nothing: 3tanh, 1"),
        )
    size = int(match["size"]) if len(match["size"]) < 9 else WIDEST + 1
    at = (start + match.start("size"), start + match.end("size"))
    if not 1 <= size <= WIDEST:
        raise _refused(
            spec,
            at,
            _("A layer cannot have this size."),
            f"1 … {WIDEST:,}",
        )
    word = match["name"]
    if word is None:
        return size, IDENTITY
    place = (start + match.start("name"), start + match.end("name"))
    name = NAMES.get(word.lower())
    if first:
        raise _refused(
            spec,
            place,
            _("The input has no activation: a⁽⁰⁾ = x."),
            _("the size alone: {size}", size=size),
        )
    if name is None:
        raise _refused(
            spec,
            place,
            _("There is no activation {name}.", name=repr(word)),
            _("one of {names}, or nothing", names=", ".join(_shown_names())),
        )
    if name == SOFTMAX and size == 1:
        raise _refused(
            spec,
            (at[0], place[1]),
            _("Softmax over one number is always 1, and nothing can be learned."),
            _("softmax over 2 or more, or sigmoid for one output"),
        )
    return size, name


def _shown_names() -> list[str]:
    return [name for name in ACTIVATIONS if name != IDENTITY]


def _refused(spec: str, place: tuple[int, int], what: str, expected: str) -> ParseError:
    """Return a parse error that marks the position in a network description."""
    start, end = place
    mark = " " * start + "^" * max(end - start, 1)
    shown = spec if spec.isprintable() else repr(spec)[1:-1]
    marked = f"{shown}\n{mark}" if shown == spec and len(spec) <= 200 else shown
    near = _repaired(spec)
    return ParseError(
        what,
        expected=expected,
        got=marked,
        fix=_("did you mean {near}?", near=near)
        if near
        else _("for example {example}", example=EXAMPLE),
    )


def _repaired(spec: str) -> str | None:
    """Return a corrected spelling of a network description, or None."""
    parts = re.findall(r"\d+|[^\W\d]+(?:[_-][^\W\d]+)*", spec[:200])
    fixed: list[str] = []
    for part in parts:
        if part.isdecimal():
            fixed.append(str(min(max(int(part[:7]), 1), WIDEST)))
            continue
        known = part.lower().replace("-", "_")
        name = NAMES.get(known) or nearest(known, NAMES, 0.6)
        if name is None or len(fixed) < 2 or not fixed[-1].isdecimal():
            continue
        name = NAMES[name]
        alone = name == SOFTMAX and fixed[-1] == "1"
        if name != IDENTITY:
            fixed[-1] += "sigmoid" if alone else name
    text = "-".join(fixed)
    return text if 2 <= len(fixed) <= DEEPEST + 1 and text != spec else None


# -- from a model ----------------------------------------------------------------------


def network_of(model: Any) -> Network:
    """Return the network description of an ``nn.Sequential`` of linear layers.

    Args:
        model: an ``nn.Sequential``, nested or not, of ``nn.Linear`` and activations.

    Raises:
        ArgumentError: for another model.
    """
    if not isinstance(model, nn.Module):
        raise ArgumentError(
            _("This is no network."),
            expected=_("an nn.Sequential of nn.Linear and activations"),
            got=type(model).__name__,
        )
    sizes: list[int] = []
    names: list[str] = []
    biases: list[bool] = []
    paths: list[str] = []
    for path, part in _parts(model, ""):
        if isinstance(part, nn.Linear):
            sizes += [part.in_features] if not sizes else []
            sizes.append(part.out_features)
            names.append(IDENTITY)
            biases.append(part.bias is not None)
            paths.append(path)
            continue
        name = _activation_of(part)
        if name == IDENTITY:
            continue
        if name is None or not names or names[-1] != IDENTITY:
            raise _unknown(path, part)
        names[-1] = name
    if not names:
        raise _unknown("", model)
    return Network(tuple(sizes), tuple(names), tuple(biases), tuple(paths))


def _parts(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    if not isinstance(module, nn.Sequential):
        yield path, module
        return
    for name, child in module.named_children():
        yield from _parts(child, f"{path}.{name}" if path else name)


def _activation_of(part: nn.Module) -> str | None:
    """Return the table's name of an ``nn`` activation module, or None if unknown."""
    for row in ACTIVATIONS.values():
        if type(part) is getattr(nn, row.module):
            usual = not (
                (isinstance(part, nn.LeakyReLU) and part.negative_slope != LEAK)
                or (isinstance(part, nn.GELU) and part.approximate != "none")
                or (isinstance(part, nn.Softmax) and part.dim not in (1, -1))
            )
            return row.name if usual else None
    return None


def _unknown(path: str, part: nn.Module) -> ArgumentError:
    names = ", ".join(row.module for row in ACTIVATIONS.values())
    return ArgumentError(
        _("This works for layers z = W a + b with an activation each."),
        expected=_(
            "an nn.Sequential of nn.Linear and, behind each, one of {names}",
            names=names,
        ),
        got=f"{path}: {part!r:.80}" if path else f"{part!r:.80}",
        fix=_("cr.explain shows the formulas and numbers of any network"),
    )

"""Changes that rebuild layers: wider or fewer hidden ones, outputs for classes.

They look for layers of the library that follow each other in an ``nn.Sequential``, and
make new ones in their places, with weights as these layers draw them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.data import Dataset
from chainrule.doctor.changes import replaced
from chainrule.doctor.constructors import constructors, loss_shown
from chainrule.doctor.finding import Change
from chainrule.doctor.setup import Setup
from chainrule.errors import ChainruleError
from chainrule.graph.node import Array
from chainrule.nn import Module, output_semantics
from chainrule.random import Generator
from chainrule.random.generator import stream
from chainrule.text import _

#: Hidden layers that are narrower are made as wide as this: with more units than a task
#: needs, fewer initial weights lead to a bad minimum (Goodfellow et al. 2016, 8.2.2).
WIDE = 32
#: Of more hidden layers one behind the other all but so many are left out: without
#: skips or normalisation deep networks train badly (Glorot & Bengio 2010).
DEEP, SHALLOW = 5, 2


@dataclass(frozen=True)
class Pair:
    """Two linear layers one behind the other, with nothing between that has weights."""

    first: str
    second: str


def pairs(model: Module) -> list[Pair]:
    """Return the linear layers that follow each other within a Sequential, by path."""
    found: list[Pair] = []
    for path, module in model.named_modules():
        if not isinstance(module, nn.Sequential):
            continue
        last = ""
        for name, child in module.named_children():
            here = f"{path}.{name}" if path else name
            if type(child) is nn.Linear:
                if last and _width(model, last) == child.in_features:
                    found.append(Pair(last, here))
                last = here
            elif any(child.named_tensors()) or any(child.named_children()):
                last = ""
    return found


def _width(model: Module, path: str) -> int:
    """Return the number of outputs of a linear layer."""
    layer: Any = model.get_submodule(path)
    return layer.out_features


def _renewed(setup: Setup) -> bool:
    """Give the setup its optimiser anew, for parameters that are others now.

    Returns whether that can be done: of groups of parameters it cannot.
    """
    old = setup.optimizer
    if len(list(old.param_groups)) > 1:
        return False
    try:
        setup.optimizer = type(old)(**dict(old.defaults))
    except (ChainruleError, TypeError):
        return False
    setup.optimizer.attach_parameters(dict(setup.model.named_parameters()))
    return True


def wider(setup: Setup) -> Change | None:
    """Return the change of narrow hidden layers to :data:`WIDE` units, if any are."""
    narrow = [p for p in pairs(setup.model) if _width(setup.model, p.first) < WIDE]
    if not narrow or not _renewed(setup.copy()):
        return None
    paths = list(dict.fromkeys(path for p in narrow for path in (p.first, p.second)))
    inputs, outputs = ({p.second for p in narrow}, {p.first for p in narrow})

    def new(model: Module, path: str) -> nn.Linear:
        layer: Any = model.get_submodule(path)
        given = dict(layer.settings())
        given |= {"in_features": WIDE} if path in inputs else {}
        given |= {"out_features": WIDE} if path in outputs else {}
        return type(layer)(**given)

    def apply(setup: Setup) -> None:
        with stream(Generator(setup.seed)):
            for path in paths:
                replaced(setup.model, path, new(setup.model, path))
        _renewed(setup)

    before = constructors(setup.model, paths)
    with stream(Generator(0)):
        after = constructors(
            setup.model, paths, lambda path: f"nn.{new(setup.model, path)!r}"
        )
    sizes = {"in_features": inputs, "out_features": outputs}
    told = {p: ({k: WIDE for k, of in sizes.items() if p in of},) for p in paths}
    what = _("wider hidden layers")
    return Change(what, before, after, apply, slots=("width",), layers=told)


def _spare(model: Module) -> list[str]:
    """Return the linear layers that can be left out, of long rows of them.

    In a row each has as many outputs as inputs, and nothing with weights is between.
    """
    following = {p.first: p.second for p in pairs(model)}
    found: list[str] = []
    for first in [p for p in following if p not in set(following.values())]:
        row = [first]
        while row[-1] in following:
            row.append(following[row[-1]])
        hidden = row[:-1]
        if len(hidden) > DEEP:
            widths = [_width(model, path) for path in hidden]
            square = zip(hidden[SHALLOW:], widths[SHALLOW - 1 :], widths[SHALLOW:])
            found += [path for path, before, after in square if before == after]
    return found


def shallower(setup: Setup) -> Change | None:
    """Return the change of many hidden layers to :data:`SHALLOW`, if there are many."""
    spare = _spare(setup.model)
    if not spare or not _renewed(setup.copy()):
        return None

    def apply(setup: Setup) -> None:
        for path in spare:
            replaced(setup.model, path, nn.Identity())
        _renewed(setup)

    before = constructors(setup.model, spare)
    after = constructors(setup.model, spare, lambda __: "nn.Identity()")
    what, told = _("fewer hidden layers"), dict.fromkeys(spare, ())
    return Change(what, before, after, apply, slots=("depth",), layers=told)


def class_outputs(setup: Setup, classes: int) -> Change | None:
    """Return the change of one output to one for each class, with their cross-entropy.

    What stands behind the last linear layer is left out. None where that is none of a
    Sequential, or where others follow it.
    """
    layers = [n for n, m in setup.model.named_modules() if type(m) is nn.Linear]
    if not layers or not isinstance(setup.model, nn.Sequential):
        return None
    if not _renewed(setup.copy()):
        return None
    names = [name for name, __ in setup.model.named_children()]
    last = layers[-1]
    if last not in names or _width(setup.model, last) != 1:
        return None
    behind = names[names.index(last) + 1 :]
    modules = dict(setup.model.named_modules())
    if any(any(modules[name].named_tensors()) for name in behind):
        return None

    def new(model: Module) -> nn.Linear:
        layer: Any = model.get_submodule(last)
        return nn.Linear(**{**layer.settings(), "out_features": classes})

    def apply(setup: Setup) -> None:
        with stream(Generator(setup.seed)):
            replaced(setup.model, last, new(setup.model))
        for name in behind:
            replaced(setup.model, name, nn.Identity())
        setup.loss, setup.other_loss = nn.CrossEntropyLoss(), True
        _renewed(setup)
        for name in ("train", "held_out"):
            part = getattr(setup, name)
            y = np.asarray(part.y).reshape(len(part)).astype(np.int32)
            setattr(setup, name, Dataset(part.x, y, classes=classes))

    parts = [last, *behind]
    with stream(Generator(0)):
        wide = f"nn.{new(setup.model)!r}"
    lines = (
        constructors(setup.model, parts),
        constructors(
            setup.model, parts, lambda p: wide if p == last else "nn.Identity()"
        ),
    )
    return Change(
        _("an output for each class"),
        f"{lines[0]}\n{loss_shown(setup.loss)}\ny",
        f"{lines[1]}\nloss=nn.CrossEntropyLoss()\ny.reshape(-1).astype(int)",
        apply,
        slots=("outputs", "shape", "loss", *(f"layer {name}" for name in parts)),
    )


def numbered(setup: Setup, values: Array) -> Change:
    """Return the change of labels to the numbers of their values, from 0 on.

    Those of one output keep their shape and are floats; of several they are whole.
    """
    given = np.asarray(setup.train.y)
    one = output_semantics.threshold(setup.loss) is not None

    def apply(setup: Setup) -> None:
        for name in ("train", "held_out"):
            part = getattr(setup, name)
            off = np.abs(np.asarray(part.y).reshape(-1, 1) - values)
            y = off.argmin(1)
            y = y.reshape(-1, *given.shape[1:]).astype(given.dtype if one else np.int32)
            classes = None if one else len(values)
            setattr(setup, name, Dataset(part.x, y, classes=classes))

    what = _("labels as class numbers")
    shape = ", ".join(map(str, (-1, *given.shape[1:])))
    kept = f".reshape({shape}).astype(y.dtype)" if one else ""
    after = f"np.unique(y, return_inverse=True)[1]{kept}"
    return Change(what, "y", after, apply, slots=("shape",))

"""The changes of initial weights: another draw, of a rule that is known to work."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from chainrule import nn
from chainrule.doctor import weights
from chainrule.doctor.constructors import rate_shown
from chainrule.doctor.finding import Change
from chainrule.doctor.setup import Setup, as_drawn, redraw
from chainrule.doctor.weights import Fan
from chainrule.nn import Module
from chainrule.nn.init import kaiming_normal_, xavier_normal_, zeros_
from chainrule.random import Generator
from chainrule.random.generator import stream
from chainrule.text import _, joined

#: Layers of the library with sigmoid and tanh inside.
RECURRENT = nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell
#: Layers of the library that multiply by several matrices of one form, units first.
SEVERAL = *RECURRENT, nn.MultiheadAttention


def initialised(
    model: Module, fans: Mapping[str, Fan], *, relu: bool
) -> tuple[str, dict[str, tuple[dict[str, Any], ...]]]:
    """Return what :func:`keep_variance` does, as code, and as a run file says it."""
    owners = {n.rpartition(".")[0]: n for n, __ in model.named_parameters()}
    name = "kaiming_normal_" if relu else "xavier_normal_"
    word = ({"init": name.removesuffix("_")},)
    drawn = sorted(_odd(model))
    lines = [*_drawn(model, fans, relu=relu), *(_own_rule(model, p) for p in drawn)]
    told = {path: word for path, n in owners.items() if is_of_product(model, n)}
    return joined("\n", lines), told | {path: ({"init": None},) for path in drawn}


def _drawn(model: Module, fans: Mapping[str, Fan], *, relu: bool) -> Iterator[str]:
    """Yield the lines of code that draw the weights of products, and their biases."""
    layers: dict[str, set[str]] = {}
    for name, p in model.named_parameters():
        if is_of_product(model, name) and (p.ndim >= 2 or name.endswith("bias")):
            path, __, own = name.rpartition(".")
            layers.setdefault(path, set()).add(own)
    weight = "kaiming_normal_" if relu else "xavier_normal_"
    with_bias = [p for p, own in layers.items() if "bias" in own]
    without = [p for p, own in layers.items() if "bias" not in own]
    for paths, more in ((with_bias, ", nn.init.zeros_(layer.bias)"), (without, "")):
        if paths:
            listed = ", ".join(f'"{path}"' for path in paths)
            yield (
                f"for layer in map(model.get_submodule, [{listed}]): "
                f"nn.init.{weight}(layer.weight){more}"
            )
    for name, deviation in weights.deviations(fans, relu=relu).items():
        path, __, own = name.rpartition(".")
        layer = f'model.get_submodule("{path}")' if path else "model"
        place = f"{layer}.{own}"
        if not own.isidentifier():
            place = f'dict(model.named_parameters())["{name}"]'
        yield f"nn.init.normal_({place}, 0, {rate_shown(deviation)})"
        for bias, __ in weights.biases(model, name):
            yield f"nn.init.zeros_({layer}.{bias.rpartition('.')[2]})"


def _own_rule(model: Module, path: str) -> str:
    """Return a line that says of a module that its own rule draws its weights."""
    kind = type(model.get_submodule(path)).__name__
    said = _("{path}: as {kind} draws them", path=path, kind=kind)
    return joined(" ", ["#", said])


def keep_variance(setup: Setup, *, relu: bool) -> None:
    """Draw all weight matrices so that layers keep the variance (He, Glorot).

    Recurrent layers and attention have a rule of their own: they are drawn by it where
    they do not look like it.
    """
    model = setup.model
    odd = _odd(model)
    draw: Any = (
        partial(kaiming_normal_, nonlinearity="relu") if relu else xavier_normal_
    )
    with stream(Generator(setup.seed)):
        for name, p in model.named_parameters():
            if not is_of_product(model, name):
                continue
            if p.ndim >= 2:
                draw(p)
            elif name.endswith("bias"):
                zeros_(p)
        weights.keep_variance(model, setup.fans, relu=relu)
    if odd:
        redraw(model, setup.seed, odd.__contains__)


def _odd(model: Module) -> frozenset[str]:
    """Return the paths of layers of several products whose weights look strange.

    Of the library's own, which draw theirs anew; each once, however often it stands in
    the model.
    """
    owners = {n.rpartition(".")[0] for n, __ in model.named_parameters()}
    paths = {
        p
        for p, m in model.named_modules()
        if p in owners and isinstance(m, SEVERAL) and weights.is_of_library(m)
    }
    if not paths:
        return frozenset()  # nothing to copy the model for
    return frozenset(paths) - as_drawn(model, paths.__contains__, least=2)


def is_of_product(model: Module, name: str) -> bool:
    """Return whether a parameter belongs to a linear or a convolutional layer."""
    path, __, own = name.rpartition(".")
    module = model.get_submodule(path)
    layer = isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
    return layer and own in ("weight", "bias")  # not the parts of another form of it


def inputs_of(setup: Setup, name: str) -> int:
    """Return over how many inputs a unit with these weights sums; 0: no product's."""
    if name in setup.fans:
        return setup.fans[name].inputs
    shape = dict(setup.model.named_parameters())[name].shape
    layer = setup.model.get_submodule(name.rpartition(".")[0])
    known = is_of_product(setup.model, name) or isinstance(layer, SEVERAL)
    return math.prod(shape[1:]) if known else 0


def variance(setup: Setup, *, relu: bool) -> Change:
    """Return the change of initial weights to those that keep the variance."""

    def apply(setup: Setup) -> None:
        keep_variance(setup, relu=relu)

    after, told = initialised(setup.model, setup.fans, relu=relu)
    what = _("initial weights that keep the variance")
    return Change(what, "weights", after, apply, slots=("weights",), layers=told)


def redrawn(paths: Container[str]) -> Change:
    """Return the change of weights to another draw of the layers' own rules.

    It is no remedy: it tells chance from what another change does.
    """

    def apply(setup: Setup) -> None:
        redraw(setup.model, setup.seed, paths.__contains__)

    return Change(_("other initial weights"), "weights", "", apply, slots=("weights",))


def fresh_weights(setup: Setup, paths: Sequence[str], before: str) -> Change | None:
    """Return the change that draws the weights of some modules by their own rules."""
    model = setup.copy().model
    foreign = {p for p in paths if weights.can_draw(model, setup.fans, p)}
    own = {*paths} - foreign
    if not paths or not redraw(model, 0, lambda path: path in own):
        return None

    def apply(setup: Setup) -> None:
        redraw(setup.model, setup.seed, lambda path: path in own)
        with stream(Generator(setup.seed)):
            for path in sorted(foreign):
                weights.draw(setup.model, setup.fans, path)

    lines = [
        joined(" ", ["#", _("{path}: as nn.Linear draws them", path=p)])
        if p in foreign
        else _own_rule(setup.model, p)
        for p in paths
    ]
    what = _("initial weights as the layers draw them")
    told = {p: ({"init": None},) for p in paths}
    after = joined("\n", lines)
    return Change(what, before, after, apply, slots=("weights",), layers=told)

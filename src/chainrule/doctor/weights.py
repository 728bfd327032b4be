"""Weights of products, as the graph shows them: of modules that are not the library's.

A layer of the library has weights of one form, and draws them itself. Of a parameter of
a class of one's own, or of a file of another framework, the graph says over how many
inputs its units sum, and which of its axes these are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from chainrule.graph.graph import Graph
from chainrule.graph.node import Value
from chainrule.nn import Module, Parameter
from chainrule.nn.init import normal_, uniform_, zeros_
from chainrule.primitives import conv, elementwise, matmul, movement
from chainrule.primitives.matmul import parse_dims

#: Products of inputs with weights.
PRODUCTS = (matmul.dot_general, conv.conv)


class Fan(NamedTuple):
    """The number of inputs over which a unit sums, and of units that an input feeds."""

    inputs: int
    outputs: int


def fans(graph: Graph, model: Module) -> dict[str, Fan]:
    """Return the fans of weights of products, by name: those that no layer draws."""
    parameters = dict(model.named_parameters())
    modules = dict(model.named_modules())
    found: dict[str, Fan] = {}
    for node in graph.nodes:
        if node.primitive not in PRODUCTS:
            continue
        name, axes = _parameter(node.inputs[1])
        if name not in parameters or is_of_library(modules[_module(name)]):
            continue
        dims = parse_dims(node.attrs["dims"])
        shape = [parameters[name].shape[i] for i in axes]
        sizes = dict(zip(dims.rhs, shape, strict=True))
        summed = {*dims.contracted, *dims.window}
        fed = {*dims.right, *dims.window}
        found[name] = Fan(
            math.prod(n for c, n in sizes.items() if c in summed),
            math.prod(n for c, n in sizes.items() if c in fed),
        )
    return found


def _parameter(value: Value) -> tuple[str, list[int]]:
    """Return the input that a value is, and its axes in the order of the value's."""
    axes = [*range(len(value.shape))]
    while (node := value.node) is not None:
        if node.primitive is movement.transpose:
            axes = [node.attrs["axes"][i] for i in axes]
        elif node.primitive is not elementwise.convert:
            return "", axes
        value = node.inputs[0]
    return value.name or "", axes


def _module(name: str) -> str:
    return name.rpartition(".")[0]


def is_of_library(module: Module) -> bool:
    """Return whether a module is a layer of the library, which draws its weights."""
    return type(module).__module__.startswith("chainrule.nn.")


def keep_variance(model: Module, known: Mapping[str, Fan], *, relu: bool) -> None:
    """Draw weights of products so that layers keep the variance (He, Glorot)."""
    parameters = dict(model.named_parameters())
    for name, deviation in deviations(known, relu=relu).items():
        normal_(parameters[name], 0.0, deviation)
        for __, bias in biases(model, name):
            zeros_(bias)


def deviations(known: Mapping[str, Fan], *, relu: bool) -> dict[str, float]:
    """Return the deviations of weights of products that keep the variance."""
    scales = {
        name: 2 / fan.inputs if relu else 2 / (fan.inputs + fan.outputs)
        for name, fan in known.items()
    }
    return {name: math.sqrt(scale) for name, scale in scales.items()}


def can_draw(model: Module, known: Mapping[str, Fan], path: str) -> bool:
    """Return whether all parameters of a module are weights of products, or biases."""
    own = [n for n, __ in model.named_parameters() if _module(n) == path]
    weights = [n for n in own if n in known]
    drawn = {*weights, *(n for w in weights for n, __ in biases(model, w))}
    return bool(weights) and drawn == {*own}


def draw(model: Module, known: Mapping[str, Fan], path: str) -> None:
    """Draw a module's weights and biases anew, as linear layers draw theirs."""
    parameters = dict(model.named_parameters())
    for name, fan in known.items():
        if _module(name) != path:
            continue
        bound = 1 / math.sqrt(fan.inputs)
        uniform_(parameters[name], -bound, bound)
        for __, bias in biases(model, name):
            uniform_(bias, -bound, bound)


def biases(model: Module, name: str) -> list[tuple[str, Parameter]]:
    """Return the biases beside a weight: of one axis, in the module of the weight."""
    path = _module(name)
    return [
        (n, p)
        for n, p in model.named_parameters()
        if path and _module(n) == path and p.ndim == 1 and n.endswith("bias")
    ]

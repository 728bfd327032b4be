"""The table of layers: which of Keras's are which of ours, and how their numbers lie.

A file of Keras has a group for each layer, named by its class and a count: ``conv2d``,
``conv2d_1``, ``dense``. So the first ``nn.Linear`` of a module has the numbers of the
first ``Dense``, the second those of the second. A row says how they lie:

    @layer(nn.Linear, kinds="dense")
    def linear(module: Any, parts: Sequence[Part]) -> State | None:
        kernel, bias = variables(parts[0])
        return {"weight": kernel.T, "bias": bias}

It returns arrays by the module's names, or None for what the module does not compute.
Shapes are not checked here: ``load_state_dict`` says all that do not fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.graph.node import Array

#: The variables of a layer by their paths within it.
Part = Mapping[str, Array]
State = dict[str, Array]
Rule = Callable[[Any, Sequence[Part]], State | None]


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        modules: our classes.
        kinds: Keras's classes in ``snake_case``; the first one that is left is taken.
        rule: returns a module's state from the variables of its layers.
        settings: what the module must agree about, if the file says: what it has, by
            Keras's name.
    """

    modules: tuple[type[Any], ...]
    kinds: Callable[[Any], tuple[str, ...]]
    rule: Rule
    settings: Callable[[Any], dict[str, Any]]

    def layers(self, module: Any) -> int:
        """Return how many layers of Keras a module is."""
        return getattr(module, "num_layers", 1)


ROWS: list[Row] = []


def layer(
    *modules: type[Any],
    kinds: str | Callable[[Any], tuple[str, ...]],
    settings: Callable[[Any], dict[str, Any]] = lambda m: {},
) -> Callable[[Rule], Rule]:
    """Add a row for the decorated rule; see :class:`Row`."""
    of = kinds if callable(kinds) else lambda m: (kinds,)

    def add(rule: Rule) -> Rule:
        ROWS.append(Row(modules, of, rule, settings))
        return rule

    return add


def row_of(module: Any) -> Row | None:
    """Return the row of a module, if it has one."""
    return next((r for r in ROWS if isinstance(module, r.modules)), None)


def variables(part: Part, prefix: str = "") -> list[Array]:
    """Return a layer's variables in their order, or those of one of its parts."""
    found: list[Array] = []
    while (array := part.get(f"{prefix}vars/{len(found)}")) is not None:
        found.append(array)
    return found


def named(arrays: Sequence[Array], *names: str) -> State | None:
    """Return arrays by name; None if there are more, or none."""
    fits = 0 < len(arrays) <= len(names)
    return dict(zip(names, arrays)) if fits else None


def turned(kernel: Array) -> Array:
    """Return a kernel (…, in, out) as (out, in, …)."""
    if kernel.ndim < 2:
        return kernel
    return np.moveaxis(kernel, (-1, -2), (0, 1))


# -- products --------------------------------------------------------------------------


@layer(nn.Linear, kinds="dense")
def linear(module: Any, parts: Sequence[Part]) -> State | None:
    """(in, out) to (out, in)."""
    kernel, *bias = variables(parts[0]) or [np.zeros(())]
    return (
        named([turned(kernel), *bias], "weight", "bias") if kernel.ndim == 2 else None
    )


def _convolutions(module: Any) -> tuple[str, ...]:
    name = type(module).__name__.lower()  # conv2d
    alone = module.groups > 1 and module.groups == module.in_channels
    return (f"depthwise_{name}", name) if alone else (name,)


@layer(nn.Conv1d, nn.Conv2d, nn.Conv3d, kinds=_convolutions)
def convolution(module: Any, parts: Sequence[Part]) -> State | None:
    """(h, w, in, out) to (out, in, h, w); of each channel alone (h, w, in, m)."""
    kernel, *bias = variables(parts[0]) or [np.zeros(())]
    weight, alone = turned(kernel), module.in_channels == module.groups > 1
    if alone and kernel.ndim > 2 and kernel.shape[-2] == module.groups:
        weight = np.moveaxis(kernel, (-2, -1), (0, 1))
        weight = weight.reshape(-1, 1, *weight.shape[2:])
    return named([weight, *bias], "weight", "bias")


def _transposed(module: Any) -> tuple[str, ...]:
    return (f"conv{type(module).__name__[-2:].lower()}_transpose",)


@layer(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, kinds=_transposed)
def transposed_convolution(module: Any, parts: Sequence[Part]) -> State | None:
    """(h, w, out, in) to (in, out, h, w)."""
    return convolution(module, parts) if module.groups == 1 else None


@layer(nn.Embedding, kinds="embedding")
def embedding(module: Any, parts: Sequence[Part]) -> State | None:
    """Rows of vectors in both."""
    return named(variables(parts[0]), "weight")


@layer(nn.MultiheadAttention, kinds="multi_head_attention")
def attention(module: Any, parts: Sequence[Part]) -> State | None:
    """(in, heads, width) of each to three times (heads · width, in) in one."""
    inner = [
        variables(parts[0], f"{name}_dense/")
        for name in ("query", "key", "value", "output")
    ]
    if {len(arrays) for arrays in inner} not in ({1}, {2}):
        return None
    weights = [arrays[0] for arrays in inner]
    *into, out = weights
    heads = [w.shape[-2] if w.ndim == 3 else 0 for w in into]
    if out.ndim != 3 or {*heads, len(out)} != {module.num_heads}:
        return None
    state = {
        "in_proj_weight": np.concatenate([w.reshape(len(w), -1).T for w in into]),
        "out_proj.weight": out.reshape(-1, out.shape[-1]).T,
    }
    if len(inner[0]) == 2:
        *biases, last = [arrays[1] for arrays in inner]
        state["in_proj_bias"] = np.concatenate([b.reshape(-1) for b in biases])
        state["out_proj.bias"] = last
    return state


# -- normalisation ---------------------------------------------------------------------


def _epsilon(module: Any) -> dict[str, Any]:
    return {"epsilon": module.eps}


@layer(
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
    kinds="batch_normalization",
    settings=_epsilon,
)
def batch_norm(module: Any, parts: Sequence[Part]) -> State | None:
    """γ, β, mean and variance. Of γ or β alone the file does not say which it is."""
    arrays = variables(parts[0])
    if len(arrays) not in (2, 4):
        return None
    names = ("weight", "bias", "running_mean", "running_var")
    state = dict(zip(names[-len(arrays) :], arrays))
    return state | {"num_batches_tracked": np.zeros((), np.int64)}


@layer(nn.LayerNorm, kinds="layer_normalization", settings=_epsilon)
@layer(nn.GroupNorm, kinds="group_normalization", settings=_epsilon)
def norm(module: Any, parts: Sequence[Part]) -> State | None:
    """γ and β, both or none."""
    arrays = variables(parts[0])
    return named(arrays, "weight", "bias") if len(arrays) == 2 else None


@layer(nn.PReLU, kinds="p_re_lu")
def prelu(module: Any, parts: Sequence[Part]) -> State | None:
    """A slope for each channel, where axes before it share theirs."""
    return named([a.reshape(-1) for a in variables(parts[0])], "weight")


# -- recurrent layers ------------------------------------------------------------------


def _recurrent(kind: str) -> Callable[[Any], tuple[str, ...]]:
    return lambda m: ("bidirectional",) if m.bidirectional else (kind,)


def _ways(module: Any) -> dict[str, Any]:
    return {"go_backwards": False, "merge_mode": "concat"}


def _gates(module: Any) -> dict[str, Any]:
    return {
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        **_ways(module),
    }


@layer(nn.LSTM, kinds=_recurrent("lstm"), settings=_gates)
@layer(nn.GRU, kinds=_recurrent("gru"), settings=_gates)
@layer(
    nn.RNN,
    kinds=_recurrent("simple_rnn"),
    settings=lambda m: {"activation": m.nonlinearity, **_ways(m)},
)
def recurrent(module: Any, parts: Sequence[Part]) -> State | None:
    """(in, gates · m) to (gates · m, in); a layer of Keras for each of the module's.

    Keras has one bias where we have two, which are added. The gates of an LSTM are in
    the same order, those of a GRU are z, r, n; one that resets before its product
    (``reset_after=False``) is another function.
    """
    gru, state = isinstance(module, nn.GRU), State()
    ways = ("forward_layer/", "backward_layer/") if module.bidirectional else ("",)
    for i, part in enumerate(parts):
        for way, end in zip(ways, ("", "_reverse")):
            arrays = [a.T for a in variables(part, f"{way}cell/")]
            ranks = [a.ndim for a in arrays]
            if ranks not in ([2, 2], [2, 2, 1], [2, 2, 2]) or gru != (ranks[2:] == [2]):
                return None
            if gru:
                m = arrays[1].shape[1]
                order = np.r_[m : 2 * m, :m, 2 * m : len(arrays[0])]
                if any(len(a) != 3 * m for a in arrays):
                    return None
                arrays = [a[order] for a in arrays]
            names = [f"weight_ih_l{i}{end}", f"weight_hh_l{i}{end}"]
            state |= dict(zip(names, arrays))
            if len(arrays) == 3:
                bias = arrays[2] if gru else np.stack([arrays[2], 0 * arrays[2]], 1)
                state[f"bias_ih_l{i}{end}"] = bias[:, 0]
                state[f"bias_hh_l{i}{end}"] = bias[:, 1]
    return state


# -- the description in a .keras file --------------------------------------------------


def described(config: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the layers of a model's description by their paths, with their settings."""
    inner = config.get("config") if isinstance(config, dict) else None
    layers = inner.get("layers") if isinstance(inner, dict) else None
    used: dict[str, int] = {}
    for item in layers if isinstance(layers, list) else ():
        if not isinstance(item, dict) or not isinstance(item.get("class_name"), str):
            continue
        kind = snake_case(item["class_name"])
        count = used[kind] = used.get(kind, -1) + 1
        here = f"{path}layers/{kind}_{count}" if count else f"{path}layers/{kind}"
        yield here, _settings(item)
        if path.count("/") < 32:
            yield from described(item, f"{here}/")


def _settings(item: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a layer, with those of the one that it wraps."""
    settings = item.get("config")
    if not isinstance(settings, dict):
        return {}
    wrapped = settings.get("layer")
    return settings | _settings(wrapped) if isinstance(wrapped, dict) else settings


def snake_case(name: str) -> str:
    """Return a class name as Keras writes it into files: ``layer_normalization``."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()

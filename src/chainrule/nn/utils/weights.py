"""Weights that are computed from other parameters: weight and spectral normalisation.

A module reads such a weight like any other: :class:`~chainrule.nn.Module` computes it
each time from the parameters that stand in its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from chainrule.errors import ArgumentError
from chainrule.graph.context import no_grad
from chainrule.nn.arguments import integer, number
from chainrule.nn.module import Module
from chainrule.nn.normalization import normalize
from chainrule.nn.parameter import Parameter
from chainrule.nn.transposed_convolution import transposed
from chainrule.operations.arguments import axis_of
from chainrule.tensor import Tensor
from chainrule.text import _

M = TypeVar("M", bound=Module)


@dataclass(frozen=True)
class WeightNorm:
    """w = g v/‖v‖, with a norm for each slice along an axis, or one for all (None)."""

    name: str
    dim: int | None

    def __call__(self, module: Any) -> Tensor:
        g, v = (getattr(module, self.name + part) for part in ("_g", "_v"))
        return v * (g / _norms(v, self.dim))


@dataclass(frozen=True)
class SpectralNorm:
    """w = v/σ, σ the largest singular value, which power iterations approximate."""

    name: str
    dim: int
    iterations: int
    eps: float

    def __call__(self, module: Any) -> Tensor:
        original = getattr(module, f"{self.name}_orig")
        u, v = (getattr(module, self.name + part) for part in ("_u", "_v"))
        matrix = original.movedim(self.dim, 0).flatten(1)
        if module.training:
            with no_grad():
                for __ in range(self.iterations):
                    v.copy_(normalize(matrix.T @ u, dim=0, eps=self.eps))
                    u.copy_(normalize(matrix @ v, dim=0, eps=self.eps))
        return original / (u.clone() @ (matrix @ v.clone()))


def _norms(v: Tensor, dim: int | None) -> Tensor:
    """Return the norms of a weight's slices along ``dim``, or its own norm."""
    if dim is None:
        return v.norm()
    return v.norm(2, tuple(i for i in range(v.ndim) if i != dim), keepdim=True)


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Split a module's weight into length and direction: w = g v/‖v‖.

    In place of the parameter ``weight`` there are ``weight_g`` and ``weight_v``, of
    which ``module.weight`` is computed whenever it is read.

    Args:
        module: what has the weight; it is changed, and returned.
        name: of the weight.
        dim: the axis along which each slice has a length g of its own; None for one.

    Source: Salimans & Kingma 2016, "Weight normalization".

    >>> from chainrule import nn
    >>> layer = nn.utils.weight_norm(nn.Linear(3, 2))
    >>> {name: p.shape for name, p in layer.named_parameters()}
    {'bias': (2,), 'weight_g': (2, 1), 'weight_v': (2, 3)}
    """
    weight = _weight(module, name)
    dim = None if dim in (None, -1) else axis_of(weight.shape, dim)
    delattr(module, name)
    module.register_parameter(f"{name}_g", Parameter(_norms(weight.detach(), dim)))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    module._compute(name, WeightNorm(name, dim))
    return module


def remove_weight_norm(module: M, name: str = "weight") -> M:
    """Make a weight a parameter again that :func:`weight_norm` had split."""
    return _remove(module, name, WeightNorm, ("_g", "_v"))


def spectral_norm(
    module: M,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> M:
    """Divide a module's weight by its largest singular value: w = v/σ.

    In place of the parameter ``weight`` there is ``weight_orig``, with the buffers
    ``weight_u`` and ``weight_v``, σ's vectors. Whenever the weight is read in training
    they take the steps of a power iteration.

    Args:
        module: what has the weight; it is changed, and returned.
        name: of the weight.
        n_power_iterations: the number of steps.
        eps: the smallest norm that is divided by.
        dim: the axis of the outputs; by default 1 for transposed convolutions, else 0.

    Source: Miyato et al. 2018, "Spectral normalization for generative adversarial
    networks".

    >>> import numpy as np
    >>> from chainrule import nn
    >>> layer = nn.utils.spectral_norm(nn.Linear(3, 2), n_power_iterations=50)
    >>> round(float(np.linalg.norm(layer.weight.numpy(), 2)), 3)
    1.0
    """
    weight = _weight(module, name)
    iterations = integer("spectral_norm", "n_power_iterations", n_power_iterations)
    if iterations < 1:
        raise ArgumentError(
            _("spectral_norm iterates."),
            expected="n_power_iterations ≥ 1",
            got=f"{n_power_iterations}",
        )
    axis = int(transposed(module)) if dim is None else axis_of(weight.shape, dim)
    eps = number("spectral_norm", "eps", eps, least=0)
    matrix = weight.detach().movedim(axis, 0).flatten(1)
    delattr(module, name)
    module.register_parameter(f"{name}_orig", Parameter(weight.detach()))
    for part, length in zip(("_u", "_v"), matrix.shape, strict=True):
        drawn = matrix.new_zeros(length).normal_()
        module.register_buffer(name + part, normalize(drawn, dim=0, eps=eps))
    module._compute(name, SpectralNorm(name, axis, iterations, eps))
    return module


def remove_spectral_norm(module: M, name: str = "weight") -> M:
    """Make a weight a parameter again that :func:`spectral_norm` divided by σ."""
    return _remove(module, name, SpectralNorm, ("_orig", "_u", "_v"))


def _weight(module: Module, name: str) -> Parameter:
    """Return a module's parameter that is to be computed from others."""
    weight = module.__dict__.get(name)
    if isinstance(weight, Parameter):
        return weight
    raise ArgumentError(
        _("{kind} has no parameter {name!r}.", kind=type(module).__name__, name=name),
        expected=", ".join(k for k, __ in module.named_parameters(recurse=False)),
        got=repr(name),
    )


def _remove(module: M, name: str, kind: type, parts: tuple[str, ...]) -> M:
    """Replace a computed weight by a parameter of the same numbers."""
    if not isinstance(module._computed.get(name), kind):
        raise ArgumentError(
            _(
                "{kind}.{name} is not computed so.",
                kind=type(module).__name__,
                name=name,
            ),
            expected=_("a weight with {kind}", kind=kind.__name__),
            got=repr(name),
        )
    with no_grad():
        was, module.__dict__["training"] = module.training, False
        weight = Parameter(getattr(module, name))
        module.__dict__["training"] = was
    module._compute(name, None)
    for part in parts:
        delattr(module, name + part)
    module.register_parameter(name, weight)
    return module

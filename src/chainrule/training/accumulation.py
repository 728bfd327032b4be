"""Accumulation of gradients: one update by the gradient of several batches.

With batches i of loss ℒᵢ = Σ ℓ / wᵢ the gradient of all of them as one batch is

    g = Σᵢ wᵢ ∇ℒᵢ / Σᵢ wᵢ

Σ wᵢ ∇ℒᵢ and Σ wᵢ are state of the training program between two updates.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.functions import where, zeros_like
from chainrule.graph.context import no_grad, role, scope
from chainrule.nn import Module
from chainrule.optim.moments import convert, new_moment
from chainrule.tensor import Tensor, tensor


class Accumulator:
    """The sums of a model's gradients, and of the weights of their batches.

    Args:
        model: the model.

    Attributes:
        sums: by the names of parameters; None until they are needed.
        weight: Σ wᵢ, float64.
    """

    def __init__(self, model: Module) -> None:
        self.model = model
        self.weight = tensor(np.array(0.0))
        self.sums: dict[str, Tensor] | None = None

    def make(self) -> None:
        """Make the tensors, which take as much memory as the parameters.

        They have the parameters' dtypes, also where these have changed since.
        """
        parameters = dict(self.model.named_parameters())
        if self.sums is None:
            self.sums = {n: new_moment(p, 0.0) for n, p in parameters.items()}
        for name, p in parameters.items():
            convert(self.sums[name], p, f"accumulated/of/{name}")

    @property
    def state(self) -> dict[str, Tensor]:
        """All tensors of it, for a checkpoint; none where none were needed."""
        sums = {f"of/{name}": t for name, t in (self.sums or {}).items()}
        return {"weight": self.weight, **sums} if sums else {}

    def clear(self) -> None:
        """Forget what was accumulated."""
        for t in self.state.values():
            t.copy_(zeros_like(t))

    def backward(self, loss: Tensor, weight: Tensor | None, *, last: bool) -> None:
        """Add the gradient of a batch; after the last one set ``.grad`` to the mean.

        Args:
            loss: of the batch.
            weight: by which it counts; None for a sum of losses.
            last: whether the update follows.
        """
        assert self.sums is not None
        scaled = loss if weight is None else loss * weight.detach().astype(loss.dtype)
        scaled.backward()
        with no_grad(), role("backward"):
            total = self.weight + (0.0 if weight is None else weight.astype("float64"))
            for name, p in self.model.named_parameters():
                if p.grad is None:
                    continue
                with scope(name.rpartition(".")[0]):
                    sums = self.sums[name]
                    both = sums + p.grad
                    if not last:
                        sums.copy_(both)
                        p.grad = None
                        continue
                    sums.copy_(zeros_like(sums))
                    if weight is not None:  # 0 where nothing counts, as a loss has it
                        divisor = where(total == 0.0, math.inf, total)
                        both = both / divisor.astype(both.dtype)
                    p.grad = both.astype(p.dtype)
            self.weight.copy_(zeros_like(total) if last else total)

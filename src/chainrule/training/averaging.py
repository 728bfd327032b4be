"""A running mean of a model's weights, which a Trainer evaluates and predicts with.

    θ̄ ← θ after the first update, then θ̄ ← θ̄ + (1 − β)(θ − θ̄) after each

as PyTorch's ``swa_utils.AveragedModel`` with ``get_ema_multi_avg_fn(β)`` and Keras'
``use_ema`` compute it. It is a part of the training step: nothing is done on the host.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from chainrule.functions import where
from chainrule.graph.apply import single
from chainrule.graph.context import no_grad, role, scope
from chainrule.graph.node import Array
from chainrule.nn import Module
from chainrule.nn.stateless import replaced
from chainrule.optim.moments import convert
from chainrule.tensor import Tensor, tensor


class WeightAverage:
    """The exponential moving average of a model's parameters.

    Args:
        model: the model.
        decay: β, from 0 to below 1.

    Attributes:
        count: int32, how many updates have been averaged.
    """

    def __init__(self, model: Module, decay: float) -> None:
        self.model, self.decay = model, decay
        parameters = dict(model.named_parameters())
        self._tensors = {
            n: tensor(p.numpy().astype(single(p.dtype).numpy))
            for n, p in parameters.items()
        }
        self.count = tensor(np.array(0, np.int32))

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The averages, by the names of the parameters, whose dtypes they have."""
        for name, p in self.model.named_parameters():
            convert(self._tensors[name], p, f"average/of/{name}")
        return self._tensors

    @property
    def state(self) -> dict[str, Tensor]:
        """All tensors of it, for a checkpoint."""
        return {"count": self.count} | {f"of/{n}": t for n, t in self.tensors.items()}

    def update(self) -> None:
        """Average the parameters after an update, within a training step."""
        with no_grad(), role("update"):
            first, means = self.count == 0, self.tensors
            for name, p in self.model.named_parameters():
                with scope(name.rpartition(".")[0]):
                    mean = means[name]
                    moved = mean + (p.detach() - mean) * (1 - self.decay)
                    mean.copy_(where(first, p.detach(), moved))
            self.count.copy_(self.count + 1)

    def follow(self) -> None:
        """Take the weights as they are, as long as nothing has been averaged."""
        if not self.count.item():
            means = self.tensors
            for name, p in self.model.named_parameters():
                means[name].copy_(p.detach())

    def copy(self) -> Module:
        """Return a copy of the model with the averages as its parameters."""
        model, means = copy.deepcopy(self.model), self.tensors
        with no_grad():
            for name, p in model.named_parameters():
                p.copy_(means[name])
        return model

    def in_place(self) -> AbstractContextManager[None]:
        """Put the averages in place of the model's parameters within the block."""
        own, means = self.model.named_parameters(), self.tensors
        means = {n: means[n].astype(p.dtype) for n, p in own}
        return replaced(self.model, means)


def weights_of(trainer: Any) -> dict[str, Array]:
    """Return copies of a Trainer's weights and of their averages, by name."""
    mean = trainer.average
    averaged = {} if mean is None else mean.state
    more = {f"average/{name}": t.numpy().copy() for name, t in averaged.items()}
    return {**trainer.model.state_dict(), **more}


def set_weights(trainer: Any, weights: Mapping[str, Array]) -> None:
    """Set a Trainer's weights, and their averages, to what ``weights_of`` gave."""
    own = {k: a for k, a in weights.items() if not k.startswith("average/")}
    trainer.model.load_state_dict(own)
    if trainer.average is not None:
        for name, t in trainer.average.state.items():
            if f"average/{name}" in weights:
                t.copy_(tensor(weights[f"average/{name}"]))

"""Loaders of PyTorch as streams: their batches, shuffled by them, in arrays.

PyTorch's own ``DataLoader`` does not know where it stands. Its passes are made
repeatable instead: where it has no generator of its own, what it and its data set draw
comes from (seed, epoch) of the run; a generator is put back to where the pass began. A
``StatefulDataLoader`` of torchdata is opened where it stood.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from chainrule.data.stream import Stream
from chainrule.errors import ArgumentError
from chainrule.text import _


def is_loader(data: Any) -> bool:
    """Return whether data are a loader of PyTorch, or of torchdata."""
    return any(
        kind.__name__ == "DataLoader" and kind.__module__.startswith("torch.")
        for kind in type(data).__mro__
    )


def loader_stream(loader: Any) -> Stream:
    """Return the stream of a PyTorch loader of pairs (inputs, targets).

    >>> is_loader([1, 2])
    False
    """
    batched = loader.batch_size is not None or loader.batch_sampler is not None
    stateful = hasattr(loader, "load_state_dict")
    passes = StatefulPasses(loader) if stateful else LoaderPasses(loader)
    return Stream(passes, batched=batched, name="loader")


class LoaderPasses:
    """The passes of a PyTorch loader, in an order that a training run can have again.

    Args:
        loader: the loader.
    """

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self._numbers: tuple[int, int] = 0, 0
        self._state: Any = None  # PyTorch's random state, as the pass goes on
        self._drawn: Mapping[str, Any] = {}

    def start_epoch(self, seed: int, epoch: int) -> None:
        """Set the seed and the epoch of the next pass."""
        self._numbers, self._state = (seed, epoch), None

    def draws(self) -> dict[str, Any]:
        """Return the states of the loader's own generators."""
        return {name: g.get_state() for name, g in self._generators().items()}

    def load_draws(self, state: Mapping[str, Any]) -> None:
        """Restore the states of the loader's own generators."""
        generators = self._generators()
        for name, value in state.items():
            generators[name].set_state(value)

    def __iter__(self) -> Iterator[Any]:
        import torch

        loader, numbers = self.loader, self._numbers
        for sampler in (loader.sampler, loader.batch_sampler):
            if hasattr(sampler, "set_epoch"):  # as a DistributedSampler has
                sampler.set_epoch(numbers[1])
        if self._state is None:
            seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
            self._state = torch.Generator().manual_seed(seed >> 1).get_state()
        batches = None
        while True:
            outer = torch.get_rng_state()
            torch.set_rng_state(self._state)  # the loader's, and its data set's
            try:
                batches = iter(loader) if batches is None else batches
                batch = next(batches, None)
                self.load_draws(self._drawn)  # torchdata leaves them elsewhere
                self._drawn = {}
                self._state = torch.get_rng_state()
            finally:
                torch.set_rng_state(outer)
            if batch is None:
                self._state = None
                return
            yield as_pair(batch)

    def _generators(self) -> dict[str, Any]:
        loader = self.loader
        owners = {
            "loader": loader,
            "sampler": loader.sampler,
            "batch_sampler": getattr(loader.batch_sampler, "sampler", None),
        }
        found = {k: getattr(owner, "generator", None) for k, owner in owners.items()}
        return {name: g for name, g in found.items() if g is not None}


class StatefulPasses(LoaderPasses):
    """The passes of a torchdata loader, which knows its position.

    Args:
        loader: the loader.
    """

    def state_dict(self) -> dict[str, Any]:
        """Return the loader's position, and the random state of its data set."""
        state = self.loader.state_dict()
        return {"loader": state, "torch": self._state, "draws": self.draws()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Open the next pass at a position."""
        self.loader.load_state_dict(state["loader"])
        self._state, self._drawn = state["torch"], state["draws"]


def as_pair(batch: Any) -> tuple[Any, Any]:
    """Return a loader's batch as a pair of arrays, which share the tensors' memory.

    Raises:
        ArgumentError: no pair.
    """
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        kind = type(batch).__name__
        what = ", ".join(map(str, batch)) if isinstance(batch, Mapping) else len(batch)
        raise ArgumentError(
            _("A Trainer takes a loader of pairs."),
            expected=_(
                "(inputs, targets), each of which may be a dictionary or a tuple"
            ),
            got=f"{kind}: {what}",
            fix=_("samples that are pairs: ((a, b), y); or collate_fn=… gives them"),
        )
    return arrays(batch[0]), arrays(batch[1])


def arrays(item: Any) -> Any:
    """Return arrays in place of tensors, and tuples in place of lists of these."""
    if isinstance(item, Mapping):
        return {key: arrays(part) for key, part in item.items()}
    if isinstance(item, tuple | list) and any(hasattr(p, "shape") for p in item):
        return tuple(map(arrays, item))
    if not hasattr(item, "detach"):
        return item
    given: Any = item
    tensor = given.detach().cpu()
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()

"""Data sets, samplers and loaders, as in ``torch.utils.data``.

A loader serves a loop of one's own, and a Trainer: ``trainer.fit(loader, epochs=5)``.
:mod:`chainrule.data` has what a Trainer reads by itself: arrays, tables, streams.

``dataset`` has the data sets, ``sampler`` the orders, ``collate`` makes batches of
samples, ``dataloader`` brings them together, ``workers`` are its processes.
"""

from typing import TYPE_CHECKING, Any

from chainrule.errors import unknown_name
from chainrule.util.pytorch_hints import LOADING
from chainrule.utils.data.collate import default_collate, default_convert
from chainrule.utils.data.dataloader import DataLoader
from chainrule.utils.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from chainrule.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from chainrule.utils.data.workers import get_worker_info

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "random_split",
]

if not TYPE_CHECKING:  # type checkers know the names

    def __getattr__(name: str) -> Any:
        """Raise an error for an unknown name of the module; suggest another."""
        raise unknown_name(__name__, name, __all__, LOADING)

"""Data sets, samplers and loaders, as in ``torch.utils.data``.

A loader serves a loop of one's own, and a Trainer: ``trainer.fit(loader, epochs=5)``.
:mod:`chainrule.data` has what a Trainer reads by itself: arrays, tables, streams.

``datasets`` are the data sets, ``samplers`` the orders, ``collate`` makes batches of
samples, ``loader`` brings them together, ``workers`` are its processes.
"""

from chainrule.utils.data.collate import default_collate, default_convert
from chainrule.utils.data.datasets import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from chainrule.utils.data.loader import DataLoader
from chainrule.utils.data.samplers import (
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

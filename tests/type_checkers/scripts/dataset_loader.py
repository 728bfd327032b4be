"""A data set of one's own, a loader, and samplers."""

from collections.abc import Iterator, Sequence

import numpy as np

import chainrule as cr
from chainrule import nn
from chainrule.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
    random_split,
)


class Spirals(Dataset[tuple[cr.Tensor, int]]):
    def __init__(self, count: int, noise: float = 0.05) -> None:
        rng = np.random.default_rng(0)
        self.angles = rng.uniform(0, 6, count)
        self.labels = rng.integers(0, 2, count)
        self.noise = noise

    def __len__(self) -> int:
        return len(self.angles)

    def __getitem__(self, index: int) -> tuple[cr.Tensor, int]:
        t, label = self.angles[index], int(self.labels[index])
        sign = 1 if label else -1
        xy = np.array([t * np.cos(t), t * np.sin(t)], dtype=np.float32)
        return cr.from_numpy(sign * xy), label


class Counter(IterableDataset[cr.Tensor]):
    def __iter__(self) -> Iterator[cr.Tensor]:
        for i in range(5):
            yield cr.tensor([float(i)])


def pad(samples: Sequence[cr.Tensor]) -> cr.Tensor:
    return nn.utils.rnn.pad_sequence(list(samples), batch_first=True)


data = Spirals(60)
train, test = random_split(data, [48, 12], generator=cr.Generator(0))
loader = DataLoader(train, batch_size=16, shuffle=True, drop_last=True)
for x, y in loader:
    print(x.shape, y.dtype, y.sum().item())
point, label = data[3]
print(point.norm().item(), label + 1, len(test), len(loader))

sampler = WeightedRandomSampler([0.9, 0.1], num_samples=6)
pairs = TensorDataset(cr.eye(2), cr.arange(2))
for features, target in DataLoader(pairs, batch_size=3, sampler=sampler):
    print(features.shape, target.tolist())
for batch in DataLoader(Counter(), batch_size=2, collate_fn=pad):
    print(batch.flatten().tolist())
print(len(Subset(data, [0, 1, 2])), (pairs + pairs)[3])

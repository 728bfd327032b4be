"""PyTorch's side of networks that a Trainer of ours trains, at its best on a CPU.

Eager, with the fused AdamW, gradients set to None, images channels last, denormals
flushed, no loader; of what was tried (the foreach optimiser, channels first, ReLU in
place) the fastest. It starts from our initial weights.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import torch
from turns import Trial

from chainrule import nn


def prepare(trial: Trial) -> None:
    """Threads, denormals, and the seed of everything that is drawn."""
    torch.set_num_threads(trial.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(trial.seed)


#: What PyTorch's layer is made with, from ours.
MADE: dict[type[nn.Module], Callable[[Any], dict[str, Any]]] = {
    nn.Conv2d: lambda layer: {
        "in_channels": layer.weight.shape[1],
        "out_channels": layer.weight.shape[0],
        "kernel_size": layer.weight.shape[2],
        "padding": layer.padding,
        "bias": layer.bias is not None,
    },
    nn.Linear: lambda layer: {
        "in_features": layer.weight.shape[1],
        "out_features": layer.weight.shape[0],
    },
    nn.BatchNorm2d: lambda layer: {"num_features": layer.weight.shape[0]},
    nn.MaxPool2d: lambda layer: {"kernel_size": layer.kernel_size},
    nn.Dropout: lambda layer: {"p": layer.p},
    nn.Flatten: lambda _: {},
    nn.ReLU: lambda _: {},
}


def twin(*layers: nn.Module) -> torch.nn.Module:
    """PyTorch's layers with the sizes and the weights of ours; others are refused."""
    made = []
    for layer in layers:
        twin = getattr(torch.nn, type(layer).__name__)(**MADE[type(layer)](layer))
        with torch.no_grad():
            for mine, theirs in zip(layer.parameters(), twin.parameters(), strict=True):
                theirs.copy_(torch.tensor(mine.numpy()))
        made.append(twin)
    return torch.nn.Sequential(*made).to(memory_format=torch.channels_last)  # type: ignore


class Windows(torch.nn.Conv2d):
    """Conv1d over steps: (N, T, inputs) → (N, T, outputs).

    As a convolution of images of one row, whose channels lie last as they are, it takes
    two thirds of the time of PyTorch's own Conv1d.
    """

    def __init__(self, inputs: int, outputs: int, width: int, dilation: int = 1):
        reach = dilation * (width // 2)
        how: Any = {"padding": (0, reach), "dilation": (1, dilation)}
        super().__init__(inputs, outputs, (1, width), **how)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = super().forward(x.transpose(1, 2).unsqueeze(2))
        return made.squeeze(2).transpose(1, 2)


def tensor(x: np.ndarray) -> torch.Tensor:
    """Samples, those of images channels last."""
    made = torch.from_numpy(np.array(x))
    if made.ndim == 4:
        return made.to(memory_format=torch.channels_last)
    return made.long() if made.dtype == torch.int32 else made


def epochs(
    model: torch.nn.Module,
    x: Any,
    y: Any,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    weight_decay: float,
    betas: tuple[float, float] = (0.9, 0.999),
    changed: Callable[[Any], Any] = lambda rows: rows,
) -> Generator[None, None, None]:
    """Train by AdamW and one cycle, an epoch at a time.

    Args:
        model: of samples to scores.
        x, y: samples and their classes.
        epochs, batch_size, lr, weight_decay, betas: as ours.
        changed: what is made of the samples of a batch before the model gets them.
    """
    x, y = tensor(x), torch.from_numpy(np.array(y, np.int64))
    adam = torch.optim.AdamW(
        model.parameters(), lr=lr, betas=betas, weight_decay=weight_decay, fused=True
    )
    steps = -(-len(x) // batch_size)
    rate = torch.optim.lr_scheduler.OneCycleLR(
        adam, lr, total_steps=epochs * steps, cycle_momentum=False
    )
    yield
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch_size):
            adam.zero_grad(set_to_none=True)
            scores = model(changed(x[rows]))
            torch.nn.functional.cross_entropy(scores, y[rows]).backward()
            adam.step()
            rate.step()
        yield


@torch.inference_mode()
def scores(
    model: torch.nn.Module, x: Any, changed: Callable[[Any], Any] = lambda rows: rows
) -> np.ndarray:
    """What the trained model says."""
    model.eval()
    return torch.cat([model(changed(part)) for part in tensor(x).split(500)]).numpy()


def accuracy(model: torch.nn.Module, x: Any, y: Any, **how: Any) -> dict[str, float]:
    """The share of samples that are named right."""
    return {"accuracy": float((scores(model, x, **how).argmax(1) == y).mean())}

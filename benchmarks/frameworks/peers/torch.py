"""PyTorch: eager, or its model and loss under ``torch.compile``.

Fused optimisers, channels last for convolutions, activations in place, denormals
flushed; the blocks of a transformer by ``scaled_dot_product_attention``.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from frameworks.workloads import Job, Layers


class Residual(nn.Module):
    def __init__(self, body: Layers, shortcut: Layers) -> None:
        super().__init__()
        self.body, self.shortcut = build(body), build(shortcut)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


class Positions(nn.Embedding):
    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.self_attn = nn.MultiheadAttention(width, heads)  # its weights alone
        self.linear1 = nn.Linear(width, 4 * width)
        self.linear2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, t, width = x.shape
        held = self.self_attn
        made = functional.linear(self.norm1(x), held.in_proj_weight, held.in_proj_bias)
        shape = n, t, 3, self.heads, width // self.heads
        q, k, v = made.view(shape).permute(2, 0, 3, 1, 4).unbind()
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + held.out_proj(seen.transpose(1, 2).reshape(n, t, width))
        return x + self.linear2(functional.gelu(self.linear1(self.norm2(x))))


class LSTM(nn.LSTM):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[0][:, -1]


class GRU(nn.GRU):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[0][:, -1]


OWN = {
    "Residual": Residual,
    "Positions": Positions,
    "Block": Block,
    "LSTM": functools.partial(LSTM, batch_first=True),
    "GRU": functools.partial(GRU, batch_first=True),
    "ReLU": functools.partial(nn.ReLU, inplace=True),
}


def build(layers: Layers) -> nn.Sequential:
    makers = [OWN.get(kind) or getattr(nn, kind) for kind, *_ in layers]
    return nn.Sequential(*[make(*layer[1:]) for make, layer in zip(makers, layers)])


def _network(job: Job, threads: int) -> nn.Sequential:
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    model = build(job.work.layers)
    model.load_state_dict({k: torch.from_numpy(v) for k, v in job.weights.items()})
    return model


class Training:
    def __init__(self, job: Job, variant: str, threads: int) -> None:
        self.work, self.model = job.work, _network(job, threads)
        self.x = torch.from_numpy(job.features)
        images = len(job.work.shape) == 3
        if images:
            self.x = self.x.contiguous(memory_format=torch.channels_last)
            self.model.to(memory_format=torch.channels_last)
        if self.x.dtype == torch.int32:
            self.x = self.x.long()
        self.y = torch.from_numpy(job.y)
        self.y = self.y if job.work.classes == 1 else self.y.long()
        self.weights = list(self.model.parameters())
        self.parameters = sum(p.numel() for p in self.weights)
        self.optimizer = getattr(torch.optim, job.work.optimizer)(
            self.weights, lr=1e-3, weight_decay=job.work.weight_decay, fused=True
        )
        self.cost = torch.compile(self._cost) if variant == "compile" else self._cost

    def _cost(self, x: Tensor, y: Tensor) -> Tensor:
        scores = self.model(x)
        if self.work.classes == 1:
            return functional.binary_cross_entropy_with_logits(scores[:, 0], y)
        return functional.cross_entropy(scores, y.flatten())

    def run(self, order: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        losses = []
        for index in torch.from_numpy(order):
            x, y = self.x.index_select(0, index), self.y.index_select(0, index)
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.cost(x, y)
            loss.backward()
            if self.work.clip_norm is not None:
                nn.utils.clip_grad_norm_(
                    self.weights, self.work.clip_norm, foreach=True
                )
            self.optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).numpy()

    def predict(self, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        with torch.inference_mode():
            return self.model(torch.from_numpy(x)).numpy()


class Inference:
    def __init__(self, job: Job, variant: str, threads: int) -> None:
        self.model: Any = _network(job, threads).eval()
        self.parameters = sum(p.numel() for p in self.model.parameters())
        if variant == "compile":
            self.model = torch.compile(self.model)

    @torch.inference_mode()
    def __call__(self, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return self.model(torch.from_numpy(x)).numpy()

"""PyTorch, eager, with its fused Adam.

784-128-64-10, ReLU, softmax with cross-entropy, Adam, float32.
"""

import numpy as np
import torch
from torch.nn import functional

LAYERS = ("0", "2", "4")


class Peer:
    name = "PyTorch eager, fused Adam"

    def __init__(
        self,
        x_uint8: np.ndarray,
        y: np.ndarray,
        batch: int,
        weights: dict[str, np.ndarray],
        threads: int,
    ):
        self.threads = threads
        x = x_uint8.reshape(len(x_uint8), -1) * np.float32(1 / 255)
        self.x = torch.from_numpy(x)
        self.y = torch.from_numpy(y.astype(np.int64))
        self.params = [
            torch.from_numpy(weights[f"{layer}.{kind}"].copy()).requires_grad_()
            for layer in LAYERS
            for kind in ("weight", "bias")
        ]
        self.optimizer = torch.optim.Adam(
            self.params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, fused=True
        )

    def run(self, order: np.ndarray) -> np.ndarray:
        torch.set_num_threads(self.threads)
        torch.set_flush_denormal(True)  # holds for this thread: put back below
        losses = []
        for index in torch.from_numpy(order):
            x = self.x.index_select(0, index)
            y = self.y.index_select(0, index)
            losses.append(self.forward_backward(x, y))
            self.optimizer.step()
        torch.set_flush_denormal(False)
        return torch.stack(losses).numpy()

    def forward_backward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Forward, loss and backward of one float32 batch; the detached loss."""
        W1, b1, W2, b2, W3, b3 = self.params
        self.optimizer.zero_grad(set_to_none=True)
        a = functional.linear(x, W1, b1).relu_()
        a = functional.linear(a, W2, b2).relu_()
        loss = functional.cross_entropy(functional.linear(a, W3, b3), y)
        loss.backward()
        return loss.detach()

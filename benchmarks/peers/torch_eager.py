"""PyTorch, eager: the textbook's network, forward and back."""

import numpy as np
import torch
from torch.nn import functional


class Peer:
    """784-128-64-10, ReLU, softmax with cross-entropy, float32."""

    def __init__(self, weights: dict[str, np.ndarray]):
        self.params = [
            torch.from_numpy(weights[f"{layer}.{kind}"].copy()).requires_grad_()
            for layer in ("0", "2", "4")
            for kind in ("weight", "bias")
        ]

    def forward_backward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Forward, loss and backward of one float32 batch; the detached loss."""
        W1, b1, W2, b2, W3, b3 = self.params
        for p in self.params:
            p.grad = None
        a = functional.linear(x, W1, b1).relu_()
        a = functional.linear(a, W2, b2).relu_()
        loss = functional.cross_entropy(functional.linear(a, W3, b3), y)
        loss.backward()
        return loss.detach()

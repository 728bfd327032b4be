"""Small networks trained on the native engine; a mark of every weight and loss.

``python -m tests.engines.same_bits`` prints them as JSON, to be compared between
processors: products, sums and elementary functions have one order and one rounding.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np

import chainrule as cr
from chainrule import nn, optim


def _recurrent(kind: str) -> nn.Module:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.LSTM(6, 16, batch_first=True, dtype=kind)
            self.out = nn.Linear(16, 3, dtype=kind)

        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return self.out(self.inner(x)[0][:, -1])

    return Network()


NETWORKS = {
    "dense": (
        (20,),
        lambda kind: nn.Sequential(
            nn.Linear(20, 33, dtype=kind),
            nn.GELU(),
            nn.LayerNorm(33, dtype=kind),
            nn.Linear(33, 17, dtype=kind),
            nn.Tanh(),
            nn.Dropout(0.2),
            nn.Linear(17, 3, dtype=kind),
        ),
    ),
    "convolution": (
        (2, 9, 9),
        lambda kind: nn.Sequential(
            nn.Conv2d(2, 5, 3, dtype=kind),
            nn.BatchNorm2d(5, dtype=kind),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(45, 3, dtype=kind),
        ),
    ),
    "recurrent": ((7, 6), _recurrent),
}


def marks(steps: int = 20) -> dict[str, str]:
    """A mark of each array, by network, type and name."""
    found: dict[str, str] = {}
    for name, (shape, make) in NETWORKS.items():
        for kind in ("float32", "float64"):
            cr.manual_seed(0)
            model, loss = make(kind), nn.CrossEntropyLoss()
            optimizer = optim.Adam(model.parameters(), lr=1e-2)

            def step(x, y, model=model, loss=loss, optimizer=optimizer):
                optimizer.zero_grad()
                made = loss(model(x), y)
                made.backward()
                optimizer.step()
                return made

            run = cr.compile(step, engine="native", threads=1)
            draw = np.random.Generator(np.random.Philox(1))
            x = (draw.integers(-64, 64, (steps, 16, *shape)) / 32).astype(kind)
            y = draw.integers(0, 3, (steps, 16))
            losses = np.stack([run(a, b).numpy() for a, b in zip(x, y, strict=True)])
            arrays = {"losses": losses, **model.state_dict()}
            for key, array in arrays.items():
                mark = hashlib.blake2b(np.ascontiguousarray(array), digest_size=8)
                found[f"{name}/{kind}/{key}"] = mark.hexdigest()
    return found


if __name__ == "__main__":
    print(json.dumps(marks()))

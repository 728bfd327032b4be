"""An optimiser of one's own in both ways, and LBFGS with a closure."""

from collections.abc import Iterable
from typing import Any

import chainrule as cr
from chainrule import nn, optim


class SignSGD(optim.Optimizer):
    """Steps of one size along the sign of the gradient."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float = 1e-2) -> None:
        super().__init__(params, {"lr": lr})

    def step(self, closure: Any = None) -> None:
        with cr.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    state = self.state[p]
                    state["count"] = state.get("count", 0) + 1
                    p.add_(p.grad.sign(), alpha=-group["lr"])


def train(model: nn.Module, optimizer: optim.Optimizer, x: cr.Tensor) -> float:
    loss = cr.tensor(0.0)
    for _ in range(10):
        optimizer.zero_grad()
        loss = (model(x) - x.sum(1, keepdim=True)).abs().mean()
        loss.backward()
        optimizer.step()
    return loss.item()


cr.manual_seed(0)
x = cr.randn(20, 3)
model = nn.Linear(3, 1)
print(train(model, SignSGD(model.parameters(), lr=0.05), x))
print(train(model, optim.Adamax(model.parameters(), lr=0.05), x))

lbfgs = optim.LBFGS(model.parameters(), lr=1.0, line_search_fn="strong_wolfe")


def closure() -> cr.Tensor:
    lbfgs.zero_grad()
    loss = (model(x) - 1).square().mean()
    loss.backward()
    return loss


for _ in range(3):
    last = lbfgs.step(closure)
print(closure().item() < 1.0)

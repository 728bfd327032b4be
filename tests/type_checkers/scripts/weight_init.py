"""Initial weights, hooks, freezing, and walks over modules."""

from collections.abc import Callable
from typing import Any

import chainrule as cr
from chainrule import nn


def init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)


model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
model.apply(init_weights)
head = nn.Linear(8, 2)
head.bias.data.fill_(0.1)
nn.init.xavier_uniform_(model[2].weight, gain=nn.init.calculate_gain("tanh"))
activations: dict[str, cr.Tensor] = {}


def remember(name: str) -> Callable[[nn.Module, Any, cr.Tensor], None]:
    def hook(module: nn.Module, inputs: Any, output: cr.Tensor) -> None:
        activations[name] = output.detach()

    return hook


handles = [
    layer.register_forward_hook(remember(name))
    for name, layer in model.named_children()
]
x = cr.randn(3, 4, requires_grad=True)
x.register_hook(lambda grad: grad * 0.5)
out = model(x)
out.sum().backward()
for handle in handles:
    handle.remove()
for name, activation in activations.items():
    print(name, activation.shape, activation.mean().item())

for name, module in model.named_modules():
    print(name or "model", type(module).__name__, sum(1 for _ in module.parameters()))
for p in model[0].parameters():
    p.requires_grad = False
model.zero_grad()
with cr.set_grad_enabled(False):
    print(model(x).requires_grad)


@cr.no_grad()
def norm(module: nn.Module) -> float:
    return cr.stack([p.norm() for p in module.parameters()]).norm().item()


print(norm(model) > 0, model.get_submodule("2"), x.grad)

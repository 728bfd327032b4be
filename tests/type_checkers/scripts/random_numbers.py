"""Generators, seeds, draws; a Monte Carlo estimate and augmentation."""

import chainrule as cr
from chainrule import nn


def estimate_pi(n: int, generator: cr.Generator | None = None) -> float:
    points = cr.rand(n, 2, generator=generator)
    return 4 * (points.square().sum(dim=1) < 1).float().mean().item()


cr.manual_seed(42)
generator = cr.Generator(7)
print(estimate_pi(2000), estimate_pi(2000, generator))
print(cr.randn(2, 3), cr.randint(0, 10, (4,)), cr.randperm(5, generator=generator))
print(cr.normal(0.0, 1.0, (2,)), cr.uniform(3, low=-1.0, high=1.0))
print(cr.bernoulli(cr.full((3,), 0.5)), cr.multinomial(cr.ones(4), 2).shape)
print(cr.randint(5, (2, 2)), cr.randn_like(cr.zeros(2)), cr.rand((2, 2)).shape)
noise = cr.empty(3).normal_(mean=0.0, std=0.1)
dropped = nn.functional.dropout(cr.ones(10), p=0.5, training=True)
print(noise.abs().max().item() < 1, dropped.count_nonzero().item() <= 10)

walk = cr.cumsum(cr.randint(0, 2, (50,)) * 2 - 1, dim=0)
print(walk.float().std().item() > 0, walk[-1].item(), walk.max() - walk.min())


class Noise(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        if not self.training:
            return x
        return x + self.scale * cr.randn_like(x)


layer = Noise(0.1)
print((layer(cr.zeros(4)) != 0).all().item(), layer.eval()(cr.zeros(4)).sum().item())

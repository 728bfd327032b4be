"""The programs of ``examples/`` in eager PyTorch, one training step each.

    step = lstm(example, model, draw)  # step(i) takes one step and returns its loss

``example`` is the module in ``examples/``, ``model`` is its network at the start, whose
weights are copied, ``draw`` draws random numbers: :class:`Draw` is PyTorch's own. Each
draws what the example draws, in the same order, so that with Chainrule's numbers in
place of PyTorch's both compute the same losses.
"""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Step = Callable[[int], Tensor]


class Draw:
    """PyTorch's random numbers."""

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.empty(shape).uniform_(low, high)

    def normal(self, *shape: int, mean: float = 0.0, std: float = 1.0) -> Tensor:
        return torch.empty(shape).normal_(mean, std)

    def randint(self, high: int, *shape: int) -> Tensor:
        return torch.randint(high, shape)


def weights(model: Any) -> OrderedDict[str, Tensor]:
    """The weights of a model of ours."""
    found = model.state_dict().items()
    return OrderedDict((k, torch.tensor(np.asarray(v))) for k, v in found)


def filled(model: nn.Module, ours: Any) -> nn.Module:
    """A PyTorch model with the weights of ours, which have the same names."""
    model.load_state_dict(weights(ours))
    return model


def micrograd(example: Any, network: Any, draw: Draw) -> Step:
    from chainrule import data

    made = data.moons(200, noise=0.1, seed=0)
    points, labels = torch.tensor(made.x[:]).float(), torch.tensor(2 * made.y - 1.0)
    known: dict[int, Tensor] = {}

    def parameter(ours: Any) -> Tensor:
        return known.setdefault(id(ours), torch.tensor(ours.item(), requires_grad=True))

    layers = [
        [([parameter(w) for w in n.weights], parameter(n.bias)) for n in layer]
        for layer in network.layers
    ]
    parameters = list(known.values())
    optimizer = torch.optim.SGD(parameters, lr=0.1, fused=True)

    def neuron(inputs: list[Tensor], weights: list[Tensor], bias: Tensor) -> Tensor:
        z = bias
        for w, x in zip(weights, inputs):
            z = z + w * x
        return z

    def step(i: int) -> Tensor:
        optimizer.zero_grad()
        start, loss = i * example.BATCH % len(points), torch.tensor(0.0)
        for row in range(start, start + example.BATCH):
            inputs = list(points[row].unbind())
            for layer in layers[:-1]:
                inputs = [neuron(inputs, *held).tanh() for held in layer]
            score = neuron(inputs, *layers[-1][0])
            loss = loss + (1 - labels[row] * score).relu() / example.BATCH
        for p in parameters:
            loss = loss + example.PENALTY * p * p
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def makemore(example: Any, model: Any, draw: Draw) -> Step:
    x, y = (torch.tensor(t.numpy()) for t in example.examples())
    p = {name: w.requires_grad_() for name, w in weights(model).items()}
    optimizer = torch.optim.Adam(p.values(), lr=5e-3, fused=True)

    def step(i: int) -> Tensor:
        rows = draw.randint(len(y), example.BATCH)
        optimizer.zero_grad()
        a = F.embedding(x.index_select(0, rows), p["table.weight"]).flatten(1)
        a = F.linear(a, p["hidden.weight"], p["hidden.bias"]).tanh()
        a = F.linear(a, p["output.weight"], p["output.bias"])
        loss = F.cross_entropy(a, y.index_select(0, rows))
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def nielsen(example: Any, model: Any, draw: Draw) -> Step:
    from chainrule import data
    from chainrule.random import permutation

    train, _ = data.mnist()
    images = torch.tensor(np.asarray(train.x[:], np.float32))
    digits = F.one_hot(torch.tensor(train.y).long(), 10).float()
    p = [w.requires_grad_() for w in weights(model).values()]
    optimizer = torch.optim.SGD(p, lr=3.0, fused=True)

    def endless() -> Any:
        for epoch in itertools.count():
            order = torch.tensor(permutation(len(images), 0, epoch))
            yield from order.split(example.BATCH)

    batches = endless()

    def step(i: int) -> Tensor:
        rows = next(batches)
        optimizer.zero_grad()
        a = F.linear(images.index_select(0, rows), p[0], p[1]).sigmoid_()
        a = F.linear(a, p[2], p[3]).sigmoid_()
        wanted = digits.index_select(0, rows)
        loss = F.mse_loss(a, wanted, reduction="sum") / (2 * len(rows))
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def physics_informed(example: Any, model: Any, draw: Draw) -> Step:
    p = [w.requires_grad_() for w in weights(model).values()]
    optimizer = torch.optim.Adam(p, lr=3e-3, fused=True)

    def u(x: Tensor, t: Tensor) -> Tensor:
        a = F.linear(torch.stack([x, t], 1), p[0], p[1]).tanh()
        return F.linear(F.linear(a, p[2], p[3]).tanh(), p[4], p[5])[:, 0]

    def step(i: int) -> Tensor:
        x, t = draw.uniform(2, example.INSIDE).unbind()
        start, time = draw.uniform(2, example.BORDER).unbind()
        left, right = torch.zeros_like(time), torch.ones_like(time)
        x.requires_grad_(), t.requires_grad_()
        optimizer.zero_grad()
        u_x, u_t = torch.autograd.grad(u(x, t).sum(), (x, t), create_graph=True)
        (u_xx,) = torch.autograd.grad(u_x.sum(), x, create_graph=True)
        equation = (u_t - example.ALPHA * u_xx).square().mean()
        at_start = (u(start, left) - (math.pi * start).sin()).square().mean()
        at_ends = (u(left, time).square() + u(right, time).square()).mean()
        loss = equation + at_start + at_ends
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def maml(example: Any, model: Any, draw: Draw) -> Step:
    p = [w.requires_grad_() for w in weights(model).values()]
    optimizer = torch.optim.Adam(p, lr=1e-3, fused=True)
    shots = example.SHOTS

    def loss_of(p: list[Tensor], x: Tensor, y: Tensor) -> Tensor:
        a = F.linear(F.linear(x, p[0], p[1]).relu(), p[2], p[3]).relu()
        return F.mse_loss(F.linear(a, p[4], p[5]), y)

    def step(i: int) -> Tensor:
        optimizer.zero_grad()
        loss = torch.tensor(0.0)
        for _ in range(example.TASKS):
            amplitude = draw.uniform(low=0.1, high=5.0)
            phase = draw.uniform(high=math.pi)
            x = draw.uniform(2 * shots, 1, low=-5.0, high=5.0)
            y = amplitude * (x + phase).sin()
            known = loss_of(p, x[:shots], y[:shots])
            slopes = torch.autograd.grad(known, p, create_graph=True)
            moved = torch._foreach_sub(p, torch._foreach_mul(slopes, example.ALPHA))
            loss = loss + loss_of(moved, x[shots:], y[shots:])
        loss = loss / example.TASKS
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def vae(example: Any, model: Any, draw: Draw) -> Step:
    from chainrule import data

    train, _ = data.mnist()
    images = torch.tensor(np.asarray(train.x[: example.IMAGES], np.float32))
    p = {name: w.requires_grad_() for name, w in weights(model).items()}
    optimizer = torch.optim.Adam(p.values(), lr=1e-3, fused=True)

    def linear(x: Tensor, name: str) -> Tensor:
        return F.linear(x, p[f"{name}.weight"], p[f"{name}.bias"])

    def step(i: int) -> Tensor:
        start = i * example.BATCH % example.IMAGES
        x = images[start : start + example.BATCH]
        optimizer.zero_grad()
        a = linear(linear(x, "encoder.0").relu_(), "heads")
        mean, log_variance = a.chunk(2, 1)
        z = mean + (0.5 * log_variance).exp() * draw.normal(*mean.shape)
        logits = linear(linear(z, "decoder.0").relu_(), "decoder.2")
        drawn = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
        loss = drawn / len(x) + kl / len(x)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def gan(example: Any, model: Any, draw: Draw) -> Step:
    """Both players' steps; the losses of both."""
    import chainrule as cr

    cr.manual_seed(0)
    sides = example.network(example.NOISE, 16), example.network(1, 32)
    generator, discriminator = (
        [w.requires_grad_() for w in weights(side).values()] for side in sides
    )
    for_g = torch.optim.Adam(generator, lr=1e-3, betas=(0.5, 0.999), fused=True)
    for_d = torch.optim.Adam(discriminator, lr=2e-3, betas=(0.5, 0.999), fused=True)
    batch, noise = example.BATCH, example.NOISE
    real, fake = torch.ones(batch, 1), torch.zeros(batch, 1)
    cost = F.binary_cross_entropy_with_logits

    def network(p: list[Tensor], x: Tensor) -> Tensor:
        a = F.leaky_relu_(F.linear(x, p[0], p[1]), 0.1)
        a = F.leaky_relu_(F.linear(a, p[2], p[3]), 0.1)
        return F.linear(a, p[4], p[5])

    def judge() -> Tensor:
        for_d.zero_grad()
        x = draw.normal(batch, 1, mean=example.MEAN, std=example.SPREAD)
        with torch.no_grad():
            made = network(generator, draw.uniform(batch, noise, low=-1.0))
        loss = cost(network(discriminator, x), real)
        loss = loss + cost(network(discriminator, made), fake)
        loss.backward()
        for_d.step()
        return loss.detach()

    def make() -> Tensor:
        for_g.zero_grad()
        made = network(generator, draw.uniform(batch, noise, low=-1.0))
        loss = cost(network(discriminator, made), real)
        loss.backward(inputs=generator)
        for_g.step()
        return loss.detach()

    return lambda i: (judge(), make())


def lstm(example: Any, model: Any, draw: Draw, fused: bool = False) -> Step:
    """By a cell written by hand, or by PyTorch's own (``fused``)."""
    length, batch, hidden = example.LENGTH, example.BATCH, example.HIDDEN
    cell, head = model[0].gates, model[1]

    def parameter(array: Any) -> Tensor:
        return torch.tensor(np.asarray(array)).requires_grad_()

    order = [0, 1, 3, 2]  # ours are i, f, o, g; PyTorch's kernel wants i, f, g, o
    w = np.concatenate([np.split(cell.weight.numpy(), 4)[k] for k in order])
    b = parameter(np.concatenate([np.split(cell.bias.numpy(), 4)[k] for k in order]))
    whole, zero = parameter(w), torch.zeros(4 * hidden)
    w_x, w_h = parameter(w[:, :2]), parameter(w[:, 2:])
    gates = [w_x, w_h, b] if fused else [whole, b]
    p = [*gates, parameter(head.weight.numpy()), parameter(head.bias.numpy())]
    optimizer = torch.optim.Adam(p, lr=5e-3, fused=True)

    def by_hand(xs: Tensor) -> Tensor:
        h = c = torch.zeros(batch, hidden)
        for x in xs.unbind():
            z = F.linear(torch.cat([x, h], 1), whole, b)
            i, f, g, o = z.chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        return h

    def by_kernel(xs: Tensor) -> Tensor:
        start = torch.zeros(1, batch, hidden)
        held = [w_x, w_h, b, zero]
        made = torch.lstm(xs, (start, start), held, True, 1, 0.0, True, False, False)
        return made[1][0]

    forward = by_kernel if fused else by_hand

    def step(i: int) -> Tensor:
        optimizer.zero_grad()
        numbers, half = draw.uniform(length, batch), length // 2
        marks = [F.one_hot(draw.randint(half, batch), half).T for _ in range(2)]
        xs = torch.stack([numbers, torch.cat(marks).float()], 2)
        sums = (numbers * xs[:, :, 1]).sum(0)[:, None]
        loss = F.mse_loss(F.linear(forward(xs), p[-2], p[-1]), sums)
        loss.backward()
        nn.utils.clip_grad_norm_(p, 1.0, foreach=True)
        optimizer.step()
        return loss.detach()

    return step


def lstm_kernel(example: Any, model: Any, draw: Draw) -> Step:
    return lstm(example, model, draw, fused=True)


def transformer(example: Any, model: Any, draw: Draw) -> Step:
    width, heads, length = example.WIDTH, example.HEADS, example.LENGTH

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before = nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, 4 * width),
                nn.GELU(),
                nn.Linear(4 * width, width),
            )

        def forward(self, x: Tensor) -> Tensor:
            n, t, _ = x.shape
            made = self.qkv(self.before(x)).view(n, t, 3, heads, width // heads)
            q, k, v = made.permute(2, 0, 3, 1, 4).unbind()
            seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(seen.transpose(1, 2).reshape(n, t, width))
            return x + self.mlp(x)

    class Transformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(example.DIGITS, width)
            self.positions = nn.Embedding(2 * length, width)
            self.blocks = nn.Sequential(*[Block() for _ in range(example.BLOCKS)])
            last = nn.Linear(width, example.DIGITS)
            self.scores = nn.Sequential(nn.LayerNorm(width), last)

        def forward(self, tokens: Tensor) -> Tensor:
            x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
            return self.scores(self.blocks(x))

    mine = filled(Transformer(), model)
    optimizer = torch.optim.AdamW(mine.parameters(), lr=3e-3, fused=True)
    ignored = torch.full((example.BATCH, length - 1), example.IGNORED)

    def step(i: int) -> Tensor:
        optimizer.zero_grad()
        given = draw.randint(example.DIGITS, example.BATCH, length)
        whole = torch.cat([given, given.sort(1).values], 1)
        following = torch.cat([ignored, whole[:, length:]], 1)
        scores = mine(whole[:, :-1])
        loss = F.cross_entropy(
            scores.flatten(0, 1), following.flatten(), ignore_index=example.IGNORED
        )
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def sweep(example: Any, model: Any, draw: Draw) -> Step:
    """One run of the sweep, at its learning rate of 0.01."""
    import chainrule as cr

    cr.manual_seed(0)
    layers = (2, 32), (32, 32), (32, 3)
    first, second, third = (cr.nn.Linear(*layer) for layer in layers)
    p = [w for layer in (first, second, third) for w in weights(layer).values()]
    optimizer = torch.optim.SGD(
        [w.requires_grad_() for w in p], lr=0.01, momentum=0.9, fused=True
    )
    data = cr.data.spiral(example.BATCH * 20, classes=3, noise=0.05, seed=0)
    points = torch.tensor(np.asarray(data.x[:], np.float32))
    labels = torch.tensor(data.y).long()

    def step(i: int) -> Tensor:
        start = i * example.BATCH % len(points)
        x, y = (a[start : start + example.BATCH] for a in (points, labels))
        optimizer.zero_grad()
        a = F.linear(F.linear(x, p[0], p[1]).tanh(), p[2], p[3]).tanh()
        loss = F.cross_entropy(F.linear(a, p[4], p[5]), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step

"""Networks of many architectures, each with what it is given."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import models, nn

F = nn.functional
Made = tuple[nn.Module, Any]


class Function(nn.Module):
    """A network of named modules and a function of them and of the inputs."""

    def __init__(self, function: Callable[..., Any], **modules: nn.Module) -> None:
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, *inputs: cr.Tensor, **named: cr.Tensor) -> Any:
        return self.function(self, *inputs, **named)


class TwoInputs(nn.Module):
    """Two inputs that meet."""

    def __init__(self) -> None:
        self.a, self.b, self.out = nn.Linear(3, 4), nn.Linear(5, 4), nn.Linear(4, 2)

    def forward(self, left: cr.Tensor, right: cr.Tensor) -> cr.Tensor:
        return self.out(self.a(left) * self.b(right).sigmoid())


class Gan(nn.Module):
    """A generator and a discriminator, which is called twice."""

    def __init__(self) -> None:
        self.generator = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 6))
        self.discriminator = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, z: cr.Tensor, x: cr.Tensor) -> dict[str, cr.Tensor]:
        fake = self.discriminator(self.generator(z))
        return {"fake": fake, "real": self.discriminator(x)}


class Residual(nn.Module):
    """Two convolutions with batch normalisation, and a shortcut around them."""

    def __init__(self, c: int) -> None:
        self.conv1 = nn.Conv2d(c, c, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(c)
        self.conv2 = nn.Conv2d(c, c, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(c)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        h = F.relu(self.bn1(self.conv1(x)))
        return F.relu(x + self.bn2(self.conv2(h)))


class Block(nn.Module):
    """A block of a GPT, whose Q, K and V come of one product."""

    def __init__(self, d: int, heads: int) -> None:
        self.ln1, self.ln2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        self.heads = heads

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        n, t, d = x.shape
        q, k, v = (
            part.reshape(n, t, self.heads, d // self.heads).transpose(1, 2)
            for part in self.qkv(self.ln1(x)).chunk(3, -1)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(n, t, d))
        return x + self.down(F.gelu(self.up(self.ln2(x))))


class Gpt(nn.Module):
    """A GPT whose last product has the weights of its embedding."""

    def __init__(self, blocks: int, d: int = 8) -> None:
        self.wte, self.wpe = nn.Embedding(20, d), nn.Embedding(16, d)
        self.blocks = nn.ModuleList([Block(d, 2) for __ in range(blocks)])
        self.ln = nn.LayerNorm(d)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        h = self.wte(x) + self.wpe(cr.arange(x.shape[1]))
        for block in self.blocks:
            h = block(h)
        return self.ln(h) @ self.wte.weight.T


class Unet(nn.Module):
    """Down and up again, with shortcuts across."""

    def __init__(self) -> None:
        self.d1 = nn.Conv2d(1, 4, 3, padding=1)
        self.d2 = nn.Conv2d(4, 8, 3, padding=1)
        self.middle = nn.Conv2d(8, 8, 3, padding=1)
        self.pool, self.up = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)
        self.u2 = nn.Conv2d(16, 4, 3, padding=1)
        self.u1 = nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        a = F.relu(self.d1(x))
        b = F.relu(self.d2(self.pool(a)))
        c = F.relu(self.middle(self.pool(b)))
        d = F.relu(self.u2(cr.cat([self.up(c), b], 1)))
        return self.u1(cr.cat([self.up(d), a], 1))


class DenseBlock(nn.Module):
    """Every layer reads all that came before it."""

    def __init__(self) -> None:
        self.layers = nn.ModuleList([nn.Linear(4 * k, 4) for k in range(1, 5)])

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        known = [x]
        for layer in self.layers:
            known.append(layer(cr.cat(known, 1)).relu())
        return cr.cat(known, 1)


class Recurrent(nn.Module):
    """A recurrent layer between an embedding and a linear one, for its last step."""

    def __init__(self, layer: nn.Module, width: int) -> None:
        self.embedding = nn.Embedding(20, 4)
        self.layer, self.out = layer, nn.Linear(width, 2)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        h, __ = self.layer(self.embedding(x))
        return self.out(h[:, -1])


class Cells(nn.Module):
    """A cell that Python calls a few times."""

    def __init__(self) -> None:
        self.cell, self.out = nn.LSTMCell(3, 4), nn.Linear(4, 1)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        h = c = cr.zeros(x.shape[0], 4)
        for t in range(3):
            h, c = self.cell(x[:, t], (h, c))
        return self.out(h)


class Own(nn.Module):
    """Attention with parameters of its own, and no module inside."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.q, self.k, self.v = (
            nn.Parameter(rng.normal(size=(4, 4)).astype("f")) for __ in range(3)
        )

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        q, k, v = (x @ w for w in (self.q, self.k, self.v))
        return ((q @ k.mT) / 2).softmax(-1) @ v


class Variational(nn.Module):
    """An autoencoder that draws random numbers, in predictions too."""

    def __init__(self) -> None:
        self.mean, self.spread, self.out = (
            nn.Linear(4, 2),
            nn.Linear(4, 2),
            nn.Linear(2, 4),
        )

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        mean, spread = self.mean(x), self.spread(x)
        return self.out(mean + cr.randn(*mean.shape) * (spread / 2).exp())


class Excite(nn.Module):
    """Channels scaled by what their means say (squeeze and excitation)."""

    def __init__(self) -> None:
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.gate = nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 4))

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        h = self.conv(x)
        return h * self.gate(h.mean((2, 3))).sigmoid()[:, :, None, None]


class Scanned(nn.Module):
    """A loop over time by ``cr.scan``, with a layer in its body."""

    def __init__(self) -> None:
        self.step, self.out = nn.Linear(4, 4), nn.Linear(4, 1)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        def body(h: cr.Tensor, each: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
            h = (self.step(h) + each).tanh()
            return h, h * 2

        last, every = cr.scan(body, cr.zeros(x.shape[0], 4), x.transpose(0, 1))
        return self.out(last + every.mean(0))


KINDS = ["new", "again", "add", "mul", "cat", "tanh", "flip"]


class Drawn(nn.Module):
    """Random operations on random earlier values, some modules called again."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.plan: list[tuple[str, list[int], int]] = []
        self.layers, self.read = nn.ModuleList(), set[int]()
        for k in range(int(rng.integers(5, 14))):
            kind = str(
                rng.choice(["new", "again", "add", "mul", "cat", "tanh", "flip"])
            )
            if kind == "again" and not len(self.layers):
                kind = "new"
            which = len(self.layers)
            if kind == "new":
                layer = nn.Linear(4, 4)
                deep = nn.Sequential(layer, nn.ReLU(), nn.Linear(4, 4))
                self.layers.append(deep if rng.random() < 0.3 else layer)
            elif kind == "cat":
                self.layers.append(nn.Linear(8, 4))
            elif kind == "again":
                which = int(rng.integers(which))
            i, j = rng.integers(0, k + 1, 2).tolist()
            self.read |= {i, j} if kind in ("add", "mul", "cat") else {i}
            self.plan.append((kind, [i, j], which))

    def forward(self, x: cr.Tensor) -> tuple[cr.Tensor, ...]:
        known = [x]
        for kind, (i, j), which in self.plan:
            a, b = known[i], known[j]
            layer = self.layers[which] if kind in ("new", "again", "cat") else None
            if kind == "again" and getattr(layer, "in_features", 4) == 8:
                a = cr.cat([a, a * 2], 1)
            if kind == "cat":
                a = cr.cat([a, b], 1)
            if layer is not None:
                made = layer(a)
            elif kind == "flip":
                made = a.flip(1)
            else:
                made = (
                    a.tanh() if kind == "tanh" else (a + b if kind == "add" else a * b)
                )
            known.append(made)
        unread = known[-1]
        for i in range(1, len(self.plan)):  # so that nothing is computed in vain
            unread = unread + known[i] if i not in self.read else unread
        return unread, known[len(known) // 2] + 1


def _dense(*sizes: int, between: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    parts: list[nn.Module] = []
    for n, m in pairwise(sizes):
        parts += [nn.Linear(n, m), between()]
    return nn.Sequential(*parts[:-1])


def _numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def _words(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 20, size=shape)


def _inception() -> Made:
    def forward(m: Any, x: cr.Tensor) -> cr.Tensor:
        return cr.cat([m.one(x), m.three(x), m.pool(x)], 1)

    model = Function(
        forward,
        one=nn.Conv2d(2, 3, 1),
        three=nn.Sequential(nn.Conv2d(2, 3, 1), nn.Conv2d(3, 3, 3, padding=1)),
        pool=nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), nn.Conv2d(2, 3, 1)),
    )
    return model, _numbers(1, 2, 6, 6)


def _shared() -> Made:
    def forward(m: Any, x: cr.Tensor) -> cr.Tensor:
        a = m.f(x).tanh()
        return m.g(cr.cat([a, m.f(a).tanh()], 1))

    return Function(forward, f=nn.Linear(4, 4), g=nn.Linear(8, 1)), _numbers(2, 4)


def _highway() -> Made:
    def forward(m: Any, x: cr.Tensor) -> cr.Tensor:
        t = m.t(x).sigmoid()
        return m.h(x).relu() * t + x * (1 - t)

    return Function(forward, h=nn.Linear(4, 4), t=nn.Linear(4, 4)), _numbers(2, 4)


def _halves() -> Made:
    def forward(m: Any, x: cr.Tensor) -> cr.Tensor:
        a, b = m.f(x).chunk(2, 1)
        return m.g(a * b.sigmoid())

    return Function(forward, f=nn.Linear(4, 8), g=nn.Linear(4, 2)), _numbers(2, 4)


class Siamese(nn.Module):
    """One module for two inputs, and their distance."""

    def __init__(self) -> None:
        self.f = _dense(4, 6, 3)

    def forward(self, a: cr.Tensor, b: cr.Tensor) -> cr.Tensor:
        return (self.f(a) - self.f(b)).abs().sum(1)


class Translator(nn.Module):
    """An encoder, and a decoder that reads what it says."""

    def __init__(self) -> None:
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.decoder = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)

    def forward(self, source: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
        return self.decoder(target, self.encoder(source))


def _lenet() -> Made:
    convolutions = [nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
    convolutions += [nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    return nn.Sequential(*convolutions, *_dense(400, 120, 10)), _numbers(1, 1, 28, 28)


def _resnet() -> Made:
    def forward(m: Any, x: cr.Tensor) -> cr.Tensor:
        return m.fc(m.b2(m.b1(m.stem(x))).mean((2, 3)))

    parts: dict[str, nn.Module] = {"stem": nn.Conv2d(3, 4, 3, padding=1)}
    parts |= {"b1": Residual(4), "b2": Residual(4), "fc": nn.Linear(4, 3)}
    return Function(forward, **parts), _numbers(1, 3, 8, 8)


def _bert() -> Made:
    sizes = {"hidden_size": 8, "num_hidden_layers": 4, "num_attention_heads": 2}
    config = models.BertConfig(vocab_size=20, intermediate_size=16, **sizes)
    return models.BertModel(config), _words(1, 6)


def _drawn(seed: int) -> Made:
    return Drawn(seed), (4,)


def _lstm(**more: Any) -> nn.Module:
    return nn.LSTM(4, 4, batch_first=True, **more)


NETWORKS: dict[str, Callable[[], Made]] = {
    "two-two-one": lambda: (_dense(2, 2, 1, between=nn.Sigmoid), [[0.5, 1.0]]),
    "textbook": lambda: (_dense(784, 128, 64, 10), (784,)),
    "iris": lambda: (
        nn.Sequential(*_dense(4, 8, 3), nn.Softmax(dim=1)),
        _numbers(1, 4),
    ),
    "lenet": _lenet,
    "residual": lambda: (Residual(2), _numbers(1, 2, 6, 6)),
    "resnet": _resnet,
    "three-residuals": lambda: (
        nn.Sequential(*[Residual(2) for __ in range(3)]),
        _numbers(1, 2, 6, 6),
    ),
    "dense-block": lambda: (DenseBlock(), _numbers(2, 4)),
    "unet": lambda: (Unet(), _numbers(1, 1, 8, 8)),
    "inception": _inception,
    "two-inputs": lambda: (TwoInputs(), {"left": (3,), "right": (5,)}),
    "gan": lambda: (Gan(), {"z": (3,), "x": (6,)}),
    "shared": _shared,
    "shared-chain": lambda: (nn.Sequential(*[nn.Linear(4, 4)] * 4), (4,)),
    "siamese": lambda: (Siamese(), {"a": (4,), "b": (4,)}),
    "highway": _highway,
    "halves": _halves,
    "variational": lambda: (Variational(), _numbers(1, 4)),
    "excite": lambda: (Excite(), _numbers(1, 2, 5, 5)),
    "own-attention": lambda: (Own(), _numbers(1, 3, 4)),
    "encoder-layer": lambda: (
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
        _numbers(1, 5, 8),
    ),
    "translator": lambda: (Translator(), {"source": (5, 8), "target": (4, 8)}),
    "gpt-1": lambda: (Gpt(1), _words(1, 6)),
    "gpt-4": lambda: (Gpt(4), _words(1, 6)),
    "gpt-12": lambda: (Gpt(12), (6,)),
    "cross-attention": lambda: (
        nn.MultiheadAttention(8, 2, batch_first=True),
        {"query": (5, 8), "key": (6, 8), "value": (6, 8)},
    ),
    "transformer": lambda: (
        nn.Transformer(8, 2, 3, 3, 16, batch_first=True),
        {"src": (5, 8), "tgt": (4, 8)},
    ),
    "gpt2": lambda: (
        models.GPT2Model(models.GPT2Config(20, 16, n_embd=8, n_layer=2, n_head=2)),
        _words(1, 6),
    ),
    "bert": _bert,
    "mobilenet": lambda: (models.mobilenet_v3_small(), (3, 32, 32)),
    "rnn": lambda: (nn.RNN(3, 4, batch_first=True), _numbers(1, 5, 3)),
    "gru": lambda: (Recurrent(nn.GRU(4, 4, batch_first=True), 4), _words(1, 5)),
    "lstm": lambda: (Recurrent(_lstm(), 4), _words(1, 5)),
    "lstm-both-ways": lambda: (
        Recurrent(_lstm(num_layers=2, bidirectional=True), 8),
        _words(1, 5),
    ),
    "cells": lambda: (Cells(), _numbers(1, 3, 3)),
    "scan": lambda: (Scanned(), _numbers(1, 5, 4)),
}
NETWORKS |= {f"random-{seed}": partial(_drawn, seed) for seed in range(20)}

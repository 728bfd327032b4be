"""Networks of the measuring set, from a flat table, and their initial weights."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn
from chainrule.doctor.changes import replaced
from chainrule.recipes import lenet, mnist

Spec = dict[str, Any]


class Exp(nn.Module):
    """The exponential function as an activation, as in AutoTrainer's grid."""

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return x.exp()


class Square(nn.Module):
    """The square as an activation."""

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return x * x


class Sine(nn.Module):
    """A fast wave as an activation."""

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return (x * 30).sin()


class Hard(nn.Module):
    """A step function: 1 above 0, and no derivative."""

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return (x > 0).float()


class Elementwise(nn.Module):
    """A function of one's own as an activation."""

    def __init__(self, function: Callable[[cr.Tensor], cr.Tensor]) -> None:
        self.function = function

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.function(x)


class Reader(nn.Module):
    """A recurrent layer, whose last state gives the scores, or another by mistake."""

    def __init__(
        self, layer: Any, inputs: int, width: int, outputs: int, reads: str
    ) -> None:
        both = reads == "both"  # ways, and the mean of their states
        first = reads != "swapped"  # rows and steps
        self.gru = layer(inputs, width, batch_first=first, bidirectional=both)
        self.last = nn.Linear(2 * width if both else width, outputs)
        self.reads = reads

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        states = self.gru(x)[0]
        if self.reads == "both":
            return self.last(states.mean(1))
        return self.last(states[:, 0 if self.reads == "first" else -1])


class Letters(nn.Module):
    """Vectors of letters, and what reads them."""

    def __init__(self, letters: int, width: int, reader: nn.Module) -> None:
        self.letters, self.reader = nn.Embedding(letters, width), reader

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.reader(self.letters(x))


class Joined(nn.Module):
    """A layer whose inputs stand beside what it gives."""

    def __init__(self, *layers: nn.Module) -> None:
        self.layers = nn.Sequential(*layers)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return cr.cat([x, self.layers(x)], 1)


class Attention(nn.Module):
    """Words or steps with positions, a layer of an encoder, the mean of its states."""

    def __init__(
        self, first: nn.Module, width: int, outputs: int, heads: int, places: Any
    ) -> None:
        self.first = first
        self.position = None if places is None else nn.Parameter(places)
        self.layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout=0.0, batch_first=True
        )
        self.last = nn.Linear(width, outputs)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        x = self.first(x)
        x = x if self.position is None else x + self.position
        return self.last(self.layer(x).mean(1))


class Words(nn.Module):
    """Vectors of words, their mean, and a network behind it."""

    def __init__(self, words: int, width: int, rest: nn.Module) -> None:
        self.words, self.rest = nn.Embedding(words, width), rest

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.rest(self.words(x).mean(1))


class Residual(nn.Module):
    """A layer whose inputs are added to what it gives."""

    def __init__(self, *layers: nn.Module) -> None:
        self.layers = nn.Sequential(*layers)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return x + self.layers(x)


class Ended(nn.Module):
    """A network and an activation behind it."""

    def __init__(self, network: nn.Module, end: nn.Module) -> None:
        self.network, self.end = network, end

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.end(self.network(x))


def own(function: Callable[[cr.Tensor], cr.Tensor]) -> Callable[[], nn.Module]:
    """Return what makes a module of a function."""
    return lambda: Elementwise(function)


ACTIVATIONS: dict[str, Any] = {
    "relu": nn.ReLU,
    "leaky": nn.LeakyReLU,
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "exp": Exp,
    "hard": Hard,
    "linear": nn.Identity,
    "softmax": lambda: nn.Softmax(1),
    "square": Square,
    "sine": Sine,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "softplus": nn.Softplus,
    "relu6": nn.ReLU6,
    "mish": nn.Mish,
    "selu": nn.SELU,
    "celu": nn.CELU,
    "softsign": nn.Softsign,
    "hardtanh": nn.Hardtanh,
    "hardswish": nn.Hardswish,
    "abs": own(lambda x: x.abs()),
    "slow-wave": own(lambda x: x.sin()),
    "cube": own(lambda x: x * x * x),
    "hardsigmoid": nn.Hardsigmoid,
    "tanhshrink": nn.Tanhshrink,
    "far": own(lambda x: (x - 8.0).clamp(min=0.0)),
    "negative": own(lambda x: -(x.abs())),
    "sign": own(lambda x: (x > 0).float() * 2 - 1),
    "clipped": own(lambda x: x.clamp(min=0.0, max=0.01)),
    "log-softmax": lambda: nn.LogSoftmax(1),
    "rounded": own(lambda x: x.round()),
    "prelu": nn.PReLU,
    "quick-gelu": own(lambda x: x * (1.702 * x).sigmoid()),
    "snake": own(lambda x: x + x.sin().square()),
    "arctan": own(lambda x: x.arctan()),
    "softmin": lambda: nn.Softmin(1),
    "threshold": lambda: nn.Threshold(2.0, 0.0),
    "gauss": own(lambda x: (-(x * 4).square()).exp()),
    "far-sigmoid": own(lambda x: (x * 50).sigmoid()),
}
OUTPUTS: dict[str, Any] = {
    "softmax": lambda: nn.Softmax(1),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "log-softmax": lambda: nn.LogSoftmax(1),
    "softplus": nn.Softplus,
    "exp": Exp,
    "clipped": own(lambda x: x.clamp(min=0.0, max=1.0)),
    "hardtanh": nn.Hardtanh,
    "hardsigmoid": nn.Hardsigmoid,
    "relu6": nn.ReLU6,
    "softsign": nn.Softsign,
    "negative": own(lambda x: -(x.clamp(min=0.0))),
    "dropout": lambda: nn.Dropout(0.9),
    "batch-softmax": lambda: nn.Softmax(0),
    "mean-free": own(lambda x: x - x.mean(1, keepdim=True)),
    "unit": own(lambda x: x / (x.square().sum(1, keepdim=True) + 1e-8).sqrt()),
    "detached": own(lambda x: x.detach() + 0 * x),
    "whole": own(lambda x: x.round()),
    "absolute": own(lambda x: x.abs()),
}
#: What is wrongly put in front of a network.
FRONTS: dict[str, Any] = {
    "log": own(lambda x: (x + 1).log()),
    "root": own(lambda x: x.sqrt()),
    "softmax": lambda: nn.Softmax(1),
    "sigmoid": own(lambda x: (10 * x + 40).sigmoid()),
    "sign": own(lambda x: (x > 0).float()),
    "mean": own(lambda x: x.mean(1, keepdim=True) + 0 * x),
}
#: Standard deviations of all weights, or their one value.
SPREAD = {
    "dust": 1e-5,
    "tiny": 0.0005,
    "small": 0.003,
    "even": 0.1,
    "large": 1.0,
    "broad": 2.0,
    "wide": 3.0,
    "huge": 8.0,
    "vast": 20.0,
}
VALUES = {
    "zeros": 0.0,
    "hundredths": 0.01,
    "tenths": 0.1,
    "constant": 0.2,
    "halves": 0.5,
    "ones": 1.0,
    "minus": -0.3,
}
BATCH = (nn.BatchNorm1d, nn.BatchNorm2d)
RECURRENT = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.RNN}


def network(spec: Spec, shape: tuple[int, ...], outputs: int, words: int) -> nn.Module:
    """Return the network of a program; weights are drawn by the present seed."""
    kind = spec["net"]
    if kind == "textbook":
        model = mnist.network(int(cr.randint(0, 10**6, (1,)).item()))
    elif kind == "lenet":
        model = lenet.network(int(cr.randint(0, 10**6, (1,)).item()))
    elif kind in RECURRENT:
        reads = spec["state"] if spec["reads"] == "last" else spec["reads"]
        model = Reader(RECURRENT[kind], shape[-1], spec["width"], outputs, reads)
    elif kind == "letters":
        reader = Reader(nn.GRU, 8, spec["width"], outputs, spec["reads"])
        model = Letters(words, 8, reader)
    elif kind == "attention":
        width = spec["width"]
        first = nn.Embedding(words, width) if words else nn.Linear(shape[-1], width)
        places = cr.randn(shape[0], width) * 0.1 if spec["position"] else None
        model = Attention(first, width, outputs, spec["heads"], places)
    elif kind == "words":
        rest = _layers(spec, spec["width"], outputs)
        model = Words(words, spec["width"], rest)
    elif kind in ("cnn", "strided"):
        model = _pictures(spec, math.isqrt(int(np.prod(shape))), outputs)
    elif kind == "steps":
        model = _steps(spec, shape, outputs)
    else:
        model = _layers(spec, int(np.prod(shape)), outputs)
    _activated(model, spec)
    if spec["dropout"] and kind not in ("mlp", "residual", "words", "joined"):
        model = _before_last(model, nn.Dropout(spec["dropout"]))
    if spec["detached"]:
        model = _before_last(model, Elementwise(lambda x: x.detach()))
    initialise(model, spec["init"], spec["init_at"])
    return _completed(model, spec, outputs)


def _layers(spec: Spec, inputs: int, outputs: int) -> nn.Sequential:
    width, bias = spec["width"], spec["bias"]
    layers: list[nn.Module] = []
    if spec["net"] == "joined":
        for _layer in range(spec["depth"]):
            layers += [Joined(nn.Linear(inputs, width), *_norm(spec, width), nn.ReLU())]
            inputs += width
        return nn.Sequential(*layers, nn.Linear(inputs, outputs))
    if spec["shared"]:  # one layer, again and again
        again = nn.Linear(width, width)
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        layers += [m for _ in range(spec["depth"] - 1) for m in (again, nn.ReLU())]
        return nn.Sequential(*layers, nn.Linear(width, outputs))
    for i in range(spec["depth"]):
        if spec["bottleneck"] and i == spec["depth"] // 2:
            layers += [nn.Linear(width if i else inputs, spec["bottleneck"])]
            layers += [nn.ReLU(), nn.Linear(spec["bottleneck"], width), nn.ReLU()]
            continue
        some = [nn.Linear(width if i else inputs, width, bias=bias)]
        some += [*_norm(spec, width), nn.ReLU()]
        some += [nn.Dropout(spec["dropout"])] if spec["dropout"] else []
        layers += [Residual(*some)] if spec["net"] == "residual" and i else some
    return nn.Sequential(*layers, nn.Linear(width if layers else inputs, outputs))


def _norm(spec: Spec, width: int) -> list[nn.Module]:
    make = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}.get(spec["norm"])
    if make is None:
        return []
    return [make(width, momentum=spec["memory"])] if make in BATCH else [make(width)]


def _pictures(spec: Spec, side: int, outputs: int) -> nn.Sequential:
    width, kernel, pool = spec["width"], spec["kernel"], spec["pool"]
    memory = spec["memory"]
    layers: list[nn.Module] = [nn.Unflatten(1, (1, side, side))]
    if spec["net"] == "strided":
        for i in range(spec["depth"]):
            n = width if i else 1
            layers += [nn.Conv2d(n, width, 3, 1 + (i == 0), 1), nn.ReLU()]
        layers += [nn.AdaptiveAvgPool2d(2), nn.Flatten()]
        return nn.Sequential(*layers, nn.Linear(4 * width, outputs))
    for i in range(spec["depth"]):
        more = {"padding": kernel // 2, "bias": spec["bias"]}
        conv = nn.Conv2d(width if i else 1, width, kernel, **more)
        norm = spec["norm"] == "batch"
        layers += [conv] + ([nn.BatchNorm2d(width, momentum=memory)] if norm else [])
        layers += [nn.ReLU()] + ([nn.MaxPool2d(pool)] if i < 2 else [])
    side //= pool ** min(spec["depth"], 2)
    layers += [nn.Flatten(), nn.Linear(width * side * side, outputs)]
    return nn.Sequential(*layers)


def _steps(spec: Spec, shape: tuple[int, ...], outputs: int) -> nn.Sequential:
    """Return convolutions along the steps of a sequence."""
    width, memory = spec["width"], spec["memory"]
    layers: list[nn.Module] = [nn.Transpose(1, 2)]
    for i in range(spec["depth"]):
        conv = nn.Conv1d(width if i else shape[-1], width, 5, padding=2)
        norm = spec["norm"] == "batch"
        layers += [conv] + ([nn.BatchNorm1d(width, momentum=memory)] if norm else [])
        layers += [nn.ReLU()]
    layers += [nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(4 * width, outputs)]
    return nn.Sequential(*layers)


def _activated(model: nn.Module, spec: Spec) -> None:
    """Put the activation of a program where its ReLUs are, or at one of them."""
    paths = [p for p, module in model.named_modules() if isinstance(module, nn.ReLU)]
    where = {"first": paths[:1], "last": paths[-1:], "but-first": paths[1:]}
    for path in where.get(spec["at"], paths):
        replaced(model, path, ACTIVATIONS[spec["activation"]]())


def _before_last(model: nn.Module, module: nn.Module) -> nn.Module:
    """Put a module in front of the last layer of a network."""
    if isinstance(model, Letters):
        model.reader = _before_last(model.reader, module)
    elif isinstance(model, Words):
        model.rest = _before_last(model.rest, module)
    elif isinstance(model, Reader | Attention):
        model.last = nn.Sequential(module, model.last)
    else:
        return nn.Sequential(*list(model)[:-1], module, list(model)[-1])
    return model


def _completed(model: nn.Module, spec: Spec, outputs: int) -> nn.Module:
    """Put what belongs in front of a network and behind it there."""
    if spec["dropout_inputs"]:
        model = nn.Sequential(nn.Dropout(spec["dropout_inputs"]), model)
    if spec["front"] != "none":
        model = nn.Sequential(FRONTS[spec["front"]](), model)
    ends: list[nn.Module] = []
    if spec["gain"] != 1.0:
        gain = spec["gain"]
        ends.append(Elementwise(lambda x: x * gain))
    if spec["output"] == "layer-norm":
        ends.append(nn.LayerNorm(outputs))
    if spec["output"] in OUTPUTS:
        ends.append(OUTPUTS[spec["output"]]())
    for end in ends:
        whole = isinstance(model, nn.Sequential)
        model = model.append(end) if whole else Ended(model, end)
    freeze(model, spec["frozen"])
    return model


def last_layer(model: nn.Module) -> list[str]:
    """Return the names of the parameters of the last layer."""
    names = [name for name, _ in model.named_parameters()]
    end = names[-1].rpartition(".")[0]
    return [name for name in names if name.rpartition(".")[0] == end]


def freeze(model: nn.Module, which: str) -> None:
    """Take some of the parameters out of the training."""
    last = last_layer(model)
    first = [name for name, _ in model.named_parameters()][:2]
    for name, p in model.named_parameters():
        taken = {
            "hidden": name not in last,
            "last": name in last,
            "first": name in first,
            "weights": p.ndim > 1,
        }
        if taken.get(which, False):
            p.requires_grad_(False)


def initialise(model: nn.Module, how: str, where: str) -> None:
    """Draw the initial weights of all layers in some way, or of one of them."""
    last = last_layer(model)
    first = [name for name, _ in model.named_parameters()][:2]
    at = {"first": first, "last": last}
    for name, p in model.named_parameters():
        if name not in at.get(where, [name]):
            continue
        matrix = p.ndim > 1
        if how == "negative-bias" and not matrix:
            nn.init.constant_(p, -3.0)
        elif how == "far-bias" and not matrix and name not in last:
            nn.init.constant_(p, -12.0)
        elif how == "high-bias" and not matrix:
            nn.init.constant_(p, 40.0)
        elif how in VALUES:
            nn.init.constant_(p, VALUES[how] if matrix else 0.0)
        elif how in SPREAD and matrix:
            nn.init.normal_(p, 0.0, SPREAD[how])
        elif how == "he" and matrix:
            nn.init.kaiming_normal_(p, nonlinearity="relu")
        elif how == "glorot" and matrix:
            nn.init.xavier_normal_(p)
        elif how in ("lecun", "orthogonal", "positive", "twins") and matrix:
            _matrix(p, how, name in last)
        elif how == "last-wide" and matrix and name in last:
            nn.init.normal_(p, 0.0, 30.0)
        elif how == ("last-zero" if name in last else "hidden-zero"):
            nn.init.zeros_(p)
        if how in ("he", "glorot") and name.endswith("bias"):
            nn.init.zeros_(p)


def _matrix(p: Any, how: str, is_last: bool) -> None:
    if how == "lecun":
        nn.init.lecun_normal_(p)
    elif how == "orthogonal":
        nn.init.orthogonal_(p)
    elif how == "positive":
        nn.init.uniform_(p, 0.0, 1.0)
    else:  # all units of a layer are alike
        rows = p.numpy().copy()
        rows[:] = rows.mean(1, keepdims=True) if is_last else rows[:1]
        p.data = cr.tensor(rows)

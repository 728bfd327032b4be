"""The recipes' first hundred training steps: their losses and gradients by engine.

``benchmarks/xla.py --losses`` measures with them how far apart two engines are, and
``tests/xla`` holds them to it. The same network may be trained from weights that were
moved by one unit in the last place: what comes of that is what no engine with another
order of sums can stay below.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn
from chainrule.recipes import cnn, gan, gpt, mnist, rnn

STEPS = 100
#: What is done to a model before it is trained.
Change = Callable[[nn.Module], nn.Module]


def unchanged(model: nn.Module) -> nn.Module:
    """The model as it is."""
    return model


def moved(seed: int) -> Change:
    """Move each weight to the number next to it, up or down."""

    def change(model: nn.Module) -> nn.Module:
        rng = np.random.default_rng(seed)
        for parameter in model.parameters():
            array = parameter.numpy()
            far = rng.choice([-np.inf, np.inf], array.shape).astype(array.dtype)
            with cr.no_grad():
                parameter.copy_(cr.tensor(np.nextafter(array, far)))
        return model

    return change


def without_kinks(model: nn.Module) -> nn.Module:
    """A softplus in place of each ReLU, and means in place of maxima."""
    smooth = {nn.ReLU: nn.Softplus, nn.MaxPool2d: lambda: nn.AvgPool2d(2)}
    assert isinstance(model, nn.Sequential)
    layers = [smooth.get(type(layer), lambda layer=layer: layer)() for layer in model]
    return nn.Sequential(*layers)


def supervised(model: nn.Module, batch: int, engine: Any) -> list[float]:
    """A Trainer's losses, with the settings of the recipe ``mnist``."""
    train, __ = mnist.data(STEPS * batch)
    trainer = mnist.trainer(model, engine=engine)
    trainer.fit(train, epochs=1, batch_size=batch, progress=False)
    return [float(x) for x in trainer.history.steps["loss"]]


def _reader() -> nn.Module:
    cr.manual_seed(0)
    return rnn.Reader("GRU", 28, rnn.HIDDEN, 10)


#: Recipe → its network and the size of its batches, of those that a Trainer trains.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "mnist": (mnist.network, mnist.BATCH_SIZE),
    "gru": (_reader, rnn.BATCH_SIZE),
    "cnn": (cnn.network, cnn.BATCH_SIZE),
}


def language(engine: Any, change: Change = unchanged) -> list[float]:
    """The GPT's losses, on random text."""
    cr.manual_seed(0)
    s = gpt.FULL
    model: Any = change(gpt.GPT(65, s))
    adamw = gpt.adamw(model, s)

    @cr.compile(engine=engine)
    def train(window: cr.Tensor) -> cr.Tensor:
        loss = model.loss(window)
        model.zero_grad()
        loss.backward()
        adamw.step()
        return loss

    rng = np.random.default_rng(0)
    text = rng.integers(65, size=(STEPS, s.batch, s.block + 1)).astype(np.uint8)
    return [train(window).item() for window in text]


def adversarial(engine: Any, change: Change = unchanged) -> list[float]:
    """The GAN's losses, of D and G by turns."""
    cr.manual_seed(0)
    experiment: Any = SimpleNamespace(compile=lambda f: cr.compile(f, engine=engine))
    game: Any = change(gan.GAN(gan.FULL))
    __, train = gan.training_step(experiment, game, gan.FULL)
    x = mnist.data(STEPS * gan.BATCH_SIZE)[0].x[:]
    batches = np.asarray(x, cr.get_default_dtype().numpy)
    batches = batches.reshape(STEPS, gan.BATCH_SIZE, 784)
    return [loss.item() for batch in batches for loss in train(batch)]


def losses(
    name: str, engine: str, dtype: cr.DType, change: Change = unchanged
) -> np.ndarray[Any, Any]:
    """The losses of a recipe's first steps, from known weights on known batches."""
    before = cr.get_default_dtype()
    cr.set_default_dtype(dtype)
    try:
        if name in NETWORKS:
            network, batch = NETWORKS[name]
            return np.array(supervised(change(network()), batch, engine))
        run = {"gpt": language, "gan": adversarial}[name]
        return np.array(run(engine, change))
    finally:
        cr.set_default_dtype(before)


def apart(found: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """The largest relative difference of two runs' losses."""
    return float(np.abs(found / other - 1).max())


def gradients(name: str, engine: Any, dtype: cr.DType) -> list[np.ndarray[Any, Any]]:
    """The gradient of each weight of a classifier, on its first batch."""
    before = cr.get_default_dtype()
    cr.set_default_dtype(cr.float32)  # the same weights in both precisions
    network, size = NETWORKS[name]
    model = network().eval().to(dtype)
    cr.set_default_dtype(before)
    train, __ = mnist.data(size)

    @cr.compile(engine=engine)
    def step(x: Any, y: Any) -> list[Any]:
        model.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        return [parameter.grad for parameter in model.parameters()]

    x = np.asarray(train.x[:], np.float32).astype(dtype.numpy)
    return [g.numpy().astype(np.float64) for g in step(x, np.asarray(train.y[:]))]


def gradient_errors(name: str, engine: str) -> list[float]:
    """Each weight's gradient in float32 beside float64: the error's norm over the
    gradient's, in units of float32's rounding, 2⁻²⁴."""
    exact = gradients(name, "native", cr.float64)
    found = gradients(name, engine, cr.float32)
    norm = np.linalg.norm
    return [float(norm(a - b) / norm(b)) * 2**24 for a, b in zip(found, exact)]

"""What a model and a loss read outside may change between calls of a Trainer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError

FACTORS = {"k": 1.0}


class Net(nn.Module):
    """x ↦ (W x + b) · numbers from everywhere."""

    def __init__(self) -> None:
        self.layer, self.k, self.table = nn.Linear(2, 1), 1.0, [1.0, 2]
        self.drop = nn.LeakyReLU(0.5)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """(N, 1)."""
        made = self.drop(self.layer(x)) * self.k * self.table[0]
        return made * FACTORS["k"]


def _assign(owner: Any, name: str, value: Any) -> None:
    setattr(owner, name, value)


CHANGES: dict[str, Callable[[Net], Any]] = {
    "an attribute": lambda net: _assign(net, "k", 3.0),
    "an item": lambda net: net.table.__setitem__(0, 3.0),
    "a layer's attribute": lambda net: _assign(net.drop, "negative_slope", 0.25),
    "a global": lambda net: FACTORS.update(k=3.0),
}


def made() -> tuple[cr.Trainer, cr.data.Dataset]:
    FACTORS["k"] = 1.0
    cr.manual_seed(0)
    trainer = cr.Trainer(
        Net(), loss=nn.MSELoss(), optimizer=optim.SGD(lr=1e-6), engine="numpy", seed=0
    )
    x = np.linspace(-3, 1, 16, dtype=np.float32).reshape(8, 2)
    return trainer, cr.data.Dataset(x, np.ones((8, 1), np.float32))


@pytest.mark.parametrize("change", CHANGES)
def test_it_is_seen_by_the_next_call(change: str) -> None:
    trainer, data = made()
    trainer.fit(data, epochs=1, batch_size=4, progress=False)
    before = trainer.predict(data)
    CHANGES[change](trainer.model)
    wanted = trainer.model.eval()(cr.tensor(data.x)).numpy()
    assert not np.allclose(before, wanted)
    np.testing.assert_allclose(trainer.predict(data), wanted, rtol=1e-5)
    loss = float(((wanted - 1) ** 2).mean())
    assert trainer.evaluate(data)["loss"] == pytest.approx(loss, rel=1e-5)
    trainer.fit(data, epochs=1, batch_size=4, progress=False)
    rows = trainer.history.epochs
    assert rows[-1]["train_loss"] == pytest.approx(loss, rel=1e-3)


def test_it_does_not_change_during_a_run() -> None:
    trainer, data = made()

    class Anneals(cr.training.Callback):
        """Another number after each epoch."""

        def on_epoch(self, trainer: Any) -> None:
            trainer.model.k *= 0.5

    with pytest.raises(ArgumentError, match=r"Net\.k has changed while a run goes on"):
        trainer.fit(data, epochs=3, batch_size=4, callbacks=[Anneals()], progress=False)


def test_what_has_not_changed_is_compiled_once() -> None:
    trainer, data = made()
    for _ in range(3):
        trainer.fit(data, epochs=1, batch_size=4, progress=False)
        program = trainer._programs.training
        trainer.predict(data)
        assert trainer._programs.training is program
        assert trainer._programs.other is None

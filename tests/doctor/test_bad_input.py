"""Whatever is asked: a finding, or a message, in both languages; never a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.data import Dataset, Stream
from chainrule.doctor import Diagnosis, examples
from chainrule.text.languages import language

MOONS = examples.moons()
X, Y = np.array(MOONS.x[:]), MOONS.y
ROWS = Dataset(X, Y, classes=2)
WHOLE = np.random.default_rng(0).integers(0, 10, (100, 2))


def holed(value: float) -> Any:
    x = X.copy()
    x[3, 1] = value
    return x, Y


class Divides(nn.Module):
    """A network whose first step has no numbers."""

    def __init__(self) -> None:
        self.inner = examples.mlp()

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.inner(x) / (x * 0)


class Branches(nn.Module):
    """A network that asks for the numbers of its input, which cannot be traced."""

    def __init__(self) -> None:
        self.inner = examples.mlp()

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.inner(x) if x.sum() > 0 else self.inner(-x)


class Misspelt(Branches):
    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.innner(x)  # type: ignore[attr-defined]


def failing() -> Iterator[Any]:
    yield X[0], Y[0]
    raise OSError("the disk is gone")


def embedded(words: int) -> nn.Module:
    made = [nn.Embedding(words, 4), nn.Flatten(), nn.Linear(8, 2)]
    return examples.drawn(lambda: nn.Sequential(*made))


#: What is asked, and the code of a finding that must be there; "" for none.
ASKED: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "a misspelt layer": (lambda: {"model": Misspelt()}, "does-not-run"),
    "a branch on numbers": (lambda: {"model": Branches()}, "does-not-run"),
    "NaN from the first step": (lambda: {"model": Divides()}, "non-finite-loss"),
    "a loss that is NaN": (
        lambda: {"loss": lambda p, t: (p.sum() * 0 - 1).sqrt()},
        "non-finite-loss",
    ),
    "NaN in the data": (lambda: {"rows": holed(np.nan)}, "non-finite-data"),
    "infinity in the data": (lambda: {"rows": holed(-np.inf)}, "non-finite-data"),
    "NaN in the validation data": (
        lambda: {"rows": ROWS, "validation": holed(np.nan)},
        "non-finite-data",
    ),
    "numbers that overflow": (lambda: {"rows": (X * 1e38, Y)}, "non-finite-loss"),
    "no rows": (lambda: {"rows": (X[:0], Y[:0])}, "data-refused"),
    "one class": (lambda: {"rows": (X, Y * 0)}, "one-class"),
    "one quantity": (
        lambda: {
            "model": examples.mlp(2, 1),
            "rows": (X, np.ones((300, 1), np.float32)),
            "loss": nn.MSELoss(),
        },
        "one-class",
    ),
    "three rows": (lambda: {"rows": ROWS.take(3)}, ""),
    "a batch larger than the data": (lambda: {"batch_size": 10**6}, ""),
    "more epochs than can be run": (lambda: {"epochs": 10**9, "seconds": 0.1}, ""),
    "no budget": (lambda: {"seconds": 1e-9}, ""),
    "words in the place of numbers": (
        lambda: {"rows": (np.array([["a", "b"]] * 20), np.arange(20) % 2)},
        "data-refused",
    ),
    "a path in the place of data": (lambda: {"rows": "moons.csv"}, "data-refused"),
    "a stream": (lambda: {"rows": Stream(lambda: iter([*ROWS]))}, ""),
    "a stream of nothing": (
        lambda: {"rows": Stream(lambda: iter([]))},
        "data-refused",
    ),
    "a stream that breaks": (lambda: {"rows": Stream(failing)}, "data-refused"),
    "validation rows of another width": (
        lambda: {"validation": (np.zeros((5, 3), np.float32), np.zeros(5, int))},
        "does-not-run",
    ),
    "words of a vocabulary": (
        lambda: {"model": embedded(10), "rows": (WHOLE, np.arange(100) % 2)},
        "",
    ),
    "words beyond the vocabulary": (
        lambda: {"model": embedded(5), "rows": (WHOLE, np.arange(100) % 2)},
        "does-not-run",
    ),
    "nothing to train": (
        lambda: {"model": examples.mlp().requires_grad_(False)},
        "frozen-parameters",
    ),
    "a step of no length": (lambda: {"optimizer": optim.SGD(lr=1e-30)}, ""),
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", ASKED)
def test_it_is_a_finding(name: str, tmp_path: Path) -> None:
    given, code = ASKED[name]
    trainer, data, more = examples.example(**{"epochs": 3} | given())
    found = cr.diagnose(trainer, data, **more)
    if code:
        assert code in [f.code for f in found.findings], str(found)
    assert found.examined or found.not_examined
    for spoken in ("en", "zh-TW"):
        with language(spoken):
            assert len(str(found).splitlines()) > 1
            assert found.to_html().endswith("</html>\n")
            json.dumps(found.to_dict(), allow_nan=False)
            found.save(tmp_path / "d.json")
            assert str(Diagnosis.load(tmp_path / "d.json")) == str(found)
    assert isinstance(found.fix(), list)


def test_a_perfect_run_gets_a_clean_bill() -> None:
    trainer, data, __ = examples.example()
    trainer.fit(data, epochs=30, progress=False)
    found = cr.diagnose(trainer, data)
    assert found.healthy
    assert found.findings == []


def test_several_networks_or_an_agent_are_a_message() -> None:
    for asked in (examples.mlp(), [examples.mlp(), examples.mlp()], None, "gan"):
        with pytest.raises(cr.errors.ArgumentError, match="examines a Trainer") as it:
            cr.diagnose(asked, ROWS)  # type: ignore[arg-type]
        assert "a GAN or an agent" in str(it.value.fix)

"""The examples: the same numbers eagerly and on every engine, and they learn."""

from __future__ import annotations

import functools
import importlib.util
import math
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.ways import ENGINES

SLOW = pytest.mark.slow
FOLDER = Path(__file__).resolve().parents[2] / "examples"


class Short(NamedTuple):
    """A run of a few steps: its settings, and what it must show."""

    settings: dict[str, Any]
    learns: Any  # of what the run returned


def falls(made: dict[str, Any]) -> bool:
    """The mean loss of the last quarter is below that of the first one."""
    losses = made["losses"]
    quarter = max(len(losses) // 4, 1)
    return np.mean(losses[-quarter:]) < np.mean(losses[:quarter])


def discriminator_falls(made: dict[str, Any]) -> bool:
    """Of the two players the one that is ahead at first."""
    judged = [pair[0] for pair in made["losses"]]
    return falls({"losses": judged})


def adaptation_helps(made: dict[str, Any]) -> bool:
    return made["after"] < made["before"]


def a_rate_is_better(made: dict[str, Any]) -> bool:
    """The rates are small here: the larger the better."""
    return made["losses"][-1] < made["losses"][0]


SHORT = {
    "micrograd": Short({"steps": 4, "seed": 3}, falls),
    "makemore": Short({"steps": 20}, falls),
    "nielsen": Short({"steps": 12}, falls),
    "physics_informed": Short({"steps": 20}, falls),
    "maml": Short({"steps": 20, "tasks": 10}, adaptation_helps),
    "vae": Short({"steps": 8}, falls),
    "gan": Short({"steps": 20}, discriminator_falls),
    "lstm": Short({"steps": 12}, falls),
    "transformer": Short({"steps": 6}, falls),
    "sweep": Short({"steps": 20, "count": 3, "highest": 0.1}, a_rate_is_better),
}


@functools.cache
def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def eager(name: str, dtype: str) -> dict[str, Any]:
    return example(name).run(None, dtype=dtype, **SHORT[name].settings)


def test_every_example_is_here() -> None:
    elsewhere = {"loop_actor", "loop_gan"}  # run by tests/training/test_loop.py
    elsewhere |= {"search"}  # run by tests/tracking/test_optuna.py
    assert {path.stem for path in FOLDER.glob("*.py")} == set(SHORT) | elsewhere


def same(name: str, engine: str, dtype: str) -> None:
    made = example(name).run(engine, dtype=dtype, **SHORT[name].settings)
    wanted = eager(name, dtype)
    assert SHORT[name].learns(made), made
    assert made.keys() == wanted.keys()
    # Sums in another order: 1e-7 or 1e-16 a step, and steps multiply it.
    rtol = 1e-4 if dtype == "float32" else 1e-11
    for key in made.keys() - {"names"}:  # rounding may draw another letter
        # Shares of right answers move by one sample where two scores are that close.
        atol = 0.02 if key in ("accuracy", "exact") and dtype == "float32" else 0
        np.testing.assert_allclose(
            made[key], wanted[key], rtol=rtol, atol=atol, err_msg=f"{name}: {key}"
        )


def cases() -> Iterator[Any]:
    """Each example on one engine, by turns, in the dtype of the narrower tolerance."""
    for i, name in enumerate(SHORT):
        for dtype in ("float64", "float32"):
            for engine in ENGINES:
                one = dtype == "float64" and engine == ENGINES[i % len(ENGINES)]
                marks = [] if one else [SLOW]
                yield pytest.param(name, dtype, engine, marks=marks)


@pytest.mark.one_in(3)
@pytest.mark.parametrize(("name", "dtype", "engine"), list(cases()))
def test_engines_agree_with_eager(name: str, dtype: str, engine: str) -> None:
    """One eager run serves all engines."""
    same(name, engine, dtype)


@pytest.mark.parametrize(
    "engine", [ENGINES[0], *(pytest.param(e, marks=SLOW) for e in ENGINES[1:])]
)
def test_the_unrolled_lstm_is_the_scanned_one(engine: str) -> None:
    """Every step of both is the same arithmetic: only sums of gradients may differ."""
    runs = [
        example("lstm").run(engine, steps=4, dtype="float64", unrolled=unrolled)
        for unrolled in (False, True)
    ]
    np.testing.assert_allclose(runs[0]["losses"], runs[1]["losses"], rtol=1e-12)
    np.testing.assert_allclose(runs[0]["error"], runs[1]["error"], rtol=1e-12)


#: What a whole run reaches, with room for another seed's luck.
WHOLE: dict[str, Any] = {
    "micrograd": lambda made: made["accuracy"] >= 0.95,
    "makemore": lambda made: made["loss"] < 1.5,  # of ln 27 = 3.3 at first
    "nielsen": lambda made: made["accuracy"] >= 0.94,
    "physics_informed": lambda made: made["error"] < 0.03,
    "maml": lambda made: made["after"] < made["before"] / 3,
    "vae": lambda made: made["reconstruction"] + made["kl"] < 140,
    "gan": lambda made: (
        abs(made["mean"] - 4) < 0.3 and abs(made["spread"] - 1.25) < 0.4
    ),
    "lstm": lambda made: made["error"] < 0.005,  # of 1/6 for always answering 1
    "transformer": lambda made: made["exact"] >= 0.95,
    "sweep": lambda made: 0.05 < made["best"] < 1 and min(made["losses"]) < 0.5,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_run_gets_there(name: str) -> None:
    made = example(name).run("auto")
    assert WHOLE[name](made), {k: v for k, v in made.items() if k != "losses"}
    if name == "makemore":
        assert all(re.fullmatch("[a-z]+", word) for word in made["names"])


@pytest.mark.parametrize("name", SHORT)
def test_each_says_what_it_is(name: str) -> None:
    """A lesson names its source, shows how to run it, and is short enough to read."""
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert "\nSource: " in text
    assert f"python examples/{name}.py" in text
    assert 60 <= text.count("\n") <= 150
    ours = re.findall(r"^(?:from|import) (chainrule\S*)", text, re.MULTILINE)
    assert set(ours) <= {"chainrule", "chainrule.nn.functional"}, "what is public"


def test_a_loss_that_does_not_fall_would_be_seen() -> None:
    assert not falls({"losses": [1.0, 1.0, 1.0, 1.0]})
    assert not falls({"losses": [math.nan] * 4})

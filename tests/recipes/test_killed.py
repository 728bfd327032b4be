"""Each lesson's own loop, killed at several steps: it goes on bit for bit.

So the state that a lesson names for ``experiment.steps`` is all that its steps change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, viz
from chainrule.recipes import (
    Experiment,
    autoencoder,
    dbn,
    dqn,
    gan,
    given_names,
    gpt,
    multimodal,
    ppo,
    rnn,
    translate,
)
from chainrule.recipes.datasets import easy_vqa, plays

from .runs import cut_short

IMAGES = np.random.default_rng(0).random((400, 784)).astype(np.float32)


def pictures() -> Any:
    """Pictures with questions, made of noise."""
    rng, data = np.random.default_rng(0), object.__new__(easy_vqa.Pictures)
    data.images = rng.integers(0, 256, (64, 3, 64, 64)).astype(np.uint8)
    shape = 64, easy_vqa.QUESTIONS
    data.words = rng.integers(0, 20, (*shape, easy_vqa.LENGTH)).astype(np.int32)
    data.answers = rng.integers(0, 13, shape).astype(np.int32)
    data.mask = np.ones(shape, np.float32)
    return data


def play_cart_pole(experiment: Experiment) -> Any:
    settings = replace(dqn.QUICK, total_steps=60, learning_starts=20, target_update=10)
    return dqn.train(experiment, "CartPole-v1", replace(settings, tests=3, episodes=2))


def swing_up(experiment: Experiment) -> Any:
    settings = replace(
        ppo.ENVIRONMENTS["Pendulum-v1"], environments=2, rollout=110, minibatches=2
    )
    settings = replace(settings, update_epochs=2, total_steps=880, episodes=2)
    return ppo.train(experiment, "Pendulum-v1", settings)


def balance(experiment: Experiment) -> Any:
    settings = ppo.Settings(environments=2, rollout=16, total_steps=192, episodes=2)
    return ppo.train(experiment, "CartPole-v1", settings)


def bound(experiment: Experiment) -> Any:
    return autoencoder.variational(experiment, IMAGES, IMAGES[:50], 2, epochs=5)


def invent(experiment: Experiment) -> Any:
    names = {part: ["ada", "bo"] * 40 for part in ("train", "validation", "test")}
    cr.manual_seed(0)
    model = given_names.Feedforward()
    return model, given_names.train(experiment, "network", model, names)


LESSONS: dict[str, Callable[[Experiment], Any]] = {
    "autoencoder": bound,
    "dbn": lambda e: dbn.learn(e, IMAGES, 5, 5, level=1),
    "dbn, its chains": lambda e: dbn.learn(e, IMAGES, 5, 5, level=0),
    "dqn": play_cart_pole,
    "gan": lambda e: gan.play(e, IMAGES, gan.Settings((8,), (8,), epochs=5)),
    "gpt": gpt.run,
    "names": invent,
    "multimodal": lambda e: multimodal.fit(e, "both", pictures(), 5),
    "ppo, an action of two": balance,
    "ppo, a real action": swing_up,
    "rnn": lambda e: rnn.train_adding(e, "GRU", 6, 12),
    "translate": translate.run,
}


def plain(value: Any) -> Any:
    """A lesson's results as numbers and texts."""
    if isinstance(value, nn.Module):
        return {key: array.tolist() for key, array in value.state_dict().items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value if not callable(value) else None


@pytest.mark.recipes
@pytest.mark.parametrize("name", LESSONS)
def test_killed_it_goes_on_bit_for_bit(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts = dict.fromkeys((*plays.VALIDATION, "hamlet"), "To be, or not to be:\n" * 40)
    small = gpt.Settings(
        block=8, layers=1, heads=2, width=8, batch=2, steps=12, every=5, windows=4
    )
    for module, attribute, value in (
        (plays, "read", lambda folder: texts),
        (gpt, "QUICK", small),
        (gpt, "SAMPLE", 12),
        (given_names, "QUICK_EPOCHS", 5),
        (translate, "QUICK", (6, 2, 2)),
        (translate, "BATCH", 4),
        (autoencoder, "QUICK", replace(autoencoder.QUICK, hidden=5)),
        (Experiment, "folder", lambda *args: None),
        (viz, "can_plot", lambda: False),
    ):
        monkeypatch.setattr(module, attribute, value)

    def run(out: Path | None) -> Any:
        experiment = Experiment(
            "lesson", seed=1, quick=True, threads=1, out=out, checkpoint_every=0
        )
        with experiment.running(again=True):
            return plain(LESSONS[name](experiment))

    whole, text = run(None), capsys.readouterr().out
    # dqn learns from its step 20 on.
    cut_short(lambda: run(tmp_path), after=[27, 7, 11] if name == "dqn" else [0, 2, 1])
    capsys.readouterr()
    assert run(tmp_path) == whole
    assert capsys.readouterr().out == text  # with what was printed before the kills
    assert run(tmp_path) == whole  # all is read

"""The report of a trained agent: returns, learning curves, and an animation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule import viz
from chainrule.recipes.experiment import Experiment
from chainrule.text import _, joined, say, translated
from chainrule.training import Environments

#: Episodes at the end of the training whose mean return is reported.
LAST = 100


def report_agent(
    experiment: Experiment,
    world: Environments,
    returns: np.ndarray,
    frames: Sequence[np.ndarray],
    curves: Mapping[str, Sequence[float]],
) -> dict[str, Any]:
    """Print and draw a reinforcement learning agent's training and test results.

    Draws the return of each episode of the training, the curves, and a film.

    Args:
        experiment: what prints and draws.
        world: the environments of the training, of a name that gymnasium knows.
        returns: (episodes,), of the test.
        frames: the observations of the test's first episode.
        curves: by name, a number for each round of the training.

    Returns:
        ``test`` and ``std``, the mean of the test's returns and their standard
        deviation; ``training``, the mean of the last 100 episodes of the training; the
        number of ``episodes`` of the training; and of each curve its two ends.
    """
    name, episodes = world.name, np.array(world.episodes)
    results = {
        "test": float(returns.mean()),
        "std": float(returns.std()),
        "training": float(episodes[-LAST:, 1].mean()),
        "episodes": len(episodes),
    }
    say(
        "\n{name}: {steps} steps, {episodes} episodes\n"
        "   test, mean of {tests} episodes: {test:.1f} ± {std:.1f}\n"
        "   training, mean of the last {last} episodes: {training:.1f}",
        name=name,
        steps=world.steps,
        tests=len(returns),
        last=LAST,
        **results,
    )
    for label, curve in curves.items():
        print(f"   {translated(label)}: {curve[0]:.3f} → {curve[-1]:.3f}")
    experiment.draw(
        f"{name}-returns",
        viz.scenes.returns,
        episodes,
        title=_("{name}: the return of the episodes", name=name),
    )
    experiment.draw(
        f"{name}-learning",
        viz.gallery.lines,
        curves,
        title=_("{name}: {curves}", name=name, curves=joined(", ", curves)),
        across=_("round"),
        log=False,
    )
    experiment.film(
        name,
        viz.scenes.SCENES[name],
        frames[:: 25 if experiment.quick else 1 + len(frames) // 100],
        title=_("{name}: an episode", name=name),
        seconds=0.05,
    )
    return results | {label: [curve[0], curve[-1]] for label, curve in curves.items()}

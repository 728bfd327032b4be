"""Films, and the scenes of the classical environments against their geometry."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest

from chainrule import errors
from chainrule.viz import drawing, gallery, scenes


def drawn(name: str, seen: list[float]) -> list[np.ndarray]:
    """The lines of a scene, (n, 2) each."""
    with drawing.figure(drawing.PAPER, 4, 3) as figure:
        scenes.SCENES[name](figure, seen)
        return [line.get_xydata() for line in figure.axes[0].lines]


def test_cart_pole() -> None:
    """A pole that leans to the right, by a positive angle, ends to the right."""
    pole = drawn("CartPole-v1", [0.5, 9.0, math.radians(30), 9.0])[-1]
    assert pole[0] == pytest.approx([0.5, 0.1])
    assert pole[1] - pole[0] == pytest.approx([0.5, math.sqrt(3) / 2])


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0.5, 0.0), (2.5, -1.0)])
def test_acrobot(first: float, second: float) -> None:
    """Its tip is at −cos θ₁ − cos(θ₁ + θ₂), by which gymnasium ends an episode."""
    angles = [math.cos(first), math.sin(first), math.cos(second), math.sin(second)]
    lines = drawn("Acrobot-v1", [*angles, 0.0, 0.0])
    tip = lines[2][1]
    both = first + second
    assert tip[1] == pytest.approx(-math.cos(first) - math.cos(both))
    assert tip[0] == pytest.approx(math.sin(first) + math.sin(both))
    assert lines[0][:, 1].tolist() == [1, 1]


def test_pendulum() -> None:
    """Upright at 0; a positive angle is to the left, against the clock."""
    (up, _), (left, _) = (
        drawn("Pendulum-v1", [math.cos(a), math.sin(a), 0.0])
        for a in (0.0, math.pi / 2)
    )
    assert up[1] == pytest.approx([0, 1])
    assert left[1] == pytest.approx([-1, 0], abs=1e-12)


def test_returns() -> None:
    """A dot an episode, and the mean of the last ones where they end."""
    dice = np.random.default_rng(0)
    episodes = np.stack([dice.integers(9, 99, 40).cumsum(), dice.normal(size=40)], 1)
    with drawing.figure(drawing.PAPER, 4, 3) as figure:
        scenes.returns(figure, episodes, width=8)
        dots, mean = (line.get_xydata() for line in figure.axes[0].lines)
    assert np.array_equal(dots, episodes)
    for i, (step, value) in enumerate(mean):
        assert step == episodes[i + 7, 0]
        assert value == pytest.approx(sum(episodes[i : i + 8, 1]) / 8)
    assert len(mean) == 33


def test_a_film() -> None:
    from PIL import Image

    def frame(figure: Any, number: int) -> None:
        figure.subplots().plot([0, number], [0, 1])

    made = gallery.film(frame, range(1, 4), size=(2, 1), seconds=0.25)
    film = Image.open(io.BytesIO(made))
    assert (film.format, film.n_frames, film.size) == ("GIF", 3, (144, 72))
    assert film.info["duration"] == 250
    shots = []
    for i in range(3):
        film.seek(i)
        shots.append(np.asarray(film.convert("L")))
    assert (shots[0] != shots[1]).any()
    with pytest.raises(errors.ArgumentError, match="no frames"):
        gallery.film(frame, [], size=(2, 1))

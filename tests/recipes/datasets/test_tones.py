"""Tones: their partials are those of the table."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.recipes.datasets.tones import INSTRUMENTS, tone


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_partials(name: str) -> None:
    """The strongest frequencies of a tone are multiples that the table has."""
    sound = tone(name, np.random.default_rng(3))
    draw = np.random.default_rng(3)
    pitch = 130 * 2 ** draw.uniform(0, 3)
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / 8000)

    def height(multiple: float) -> float:
        """The power about a multiple of the pitch, over that of the noise."""
        near = np.abs(hertz / (multiple * pitch) - 1) < 0.015
        return power[near].max() / np.median(power[hertz > 200])

    table = [m for m, _ in INSTRUMENTS[name].partials if m * pitch < 3600]
    assert height(table[0]) > 300
    assert height(table[1]) > 30
    assert (height(2) > 30) == (name not in ("clarinet", "bell"))

"""Tones of five instruments, synthesised from partials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chainrule.text import _

#: Samples a second, and samples of a tone: half a second.
RATE, SAMPLES = 8000, 4000


@dataclass(frozen=True)
class Instrument:
    """The sound of a synthesised instrument: partials, decay, breath and vibrato.

    Attributes:
        partials: multiples of the pitch, and their strengths.
        decay: of the first partial, a second; that of others grows with √multiple.
        breath: the deviation of noise that swells with the tone.
        vibrato: the relative change of the pitch, 5.5 times a second.
        attack: seconds to full strength.
    """

    partials: list[tuple[float, float]]
    decay: float
    breath: float
    vibrato: float
    attack: float


_STRING = [(float(k), 1 / k) for k in range(1, 31)]
#: After Fletcher & Rossing 1998, "The physics of musical instruments".
INSTRUMENTS = {
    _("bowed string"): Instrument(_STRING, 0, 0.01, 0.006, 0.1),
    _("plucked string"): Instrument(_STRING, 3, 0.0, 0.0, 0.003),
    _("clarinet"): Instrument(_STRING[::2], 0, 0.01, 0.0, 0.04),
    _("flute"): Instrument([(1, 1), (2, 0.25), (3, 0.08)], 0, 0.08, 0.004, 0.06),
    _("bell"): Instrument(
        [(1, 1), (2.76, 0.8), (5.40, 0.5), (8.93, 0.3)], 2, 0.0, 0.0, 0.002
    ),
}


def tone(name: str, rng: np.random.Generator) -> np.ndarray:
    """Return half a second of an instrument's tone, of random pitch and loudness.

    The pitch is between 130 and 1,040 Hz; partials above 0.45 of the sampling rate are
    left out.

    Args:
        name: one of :data:`INSTRUMENTS`.
        rng: draws pitch, phases, attack, noise and loudness.

    >>> tone("flute", np.random.default_rng(0)).shape
    (4000,)
    """
    instrument = INSTRUMENTS[name]
    t, pitch = np.arange(SAMPLES) / RATE, 130 * 2 ** rng.uniform(0, 3)
    ω = 2 * np.pi * 5.5
    bent = t + instrument.vibrato * np.sin(ω * t) / ω
    sound = instrument.breath * rng.standard_normal(SAMPLES)
    for multiple, strength in instrument.partials:
        if multiple * pitch < 0.45 * RATE:
            fading = np.exp(-instrument.decay * np.sqrt(multiple) * t)
            phase = rng.uniform(0, 2 * np.pi)
            partial = np.sin(2 * np.pi * multiple * pitch * bent + phase)
            sound += strength * fading * partial
    sound *= np.minimum(1, t / (instrument.attack * rng.uniform(0.5, 2)))
    noise = rng.uniform(0, 0.4) * rng.standard_normal(SAMPLES)
    return rng.uniform(0.1, 1) * (sound / np.abs(sound).max() + noise)


def tones(seed: int | list[int], count: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Return ``count`` synthesised tones of each instrument, and their labels.

    >>> sounds, labels = tones(0, 2)
    >>> len(sounds), labels.tolist()
    (10, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4])
    """
    rng = np.random.default_rng(seed)
    sounds = [tone(name, rng) for __ in range(count) for name in INSTRUMENTS]
    return sounds, np.tile(np.arange(len(INSTRUMENTS), dtype=np.int32), count)

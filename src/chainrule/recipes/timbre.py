"""Instrument recognition from spectrograms of sounds (1.6, 1.8).

    4,000 samples → spectrogram, 30 frames × 32 bands → conv → pool → conv → pool → 5

Half a second of sound is 4,000 numbers (8,000 a second), and no two waves of the same
note look alike. A spectrogram is a picture of it: the short-time Fourier transform, in
bands as wide as the ear's, in logarithms:

    S[t, f] = |Σₙ w[n] x[n + t·H] e^(−2πi·fn/N)|²,    M = log(10⁻⁶ + S Fᵀ)

with the Hann window w, N = 256, H = 128, and triangles F that stand evenly on the mel
scale, m = 2595 log₁₀(1 + f/700). A convolutional network reads it as it reads digits.

The tones are made by the recipe, since no labelled recordings can come with it: sums of
partials of random pitch (130 to 1,040 Hz), loudness and noise. So the figure says that
the network tells these five apart, and nothing about instruments in a room.

What to look at: the spectrograms. Partials are lines; the bell's are not evenly spaced;
the clarinet has every other one; plucked strings fade, high partials first.

Your own recordings come in through the same door. ``--data FOLDER`` draws the WAV files
of a folder and says what each comes closest to. A folder of folders, one a style, is
learned: every third file is kept for the test, whole, since pieces of one file are too
much alike to test with.

Source: Fletcher & Rossing 1998, "The physics of musical instruments" (the partials);
Stevens, Volkmann & Newman 1937 (mel); Choi et al. 2016, "Automatic tagging using deep
convolutional neural networks".

    chainrule train timbre
    chainrule train timbre --data recordings
    python -m chainrule.recipes.timbre
"""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import errors, nn, optim, viz
from chainrule.recipes import Experiment, Reference
from chainrule.text import _, say

SUMMARY = _(
    "which instrument sounds: spectrograms read by a CNN; your own WAV files too"
)
SECONDS = 3
REFERENCES = [Reference("accuracy", at_least=0.97, source=_("its own bar"))]
EPOCHS, BATCH_SIZE, LR = 12, 32, 3e-3
#: Recordings of a style; the third is tested with.
FEWEST = 3

# -- sound -----------------------------------------------------------------------------

RATE, SOUND, WINDOW, HOP, BANDS = 8000, 4000, 256, 128, 32
#: Partials (multiples of the pitch and strengths), decay a second and with the partial,
#: breath, vibrato, seconds to full strength.
INSTRUMENTS: dict[str, tuple[Any, ...]] = {
    _("bowed string"): ([(k, 1 / k) for k in range(1, 31)], 0, 0.01, 0.006, 0.1),
    _("plucked string"): ([(k, 1 / k) for k in range(1, 31)], 3, 0.0, 0.0, 0.003),
    "clarinet": ([(k, 1 / k) for k in range(1, 31, 2)], 0, 0.01, 0.0, 0.04),
    "flute": ([(1, 1), (2, 0.25), (3, 0.08)], 0, 0.08, 0.004, 0.06),
    "bell": ([(1, 1), (2.76, 0.8), (5.40, 0.5), (8.93, 0.3)], 2, 0.0, 0.0, 0.002),
}


def tone(name: str, draw: np.random.Generator) -> np.ndarray:
    """Generate half a second of an instrument, of random pitch, loudness and noise."""
    partials, decay, breath, vibrato, attack = INSTRUMENTS[name]
    t, pitch = np.arange(SOUND) / RATE, 130 * 2 ** draw.uniform(0, 3)
    turn = t + vibrato * np.sin(2 * np.pi * 5.5 * t) / (2 * np.pi * 5.5)
    made = breath * draw.standard_normal(SOUND)
    for multiple, strength in partials:
        if multiple * pitch < 0.45 * RATE:
            fading = np.exp(-decay * np.sqrt(multiple) * t)
            phase = draw.uniform(0, 2 * np.pi)
            wave_ = np.sin(2 * np.pi * multiple * pitch * turn + phase)
            made += strength * fading * wave_
    made *= np.minimum(1, t / (attack * draw.uniform(0.5, 2)))
    noise = draw.uniform(0, 0.4) * draw.standard_normal(SOUND)
    return draw.uniform(0.1, 1) * (made / np.abs(made).max() + noise)


def mel_bands() -> np.ndarray:
    """Return the triangular mel filters (BANDS, WINDOW/2 + 1)."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    bins = np.fft.rfftfreq(WINDOW, 1 / RATE)
    rise, fall = (bins - low) / (middle - low), (high - bins) / (high - middle)
    return np.maximum(0, np.minimum(rise, fall))


def spectrogram(sound: np.ndarray) -> np.ndarray:
    """Return the log-mel spectrogram M of a sound, (frames, BANDS)."""
    frames = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    power = np.abs(np.fft.rfft(frames * hann)) ** 2
    return np.log(1e-6 + power @ mel_bands().T)


def pictures(sounds: list[np.ndarray]) -> np.ndarray:
    """Return spectrograms (n, 1, frames, BANDS), each with mean 0 and deviation 1."""
    made = np.stack([spectrogram(sound) for sound in sounds])[:, None]
    made -= made.mean((2, 3), keepdims=True)
    return (made / made.std((2, 3), keepdims=True).clip(1e-6)).astype(np.float32)


def recording(file: Path) -> np.ndarray:
    """Read a WAV file as one channel, resampled to RATE.

    Raises:
        DataError: it is no WAV file of whole numbers, or one without a sound.
    """

    def refused(got: str) -> errors.DataError:
        return errors.DataError(
            _("{file} cannot be read.", file=file),
            expected=_("a WAV file of whole numbers, with a sound"),
            got=got,
            fix=_(
                "ffmpeg -i {name} new.wav; or take it out of the folder", name=file.name
            ),
        )

    try:
        with wave.open(str(file), "rb") as stream:
            width, channels = stream.getsampwidth(), stream.getnchannels()
            rate, raw = stream.getframerate(), stream.readframes(stream.getnframes())
    except (wave.Error, EOFError, OSError) as error:
        raise refused(f"{error!r:.100}") from error
    if width > 4 or rate < 1:
        raise refused(f"{8 * width} bits a sample, {rate} samples a second")
    raw = raw[: len(raw) // (width * channels) * (width * channels)]
    if len(raw) // (width * channels) * RATE < rate:
        raise refused("no sound")
    data = np.frombuffer(raw, np.uint8).reshape(-1, width)
    if width == 1:
        samples = data[:, 0] / 128 - 1
    else:
        wide = np.zeros((len(data), 4), np.uint8)
        wide[:, 4 - width :] = data
        samples = wide.view("<i4")[:, 0] / 2**31
    samples = samples.reshape(-1, channels).mean(1)
    count = round(len(samples) * RATE / rate)
    waves = np.fft.rfft(samples)[: count // 2 + 1] * (count / len(samples))
    return np.fft.irfft(waves, count)


# -- learning --------------------------------------------------------------------------


def learn(
    experiment: Experiment, name: str, x: np.ndarray, y: Any, classes: int
) -> cr.Trainer:
    """Train a network on spectrograms, as a stage."""
    cr.manual_seed(experiment.seed)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(16 * 6 * 6, classes),
    )
    trainer = cr.Trainer(
        model,
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.AdamW(lr=optim.OneCycleLR(LR), weight_decay=0.1),
        seed=experiment.seed,
        **experiment.engine_options,
    )
    epochs = max(6 if experiment.quick else EPOCHS, 3000 // len(x))
    how: dict[str, Any] = {"epochs": epochs, "batch_size": min(BATCH_SIZE, len(x))}
    return experiment.fit(
        name, trainer, (x, np.array(y, np.int32)), progress=False, **how
    )


def tones(seed: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Generate ``count`` tones of each instrument; return spectrograms and labels."""
    draw = np.random.default_rng(seed)
    made = [tone(name, draw) for __ in range(count) for name in INSTRUMENTS]
    return pictures(made), np.tile(np.arange(len(INSTRUMENTS), dtype=np.int32), count)


def draw_spectrograms(figure: Any, named: dict[str, np.ndarray]) -> None:
    """Draw spectrograms: time horizontally, pitch vertically."""
    places = figure.subplots(1, len(named), squeeze=False)[0]
    for axes, (name, sound) in zip(places, named.items()):
        axes.imshow(spectrogram(sound).T, origin="lower", aspect="auto", cmap="magma")
        axes.set_title(name, fontsize=8)
        axes.set_axis_off()


def pieces(sound: np.ndarray) -> list[np.ndarray]:
    """Split a recording into at most 40 half-seconds; pad a shorter one."""
    if len(sound) < SOUND:
        return [np.pad(sound, (0, SOUND - len(sound)))]
    starts = range(0, len(sound) - SOUND + 1, SOUND)
    return [sound[start : start + SOUND] for start in starts][:40]


Sounds = dict[str, np.ndarray]


def recordings(experiment: Experiment, data: str) -> dict[str, Sounds]:
    """Read a folder's recordings by subfolder (style); of a plain folder as ``""``.

    Raises:
        DataError: no such folder, no recordings, too few, or files that are none.
    """

    def within(folder: Path) -> list[Path]:
        found = (file for file in folder.iterdir() if file.suffix.lower() == ".wav")
        return sorted(file for file in found if file.is_file())

    root = experiment.user_folder(data, "folder of recordings")
    files = within(root)
    folders = sorted(f for f in root.iterdir() if f.is_dir() and f.name[0] != ".")
    if files or not any(map(within, folders)):
        if not files:
            raise errors.DataError(
                _("The folder '{root}' has no recordings.", root=root),
                expected=_("WAV files, or a folder of them for each style"),
                got=_("no file that ends in .wav"),
                fix=_("ffmpeg -i FILE FILE.wav makes one of other recordings"),
            )
        return {"": {file.stem: recording(file) for file in files}}
    few = [folder for folder in folders if len(within(folder)) < FEWEST]
    if few or len(folders) < 2:
        raise errors.DataError(
            _("There are too few recordings to learn styles from."),
            expected=_(
                "two folders at least, with {FEWEST} WAV files each", FEWEST=FEWEST
            ),
            got=", ".join(f"{f.name}: {len(within(f))}" for f in folders),
            fix=_("put more of them there; or all into one folder, to be named"),
        )
    return {f.name: {file.stem: recording(file) for file in within(f)} for f in folders}


def name_them(
    experiment: Experiment, trainer: cr.Trainer, sounds: Sounds
) -> dict[str, str]:
    """Draw the user's recordings, and print each one's nearest instrument."""
    shown = dict(list(sounds.items())[:5])
    experiment.draw("recordings", draw_spectrograms, shown, title=_("your recordings"))
    found, names = {}, list(INSTRUMENTS)
    say("\nYour recordings come closest to:\n")
    for name, sound in sounds.items():
        shares = trainer.predict(pictures(pieces(sound)), output="probabilities")
        share = shares.mean(0)
        found[name] = names[int(share.argmax())]
        print(f"  {name:30.30}  {found[name]:15} {share.max():4.0%}")
    return found


def styles(experiment: Experiment, named: dict[str, Sounds]) -> dict[str, Any]:
    """Learn the styles of the folders of recordings; every third file is for tests."""
    parts: list[tuple[list[Any], list[int]]] = [([], []), ([], [])]
    for label, sounds in enumerate(named.values()):
        for i, sound in enumerate(sounds.values()):
            x, y = parts[i % 3 == 2]
            cut = pieces(sound)
            x += cut
            y += [label] * len(cut)
    (x, y), (x_new, y_new) = parts
    trainer = learn(experiment, "styles", pictures(x), y, len(named))
    said = trainer.predict(pictures(x_new)).argmax(1)
    accuracy = float((said == np.array(y_new)).mean())
    names = list(named)
    say("\nYour styles: {names}", names=", ".join(names))
    say(
        "  {accuracy:.1%} of {y_new} half seconds of other files are recognised.",
        accuracy=accuracy,
        y_new=len(y_new),
    )
    return {"styles": names, "accuracy": accuracy}


def run(experiment: Experiment, *, data: str | None = None) -> dict[str, Any]:
    """Generate tones, learn the instruments, classify recordings.

    Args:
        experiment: the seed of the tones, the initial weights and the order.
        data: a folder of WAV files, or of folders of them, one a style.

    Raises:
        DataError: no such folder, no WAV files, or too few to learn from.
    """
    own = None if data is None else recordings(experiment, data)
    draw = np.random.default_rng([experiment.seed, 0])
    examples = {name: tone(name, draw) for name in INSTRUMENTS}
    experiment.draw(
        "spectrograms", draw_spectrograms, examples, title=_("half a second each")
    )
    x, y = tones([experiment.seed, 1], 80 if experiment.quick else 300)
    x_new, truth = tones([experiment.seed, 2], 40 if experiment.quick else 100)
    trainer = learn(experiment, "instruments", x, y, len(INSTRUMENTS))
    said = trainer.predict(x_new).argmax(1)
    accuracy = float((said == truth).mean())
    say(
        "{x} tones to learn from; {accuracy:.1%} of {x_new} new ones named.",
        x=len(x),
        accuracy=accuracy,
        x_new=len(x_new),
    )
    confusion = np.zeros((len(INSTRUMENTS),) * 2, int)
    np.add.at(confusion, (truth, said), 1)
    names = list(INSTRUMENTS)
    experiment.draw(
        "confusion",
        viz.gallery.heat,
        confusion,
        rows=names,
        columns=names,
        numbers="d",
        up=_("sounds"),
        across=_("is taken for"),
        title=_("which instrument is taken for which"),
        size=(6.0, 3.0),
    )
    results = {"accuracy": accuracy, "confusion": confusion.tolist()}
    if own is not None:
        plain = own.get("")
        results["own"] = (
            name_them(experiment, trainer, plain) if plain else styles(experiment, own)
        )
    return results


if __name__ == "__main__":
    run(Experiment("timbre"))

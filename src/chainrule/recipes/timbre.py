"""Instrument recognition from spectrograms of sounds (1.6, 1.8).

    4,000 samples → spectrogram, 30 frames × 32 bands → conv → pool → conv → pool → 5

Half a second of sound is 4,000 numbers (8,000 a second), and no two waves of the same
note look alike. A spectrogram is a picture of it: the short-time Fourier transform, in
bands as wide as the ear's, in logarithms:

    S[t, f] = |Σₙ w[n] x[n + t·H] e^(−2πi·fn/N)|²,    M = log(10⁻⁶ + S Fᵀ)

with the Hann window w, N = 256, H = 128, and triangles F that stand evenly on the mel
scale, m = 2595 log₁₀(1 + f/700). A convolutional network reads it as it reads digits.

The tones are synthesised: sums of partials of random pitch (130 to 1,040 Hz), loudness
and noise. The figure says that the network tells these five apart, and nothing about
instruments in a room.

What to look at: the spectrograms. Partials are lines; the bell's are not evenly spaced;
the clarinet has every other one; plucked strings fade, high partials first.

``--data FOLDER`` draws the WAV files of a folder and says what each comes closest to. A
folder of folders, one a style, is learned: every third file is for the test, since
pieces of one file are too much alike to test with.

Source: Stevens, Volkmann & Newman 1937 (mel); Choi et al. 2016, "Automatic tagging
using deep convolutional neural networks".

    chainrule train timbre
    chainrule train timbre --data recordings
    python -m chainrule.recipes.timbre
"""

from __future__ import annotations

from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, viz
from chainrule.recipes import Experiment, Reference
from chainrule.recipes.datasets.recordings import Recordings, pieces, read_styles
from chainrule.recipes.datasets.tones import INSTRUMENTS, RATE, SAMPLES, tones
from chainrule.text import _, ngettext, padded, say, tr, translated

SUMMARY = _(
    "which instrument sounds: spectrograms read by a CNN; your own WAV files too"
)
SECONDS = 3
REFERENCES = [Reference("accuracy", at_least=0.97, source=_("its own bar"))]
EPOCHS, BATCH_SIZE, LR = 12, 32, 3e-3
#: So many spectrograms are seen at least, the same ones again where they are few.
SEEN = 3000
WINDOW, HOP, BANDS = 256, 128, 32


def mel_bands() -> np.ndarray:
    """Return the triangular mel filters of a spectrogram, (BANDS, WINDOW/2 + 1)."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    bins = np.fft.rfftfreq(WINDOW, 1 / RATE)
    rise, fall = (bins - low) / (middle - low), (high - bins) / (high - middle)
    return np.maximum(0, np.minimum(rise, fall))


def spectrogram(sound: np.ndarray) -> np.ndarray:
    """Return the log-mel spectrogram of a sound, (frames, BANDS)."""
    frames = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    power = np.abs(np.fft.rfft(frames * hann)) ** 2
    return np.log(1e-6 + power @ mel_bands().T)


def spectrograms(sounds: list[np.ndarray]) -> np.ndarray:
    """Return standardised log-mel spectrograms of sounds, (n, 1, frames, BANDS)."""
    x = np.stack([spectrogram(sound) for sound in sounds])[:, None]
    x -= x.mean((2, 3), keepdims=True)
    return (x / x.std((2, 3), keepdims=True).clip(1e-6)).astype(np.float32)


def of_spectrograms(sounds: Recordings) -> str:
    """Return what is to be seen in spectrograms: where each is loudest."""
    loud = [int(spectrogram(s).mean(0).argmax()) + 1 for s in sounds.values()]
    told = ", ".join(f"{translated(name)} {band}" for name, band in zip(sounds, loud))
    return tr(
        "Time to the right, {n} bands of pitch upwards; bright is loud, by the"
        " logarithm of the energy, on a scale of its own in each. The loudest band of"
        " each: {told}.",
        n=BANDS,
        told=told,
    )


@viz.seen.seen(of_spectrograms)
def draw_spectrograms(figure: Any, sounds: Recordings) -> None:
    """Draw sounds' spectrograms side by side: time across, pitch up."""
    panels = figure.subplots(1, len(sounds), squeeze=False)[0]
    for axes, (name, sound) in zip(panels, sounds.items()):
        shown = spectrogram(sound).T
        drawn = axes.imshow(shown, origin="lower", aspect="auto", cmap="magma")
        figure.colorbar(drawn, ax=axes)
        axes.set_title(translated(name), fontsize=8)
        axes.set_axis_off()


def learn(
    experiment: Experiment, name: str, x: np.ndarray, y: np.ndarray
) -> cr.Trainer:
    """Train a convolutional sound classifier on spectrograms, as a stage."""
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
        nn.Linear(16 * 6 * 6, int(y.max()) + 1),
    )
    trainer = cr.Trainer(
        model,
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.AdamW(lr=optim.OneCycleLR(LR), weight_decay=0.1),
        seed=experiment.seed,
        **experiment.engine_options,
    )
    epochs = max(6 if experiment.quick else EPOCHS, SEEN // len(x))
    budget = {"epochs": epochs, "batch_size": min(BATCH_SIZE, len(x))}
    return experiment.fit(name, trainer, (x, y), progress=False, **budget)


def nearest_instruments(
    experiment: Experiment, trainer: cr.Trainer, sounds: Recordings
) -> dict[str, str]:
    """Draw recordings, and print the instrument that each sounds most like."""
    drawn = dict(list(sounds.items())[:5])
    experiment.draw("recordings", draw_spectrograms, drawn, title=_("your recordings"))
    nearest, names = {}, list(INSTRUMENTS)
    say("\nYour recordings come closest to:\n")
    for name, sound in sounds.items():
        x = spectrograms(pieces(sound, SAMPLES))
        shares = trainer.predict(x, output="probabilities").mean(0)
        nearest[name] = names[int(shares.argmax())]
        instrument = padded(translated(nearest[name]), 15)
        print(f"  {name:30.30}  {instrument} {shares.max():4.0%}")
    return nearest


def learn_styles(
    experiment: Experiment, styles: dict[str, Recordings]
) -> dict[str, Any]:
    """Learn musical styles from recordings; every third file is for the test."""
    train, test = [], []
    for label, sounds in enumerate(styles.values()):
        for number, sound in enumerate(sounds.values()):
            part = test if number % 3 == 2 else train
            part += [(piece, label) for piece in pieces(sound, SAMPLES)]
    x, test_x = (spectrograms([piece for piece, __ in p]) for p in (train, test))
    y, test_y = (np.array([y for __, y in p], np.int32) for p in (train, test))
    predicted = learn(experiment, "styles", x, y).predict(test_x).argmax(1)
    accuracy = float((predicted == test_y).mean())
    say("\nYour styles: {names}", names=", ".join(styles))
    say(
        ngettext(
            "  {accuracy:.1%} of {n} half second of other files is recognised.",
            "  {accuracy:.1%} of {n} half seconds of other files are recognised.",
            n=len(test_y),
            accuracy=accuracy,
        )
    )
    return {"styles": list(styles), "accuracy": accuracy}


def run(experiment: Experiment, *, data: str | None = None) -> dict[str, Any]:
    """Train an instrument classifier on synthesised tones; classify recordings.

    Args:
        experiment: the seed of the tones, the initial weights and the order.
        data: a folder of WAV files, or of folders of them, one a style.

    Raises:
        DataError: no such folder, no WAV files, or too few to learn from.
    """
    styles = {}
    if data is not None:
        folder = experiment.user_folder(data, "folder of recordings")
        styles = read_styles(folder, RATE)
    names = list(INSTRUMENTS)
    examples = dict(zip(names, tones([experiment.seed, 0], 1)[0]))
    title = _("half a second each")
    experiment.draw("spectrograms", draw_spectrograms, examples, title=title)

    sounds, y = tones([experiment.seed, 1], 80 if experiment.quick else 300)
    test_sounds, test_y = tones([experiment.seed, 2], 40 if experiment.quick else 100)
    trainer = learn(experiment, "instruments", spectrograms(sounds), y)
    scores = trainer.predict(spectrograms(test_sounds))
    confusion = cr.metrics.measure("confusion_matrix", scores, test_y)
    accuracy = float(np.trace(confusion) / len(test_y))
    say(
        "{x} tones to learn from; {accuracy:.1%} of {x_new} new ones named.",
        x=len(y),
        accuracy=accuracy,
        x_new=len(test_y),
    )
    axes = {"rows": names, "columns": names, "up": _("sounds")}
    axes |= {"across": _("is taken for"), "numbers": "d", "size": (6.0, 3.0)}
    title = _("which instrument is taken for which")
    experiment.draw("confusion", viz.gallery.heat, confusion, title=title, **axes)
    results = {"accuracy": accuracy, "confusion": confusion.tolist()}
    if "" in styles:
        results["own"] = nearest_instruments(experiment, trainer, styles[""])
    elif styles:
        results["own"] = learn_styles(experiment, styles)
    return results


if __name__ == "__main__":
    run(Experiment("timbre"))

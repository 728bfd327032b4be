"""Recordings in WAV files: reading, resampling, folders of styles, pieces."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from chainrule.errors import DataError
from chainrule.text import _

#: Recordings that a style has at least; every third is for tests.
FEWEST = 3

Recordings = dict[str, np.ndarray]


def read_recording(file: Path, rate: int) -> np.ndarray:
    """Read a WAV file as one channel from −1 to 1, resampled by its Fourier series.

    Args:
        file: a WAV file of whole numbers of 8 to 32 bits, with any channels.
        rate: samples a second of the result.

    Raises:
        DataError: it is no WAV file of whole numbers, or one without a sound.
    """
    try:
        with wave.open(str(file), "rb") as stream:
            width, channels = stream.getsampwidth(), stream.getnchannels()
            own_rate = stream.getframerate()
            content = stream.readframes(stream.getnframes())
    except (wave.Error, EOFError, OSError) as error:
        raise _unreadable(file, f"{error!r:.100}") from error
    if width > 4 or own_rate < 1:
        got = f"{8 * width}-bit samples at {own_rate} Hz"
        raise _unreadable(file, got)
    frames = len(content) // (width * channels)  # one that is cut short is left out
    if frames * rate < own_rate:
        raise _unreadable(file, "no sound")
    data = np.frombuffer(content, np.uint8, frames * channels * width)
    if width == 1:
        samples = data / 128 - 1
    else:
        padded = np.zeros((frames * channels, 4), np.uint8)
        padded[:, 4 - width :] = data.reshape(-1, width)
        samples = padded.view("<i4")[:, 0] / 2**31
    samples = samples.reshape(frames, channels).mean(1)
    count = round(frames * rate / own_rate)
    spectrum = np.fft.rfft(samples)[: count // 2 + 1] * (count / frames)
    return np.fft.irfft(spectrum, count)


def _unreadable(file: Path, got: str) -> DataError:
    """Return the error for a file that is not a readable WAV recording."""
    return DataError(
        _("{file} cannot be read.", file=file),
        expected=_("a WAV file of whole numbers, with a sound"),
        got=got,
        fix=_("ffmpeg -i {name} new.wav; or take it out of the folder", name=file.name),
    )


def read_styles(root: Path, rate: int) -> dict[str, Recordings]:
    """Read the WAV files of a folder's subfolders, or of the folder itself.

    Args:
        root: a folder of WAV files, or a folder with a folder of them for each style.
        rate: samples a second.

    Returns:
        by style the recordings by name; those of a plain folder as the style ``""``.

    Raises:
        DataError: there are no recordings, too few of a style, or unreadable ones.
    """
    files = _wav_files(root)
    folders = sorted(f for f in root.iterdir() if f.is_dir() and f.name[0] != ".")
    styles = {folder.name: _wav_files(folder) for folder in folders}
    if not files and not any(styles.values()):
        raise DataError(
            _("The folder '{root}' has no recordings.", root=root),
            expected=_("WAV files, or a folder of them for each style"),
            got=_("no file that ends in .wav"),
            fix=_("ffmpeg -i FILE FILE.wav makes one of other recordings"),
        )
    if files:
        styles = {"": files}
    elif len(styles) < 2 or min(map(len, styles.values())) < FEWEST:
        raise DataError(
            _("There are too few recordings to learn styles from."),
            expected=_(
                "two folders at least, with {FEWEST} WAV files each", FEWEST=FEWEST
            ),
            got=", ".join(f"{name}: {len(files)}" for name, files in styles.items()),
            fix=_("put more of them there; or all into one folder, to be named"),
        )
    return {
        style: {file.stem: read_recording(file, rate) for file in files}
        for style, files in styles.items()
    }


def _wav_files(folder: Path) -> list[Path]:
    """Return the WAV files of a folder, in the order of their names."""
    files = (file for file in folder.iterdir() if file.suffix.lower() == ".wav")
    return sorted(file for file in files if file.is_file())


def pieces(sound: np.ndarray, length: int, *, most: int = 40) -> list[np.ndarray]:
    """Split a recording into at most ``most`` pieces of a length; pad a shorter one.

    >>> [piece.tolist() for piece in pieces(np.arange(1, 6), 2)]
    [[1, 2], [3, 4]]
    >>> pieces(np.ones(1), 3)
    [array([1., 0., 0.])]
    """
    if len(sound) < length:
        return [np.pad(sound, (0, length - len(sound)))]
    starts = range(0, len(sound) - length + 1, length)
    return [sound[start : start + length] for start in starts][:most]

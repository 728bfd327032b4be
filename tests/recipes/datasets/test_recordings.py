"""Recordings: WAV files of all widths and rates, such as are none, and folders."""

from __future__ import annotations

import contextlib
import wave
from pathlib import Path

import numpy as np
import pytest

from chainrule import errors
from chainrule.recipes.datasets.recordings import pieces, read_recording, read_styles


def write_wav(file: Path, samples: np.ndarray, width: int, rate: int) -> None:
    """A WAV file of two channels, the second silent but for the first's negative."""
    both = np.stack([samples, np.zeros_like(samples)], 1)
    if width == 1:
        raw = (np.round(both * 127) + 128).astype(np.uint8).tobytes()
    else:
        whole = np.round(both * (2 ** (8 * width - 1) - 1)).astype("<i4")
        raw = whole.reshape(-1, 1).view(np.uint8)[:, :width].tobytes()
    with wave.open(str(file), "wb") as stream:
        stream.setnchannels(2)
        stream.setsampwidth(width)
        stream.setframerate(rate)
        stream.writeframes(raw)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("rate", [8000, 44100])
def test_recordings_of_all_widths(width: int, rate: int, tmp_path: Path) -> None:
    t = np.arange(rate // 2) / rate
    write_wav(tmp_path / "a.wav", 0.8 * np.sin(2 * np.pi * 440 * t), width, rate)
    sound = read_recording(tmp_path / "a.wav", 8000)
    wanted = 0.4 * np.sin(2 * np.pi * 440 * np.arange(4000) / 8000)
    assert sound.shape == (4000,)
    np.testing.assert_allclose(sound, wanted, atol=0.02 if width == 1 else 3e-3)


def test_what_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF nothing of the kind")
    with pytest.raises(errors.DataError, match=r"a\.wav cannot be read"):
        read_recording(tmp_path / "a.wav", 8000)


def test_a_recording_without_a_sound_or_cut_short(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    write_wav(file, np.zeros(0), 2, 8000)
    with pytest.raises(errors.DataError, match=r"a\.wav cannot be read") as caught:
        read_recording(file, 8000)
    assert "no sound" in str(caught.value)
    for width in (1, 2, 3, 4):
        write_wav(file, np.ones(20), width, 8000)
        content = file.read_bytes()
        for length in range(len(content)):
            file.write_bytes(content[:length])
            with contextlib.suppress(errors.DataError):
                assert 0 < len(read_recording(file, 8000)) < 20


def test_letters_of_an_ending(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.WAV", np.ones(4000), 2, 8000)
    (tmp_path / "b.wav").mkdir()
    assert list(read_styles(tmp_path, 8000)[""]) == ["a"]


def test_pieces_of_a_long_sound() -> None:
    assert [len(piece) for piece in pieces(np.ones(9000), 4000)] == [4000, 4000]
    assert len(pieces(np.ones(100), 2)) == 40

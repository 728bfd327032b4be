"""timbre: spectrograms beside SciPy and sums, WAV files of all widths, a kill."""

from __future__ import annotations

import contextlib
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import errors
from chainrule.recipes import Experiment, timbre

from .runs import check, quick

RECIPE = "timbre"


def test_the_spectrogram_by_its_formula() -> None:
    rng = np.random.default_rng(0)
    sound = rng.standard_normal(700)
    made = timbre.spectrogram(sound)
    n, hop = 256, 128
    assert made.shape == ((700 - n) // hop + 1, 32)
    window = np.hanning(n + 1)[:-1]
    bands = timbre.mel_bands()
    k = np.arange(n)
    for t in range(len(made)):
        waves = np.exp(-2j * np.pi * np.outer(np.arange(n // 2 + 1), k) / n)
        power = np.abs(waves @ (window * sound[t * hop : t * hop + n])) ** 2
        np.testing.assert_allclose(made[t], np.log(1e-6 + bands @ power), rtol=1e-9)


def test_the_bands_are_triangles_on_the_mel_scale() -> None:
    bands = timbre.mel_bands()
    bins = np.arange(129) * 8000 / 256
    top = 2595 * np.log10(1 + 4000 / 700)
    corners = [700 * (10 ** (top * i / 33 / 2595) - 1) for i in range(34)]
    for band, low, middle, high in zip(bands, corners, corners[1:], corners[2:]):
        wanted = np.interp(bins, [low, middle, high], [0, 1, 0], left=0, right=0)
        np.testing.assert_allclose(band, wanted, atol=1e-12)
    assert bands.sum(0)[8:120] == pytest.approx(1)  # neighbours share what is between


def test_a_tone_is_where_it_should_be() -> None:
    t = np.arange(4000) / 8000
    for hertz in (300, 1000, 2500):
        band = timbre.spectrogram(np.sin(2 * np.pi * hertz * t)).mean(0).argmax()
        bins = np.arange(129) * 8000 / 256
        middle = bins[timbre.mel_bands()[band].argmax()]
        assert abs(middle - hertz) < 0.12 * hertz + 40


@pytest.mark.parametrize("name", timbre.INSTRUMENTS)
def test_partials(name: str) -> None:
    """The strongest frequencies of a tone are multiples that the table has."""
    sound = timbre.tone(name, np.random.default_rng(3))
    draw = np.random.default_rng(3)
    pitch = 130 * 2 ** draw.uniform(0, 3)
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / 8000)

    def height(multiple: float) -> float:
        """The power about a multiple of the pitch, over that of the noise."""
        near = np.abs(hertz / (multiple * pitch) - 1) < 0.015
        return power[near].max() / np.median(power[hertz > 200])

    table = [m for m, _ in timbre.INSTRUMENTS[name][0] if m * pitch < 3600]
    assert height(table[0]) > 300
    assert height(table[1]) > 30
    assert (height(2) > 30) == (name not in ("clarinet", "bell"))


def written(file: Path, samples: np.ndarray, width: int, rate: int) -> None:
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
    written(tmp_path / "a.wav", 0.8 * np.sin(2 * np.pi * 440 * t), width, rate)
    made = timbre.recording(tmp_path / "a.wav")
    wanted = 0.4 * np.sin(2 * np.pi * 440 * np.arange(4000) / 8000)
    assert made.shape == (4000,)
    np.testing.assert_allclose(made, wanted, atol=0.02 if width == 1 else 3e-3)


def test_what_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF nothing of the kind")
    with pytest.raises(errors.DataError, match=r"a\.wav cannot be read"):
        timbre.recording(tmp_path / "a.wav")


def test_a_recording_without_a_sound_or_cut_short(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    written(file, np.zeros(0), 2, 8000)
    with pytest.raises(errors.DataError, match=r"a\.wav cannot be read") as caught:
        timbre.recording(file)
    assert "no sound" in str(caught.value)
    for width in (1, 2, 3, 4):
        written(file, np.ones(20), width, 8000)
        content = file.read_bytes()
        for length in range(len(content)):
            file.write_bytes(content[:length])
            with contextlib.suppress(errors.DataError):
                assert 0 < len(timbre.recording(file)) < 20


def test_pieces() -> None:
    assert [len(p) for p in timbre.pieces(np.ones(9000))] == [4000, 4000]
    (short,) = timbre.pieces(np.ones(10))
    assert (short[:10] == 1).all()
    assert short.shape == (4000,)
    assert (short[10:] == 0).all()


def test_the_quick_run(whole: dict[str, Any]) -> None:
    result = whole["result"]
    confusion = np.array(result["confusion"])
    assert confusion.sum(1).tolist() == [40] * 5
    assert result["accuracy"] == pytest.approx(np.trace(confusion) / 200)
    assert result["accuracy"] > 0.5
    check(whole, "spectrograms", "confusion")


def test_recordings_of_ones_own(tmp_path: Path) -> None:
    """Files are named; folders of files are learned, and told apart in other files."""
    draw = np.random.default_rng(5)
    for name in ("flute", "plucked string"):
        (tmp_path / "styles" / name).mkdir(parents=True)
        for i in range(6):
            sound = np.concatenate([timbre.tone(name, draw) for _ in range(4)])
            written(tmp_path / "styles" / name / f"{i}.wav", sound * 0.5, 2, 8000)
    folder = str(tmp_path / "styles" / "flute")
    first = quick("timbre", tmp_path / "a", options={"data": folder})
    result, text = first["result"], first["text"]
    assert set(result["own"]) == {str(i) for i in range(6)}
    assert set(result["own"].values()) <= set(timbre.INSTRUMENTS)
    assert "Your recordings come closest to" in text
    options = {"data": str(tmp_path / "styles")}
    second = quick("timbre", tmp_path / "b", options=options)
    result, text = second["result"], second["text"]
    assert result["own"]["styles"] == ["flute", "plucked string"]
    assert result["own"]["accuracy"] > 0.8
    assert "of 16 half seconds of other files" in text


@pytest.mark.parametrize("counts", [(1,), (3,), (3, 2), (0, 3, 3)])
def test_too_few_to_learn_from(counts: tuple[int, ...], tmp_path: Path) -> None:
    for style, count in zip(("jazz", "waltz", "polka"), counts):
        (tmp_path / style).mkdir()
        for i in range(count):
            written(tmp_path / style / f"{i}.wav", np.zeros(4000), 2, 8000)
    with pytest.raises(errors.DataError, match="too few recordings") as caught:
        quick("timbre", None, options={"data": str(tmp_path)})
    assert f"jazz: {counts[0]}" in str(caught.value)


def test_few_are_enough_for_a_batch(tmp_path: Path) -> None:
    for pitch in (100, 3000):
        (tmp_path / str(pitch)).mkdir()
        for i in range(3):
            sound = 0.5 * np.sin(2 * np.pi * pitch * np.arange(4000 + i) / 8000)
            written(tmp_path / str(pitch) / f"{i}.wav", sound, 2, 8000)
    experiment = Experiment("timbre", engine="numpy", threads=1, quick=True)
    own = timbre.recordings(experiment, str(tmp_path))
    assert timbre.styles(experiment, own)["accuracy"] == 1


@pytest.mark.parametrize("place", ["nowhere", ".", "a.wav", "empty"])
def test_no_folder_of_recordings(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is computed, and nothing is left behind."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty" / "within").mkdir(parents=True)
    if place == "a.wav":
        written(tmp_path / "a.wav", np.ones(4000), 2, 8000)
    with pytest.raises(errors.DataError, match="folder"):
        quick("timbre", tmp_path / "run", options={"data": place})
    assert not (tmp_path / "run").exists()


def test_letters_of_an_ending(tmp_path: Path) -> None:
    written(tmp_path / "a.WAV", np.ones(4000), 2, 8000)
    (tmp_path / "b.wav").mkdir()
    assert list(timbre.recordings(Experiment(), str(tmp_path))[""]) == ["a"]

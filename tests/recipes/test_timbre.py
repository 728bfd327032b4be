"""timbre: spectrograms by their formula, the quick run, recordings of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import errors
from chainrule.recipes import Experiment, timbre
from chainrule.recipes.datasets.recordings import read_styles
from chainrule.recipes.datasets.tones import INSTRUMENTS, tone

from .datasets.test_recordings import write_wav
from .runs import check, quick

RECIPE = "timbre"


def test_the_spectrogram_by_its_formula() -> None:
    rng = np.random.default_rng(0)
    sound = rng.standard_normal(700)
    log_mel = timbre.spectrogram(sound)
    n, hop = 256, 128
    assert log_mel.shape == ((700 - n) // hop + 1, 32)
    window = np.hanning(n + 1)[:-1]
    bands = timbre.mel_bands()
    k = np.arange(n)
    for t in range(len(log_mel)):
        waves = np.exp(-2j * np.pi * np.outer(np.arange(n // 2 + 1), k) / n)
        power = np.abs(waves @ (window * sound[t * hop : t * hop + n])) ** 2
        np.testing.assert_allclose(log_mel[t], np.log(1e-6 + bands @ power), rtol=1e-9)


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
            sound = np.concatenate([tone(name, draw) for _ in range(4)])
            write_wav(tmp_path / "styles" / name / f"{i}.wav", sound * 0.5, 2, 8000)
    folder = str(tmp_path / "styles" / "flute")
    first = quick("timbre", tmp_path / "a", options={"data": folder})
    result, text = first["result"], first["text"]
    assert set(result["own"]) == {str(i) for i in range(6)}
    assert set(result["own"].values()) <= set(INSTRUMENTS)
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
            write_wav(tmp_path / style / f"{i}.wav", np.zeros(4000), 2, 8000)
    with pytest.raises(errors.DataError, match="too few recordings") as caught:
        quick("timbre", None, options={"data": str(tmp_path)})
    assert f"jazz: {counts[0]}" in str(caught.value)


def test_few_are_enough_for_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timbre, "SEEN", 200)
    for pitch in (100, 3000):
        (tmp_path / str(pitch)).mkdir()
        for i in range(3):
            sound = 0.5 * np.sin(2 * np.pi * pitch * np.arange(4000 + i) / 8000)
            write_wav(tmp_path / str(pitch) / f"{i}.wav", sound, 2, 8000)
    experiment = Experiment("timbre", engine="numpy", threads=1, quick=True)
    styles = read_styles(tmp_path, 8000)
    assert timbre.learn_styles(experiment, styles)["accuracy"] == 1


@pytest.mark.parametrize("place", ["nowhere", ".", "a.wav", "empty"])
def test_no_folder_of_recordings(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is computed, and nothing is left behind."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty" / "within").mkdir(parents=True)
    if place == "a.wav":
        write_wav(tmp_path / "a.wav", np.ones(4000), 2, 8000)
    with pytest.raises(errors.DataError, match="folder"):
        quick("timbre", tmp_path / "run", options={"data": place})
    assert not (tmp_path / "run").exists()

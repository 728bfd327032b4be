"""japanese_vowels: the format, padding and mask, the utterances."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chainrule.recipes import Experiment
from chainrule.recipes.datasets import japanese_vowels

from ..runs import needing

LINES = """\
#A comment, with : and ,
@data
1.0,2.0,3.0:{rest}:2
-1.5,0.5:{short}:9
"""


def test_reading(tmp_path: Path) -> None:
    rest, short = ":".join(["0,1,2"] * 11), ":".join(["3,4"] * 11)
    file = tmp_path / "some.ts"
    file.write_text(LINES.format(rest=rest, short=short), "utf-8")
    utterances, speakers = japanese_vowels.read(file)
    assert [u.shape for u in utterances] == [(3, 12), (2, 12)]
    assert speakers.tolist() == [1, 8]
    assert utterances[0][:, 0].tolist() == [1, 2, 3]
    assert utterances[1][1].tolist() == [0.5, *[4.0] * 11]
    x = japanese_vowels.padded(utterances, utterances)
    assert x.shape == (2, 3, 13)
    assert x[:, :, 12].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert (x[1, 2] == 0).all()
    real = np.concatenate([x[0, :, :12], x[1, :2, :12]])
    np.testing.assert_allclose(real.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(real.std(0), 1, atol=1e-6)


@needing("aeon")
def test_the_utterances_of_the_nine() -> None:
    folder = Experiment("speech").folder("aeon", "")
    known, y = japanese_vowels.read(folder / japanese_vowels.TRAIN)
    new, truth = japanese_vowels.read(folder / japanese_vowels.TEST)
    assert np.bincount(y).tolist() == [30] * 9
    assert np.bincount(truth).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    lengths = [len(u) for u in known + new]
    assert (min(lengths), max(lengths)) == (7, 29)
    assert len({u.tobytes() for u in known + new}) == 640  # none is in both

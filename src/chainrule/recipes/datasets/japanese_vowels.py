"""A speaker recognition data set: nine men say "ae", 640 utterances.

Each step is 12 coefficients of linear prediction, which describe the resonances of the
mouth while it speaks, every 6.4 ms. The test utterances were recorded on other
occasions.

Source: Kudo, Toyama & Shimbo 1999, "Multidimensional curve classification using
passing-through regions", by way of aeon.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

#: Where the package's folder has the files.
TRAIN, TEST = (
    f"datasets/data/JapaneseVowels/JapaneseVowels_{part}.ts"
    for part in ("TRAIN", "TEST")
)


def read(file: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Read utterances (T, 12) and speakers 0 … 8 from a file of aeon's format.

    A line is an utterance: its channels, then the speaker, between colons.
    """
    utterances, speakers = [], []
    for line in file.read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#@":
            *channels, speaker = line.split(":")
            rows = [np.array(channel.split(","), np.float64) for channel in channels]
            utterances.append(np.stack(rows, 1))
            speakers.append(int(speaker) - 1)
    return utterances, np.array(speakers, np.int32)


def padded(utterances: list[np.ndarray], train: list[np.ndarray]) -> np.ndarray:
    """Return utterances standardised and padded to one length, with a mask.

    Args:
        utterances: (T, 12) each; behind the end of a short one stand zeros.
        train: those whose mean and deviation standardise the coefficients.

    Returns:
        12 standardised coefficients and the mask: 1 for a step, 0 for padding.
    """
    steps = np.concatenate(train)
    mean, deviation = steps.mean(0), steps.std(0)
    x = np.zeros((len(utterances), max(map(len, utterances)), 13), np.float32)
    for row, utterance in zip(x, utterances):
        row[: len(utterance), :12] = (utterance - mean) / deviation
        row[: len(utterance), 12] = 1
    return x

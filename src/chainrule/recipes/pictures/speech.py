"""The picture of the recipe ``speech``: utterances of three speakers."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.text import tr
from chainrule.viz.seen import seen


def _of_voices(x: np.ndarray, y: np.ndarray) -> str:
    lengths = x[..., 12].sum(1)
    return tr(
        "A row a speaker, 12 coefficients over time; red is above the mean, blue below."
        " Of the utterances that it learns from the shortest has {least} steps, the"
        " longest {most}.",
        least=int(lengths.min()),
        most=int(lengths.max()),
    )


@seen(_of_voices)
def voices(figure: Any, x: np.ndarray, y: np.ndarray) -> None:
    """Draw three utterances of each of three speakers: coefficients over time.

    Args:
        figure: what to draw into.
        x: (n, T, 13), 12 coefficients and the mask.
        y: (n,), speakers from 0.
    """
    axes = figure.subplots(3, 3, sharex=True, sharey=True)
    for row, speaker in zip(axes, (0, 3, 8)):
        for part, utterance in zip(row, x[y == speaker][:3]):
            shown = np.where(utterance[:, 12:] > 0, utterance[:, :12], np.nan).T
            scale = {"cmap": "RdBu_r", "vmin": -2.5, "vmax": 2.5}
            drawn = part.imshow(shown, aspect="auto", **scale)
            part.grid(visible=False)
        row[0].set_ylabel(tr("speaker {speaker}", speaker=speaker + 1))
    figure.colorbar(drawn, ax=axes, shrink=0.6)

"""The picture of the recipe ``multimodal``: answers, and saliency maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.recipes.datasets.easy_vqa import ANSWERS, Pictures
from chainrule.text import ngettext, tr
from chainrule.viz.seen import seen


def _of_answers(
    data: Pictures,
    predicted: np.ndarray,
    questions: Sequence[tuple[int, int]],
    saliency: Sequence[np.ndarray],
) -> str:
    right = sum(predicted[i, k] == data.answers[i, k] for i, k in questions)
    return tr(
        ngettext(
            "{right} of {n} answer is right. Below it: the brighter a pixel, the more "
            "it moves the score of the answer.",
            "{right} of these {n} answers are right. Below each: the brighter a pixel, "
            "the more it moves the score of the answer.",
            n=len(questions),
            right=int(right),
        )
    )


@seen(_of_answers)
def answers(
    figure: Any,
    data: Pictures,
    predicted: np.ndarray,
    questions: Sequence[tuple[int, int]],
    saliency: Sequence[np.ndarray],
) -> None:
    """Draw pictures with questions and answers, and saliency maps below.

    Args:
        figure: what to draw into.
        data: the pictures.
        predicted: (n, QUESTIONS), the numbers of the network's answers.
        questions: number of the picture, and of its question.
        saliency: (h, w) for each question.
    """
    axes = figure.subplots(2, len(questions), squeeze=False)
    for above, below, (i, k), pixels in zip(*axes, questions, saliency):
        above.imshow(data.images[i].transpose(1, 2, 0))
        text = title(data.texts[i][k], int(predicted[i, k]), int(data.answers[i, k]))
        above.set_title(text, fontsize=6)
        drawn = below.imshow(pixels, cmap="magma")
        scale = figure.colorbar(drawn, ax=below, orientation="horizontal", shrink=0.8)
        scale.ax.tick_params(labelsize=5, length=2)
        scale.ax.xaxis.get_offset_text().set_fontsize(5)
        scale.ax.xaxis.get_major_locator().set_params(nbins=2)
        above.set_axis_off()
        below.set_axis_off()


def title(question: str, predicted: int, truth: int) -> str:
    """Return a question and its answer as a title, with the right one if it differs.

    >>> print(title("is there a red shape?", 0, 1))
    is there a
    red shape?
    yes (wrong: no)
    """
    words = question.split()
    half = (len(words) + 1) // 2
    said = ANSWERS[predicted]
    if predicted != truth:
        said = tr("{said} (wrong: {right})", said=said, right=ANSWERS[truth])
    lines = " ".join(words[:half]), " ".join(words[half:]), said
    return "\n".join(lines)

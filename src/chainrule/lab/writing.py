"""Texts by a network that reads characters, and probabilities of the next one."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.errors import ArgumentError
from chainrule.explanation import explain
from chainrule.graph.node import Array
from chainrule.lab.characters import IGNORED, Characters
from chainrule.lab.saliency import salient
from chainrule.lab.watching import View
from chainrule.recipes.evaluation.language_models import generate
from chainrule.tensor import Tensor, tensor
from chainrule.text import _

#: Seconds after which it stops writing, and characters between two looks at the clock.
SECONDS, AT_ONCE = 20.0, 10
#: Characters whose probabilities are told, the likeliest.
LIKELIEST = 20


def _reading(view: View) -> Characters:
    if view.characters is None:
        raise ArgumentError(
            _("This network does not write."),
            expected=_("a network that reads characters"),
            fix=_("drop a text (.txt) onto the page, or open one: chainrule lab gpt"),
        )
    return view.characters


def written(
    view: View, text: str, count: int, temperature: float, seed: int
) -> dict[str, Any]:
    """Return a text that goes on from another one, by the weights that are shown.

    Args:
        view: of the run.
        text: what is typed.
        count: characters to draw; a name ends before.
        temperature: scores are divided by it.
        seed: of what is drawn.

    Raises:
        ArgumentError: the network does not write; a text it cannot go on from.
    """
    characters, weights = _reading(view), view.weights()
    end = characters.vocabulary.index(characters.end) if characters.end else None
    start, rng = characters.begun(text), np.random.default_rng(seed)
    drawn: list[int] = []
    late = time.monotonic() + SECONDS  # training waits
    while len(drawn) < count and drawn[-1:] != [end] and time.monotonic() < late:
        drawn += generate(
            lambda row: _scores(view, row, weights[1]),
            characters.length,
            rng,
            np.append(start, drawn).astype(start.dtype),
            min(AT_ONCE, count - len(drawn)),
            temperature=temperature,
            end=end,
        )
    ended = drawn[-1:] == [end]
    return {
        "begun": text,
        "text": characters.decode(drawn[:-1] if ended else drawn),
        "ended": ended,
        "late": not ended and len(drawn) < count,
        "step": weights[0],
    }


def _scores(view: View, row: Array, weights: Mapping[str, Array]) -> Tensor:
    """Return ln p of each next character: scores, but for a constant a place."""
    with np.errstate(divide="ignore"):  # ln 0 = −∞, which is never drawn
        return tensor(np.log(view.answers.to(row, weights)))


def foreseen(view: View, text: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the likeliest next characters of a text, and what the first depends on.

    That is the loss −ln p(c) of the next character alone, where the likeliest one, c,
    were the truth; in evaluation mode.

    Raises:
        ArgumentError: the network does not write; a text it cannot go on from.
    """
    characters, (step, weights) = _reading(view), view.weights()
    numbers = characters.begun(text)
    read = numbers[-characters.length :]
    row = np.zeros((1, characters.length), np.int32)
    row[0, : len(read)] = read
    p = view.answers.to(row, weights)[0, len(read) - 1]
    order = np.argsort(-p, kind="stable")[:LIKELIEST]
    model = copy.deepcopy(view.trainer.model).eval()
    model.load_state_dict(weights)
    y = np.full((1, len(read)), IGNORED, np.int32)
    y[0, -1] = order[0]
    loss = nn.CrossEntropyLoss(ignore_index=IGNORED)
    explanation = explain(model, read[None], y, loss)
    found, arrays = salient(explanation, view.session.parts.train, model)
    content = {
        "next": [[characters.token(int(i)), float(p[i])] for i in order],
        "all": len(p),
        "tokens": [characters.token(int(i)) for i in read],
        "left_out": len(numbers) - len(read),
        "step": step,
    }
    return {**content, **found}, arrays

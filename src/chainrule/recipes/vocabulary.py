"""Encoding of characters and words as numbers, for networks that read texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.text import _


def numbered(
    recipe: str,
    tokens: Iterable[str],
    known: Mapping[str, int],
    most: int | None = None,
) -> list[int]:
    """Return the vocabulary numbers of characters or words; refuse unknown ones.

    Args:
        recipe: the name of the recipe, for errors.
        tokens: the characters of a text, or its words.
        known: their numbers.
        most: the largest number of tokens.

    Raises:
        ArgumentError: a token that is not known, or too many tokens.

    >>> numbered("names", "cab", {"a": 1, "b": 2, "c": 3})
    [3, 1, 2]
    >>> numbered("names", "né", {"n": 14})
    Traceback (most recent call last):
        ...
    chainrule.errors.ArgumentError: The recipe 'names' does not know 'é'.
      expected: texts of n
      got:      'é'
      fix:      leave it out, or write it in what is known
    """
    try:
        numbers = [known[token] for token in tokens]
    except KeyError as error:
        shown = [token if token.strip() else repr(token) for token in sorted(known)]
        raise ArgumentError(
            _(
                "The recipe {recipe!r} does not know {args!r}.",
                recipe=recipe,
                args=error.args[0],
            ),
            expected=_("texts of {shown}", shown=" ".join(shown)),
            got=repr(error.args[0]),
            fix=_("leave it out, or write it in what is known"),
        ) from None
    if most is not None and len(numbers) > most:
        raise ArgumentError(
            _("The text is too long for the recipe {recipe!r}.", recipe=recipe),
            expected=_("at most {most} words and characters", most=most),
            got=str(len(numbers)),
            fix=_("cut it into shorter ones"),
        )
    return numbers


def numbering(texts: Iterable[Iterable[str]]) -> dict[str, int]:
    """Return a vocabulary: a number for each distinct token, from 1 on.

    >>> numbering([["call", "now"], ["now", "!"]])
    {'call': 1, 'now': 2, '!': 3}
    """
    distinct = dict.fromkeys(token for tokens in texts for token in tokens)
    return {token: i for i, token in enumerate(distinct, 1)}


def bags(
    texts: Iterable[Iterable[str]], known: Mapping[str, int], length: int
) -> np.ndarray:
    """Encode texts as bags of words: the numbers of their distinct known tokens.

    Args:
        texts: the tokens of each text.
        known: their numbers, from 1 on. Other tokens are left out.
        length: the largest number of distinct tokens; further ones are left out.

    Returns:
        (texts, length), padded with 0.

    >>> bags([["now", "call", "now"], ["later"]], {"call": 1, "now": 2}, 3)
    array([[2, 1, 0],
           [0, 0, 0]], dtype=int32)
    """
    rows = [
        list(dict.fromkeys(known[token] for token in tokens if token in known))[:length]
        for tokens in texts
    ]
    x = np.zeros((len(rows), length), np.int32)
    for row, numbers in zip(x, rows):
        row[: len(numbers)] = numbers
    return x

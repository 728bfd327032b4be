"""Encoding of characters and words as numbers, for recipes that read texts."""

from collections.abc import Iterable, Mapping

from chainrule.errors import ArgumentError
from chainrule.text import _


def numbered(
    recipe: str,
    tokens: Iterable[str],
    known: Mapping[str, int],
    most: int | None = None,
) -> list[int]:
    """Return the numbers of characters or words; refuse unknown ones.

    Args:
        recipe: the name of the recipe, for errors.
        tokens: the characters of a text, or its words.
        known: the number of each that there is.
        most: so many of them are taken.

    Raises:
        ArgumentError: one that is not known, or too many.

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
        found = [known[token] for token in tokens]
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
    if most is not None and len(found) > most:
        raise ArgumentError(
            _("The text is too long for the recipe {recipe!r}.", recipe=recipe),
            expected=_("at most {most} words and characters", most=most),
            got=str(len(found)),
            fix=_("cut it into shorter ones"),
        )
    return found

"""Translatable messages: a template and its values, English or translated."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from chainrule.text.catalogue import lookup, lookup_counted
from chainrule.text.numbers import width

if TYPE_CHECKING:
    from string import Formatter


@functools.cache
def _formatter() -> Formatter:
    """Return the reader of templates and formatter of values."""
    from string import Formatter  # each import counts in that of the package

    return Formatter()


class Message(str):
    """A translatable message: an English text with its template and values.

    It is a string like any other, and pickles and copies with what it keeps. What
    strings make of it (``+``, slices, ``join``) is plain English; :func:`joined` and a
    message with messages among its values are translated as a whole.

    Attributes:
        template: the text of the source, with names in braces.
        values: by name, the text that stands in its place; a :class:`Message` where
            that is one.

    >>> from chainrule.text.languages import language
    >>> message = _("layer {k} of {depth}", k=2, depth=3)
    >>> message
    'layer 2 of 3'
    >>> with language("zh-TW"):
    ...     print(message, translated(message), sep="; ")
    layer 2 of 3; 第 2 層，共 3 層
    """

    __slots__ = ("template", "values")
    template: str
    values: Mapping[str, str]

    def __new__(cls, text: str, template: str, values: Mapping[str, str]) -> Message:
        message = super().__new__(cls, text)
        message.template, message.values = template, values
        return message

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.template, dict(self.values))

    def format(self, *args: Any, **values: Any) -> Message:
        """Return a translatable message with values for its remaining placeholders.

        >>> _("{name} must be {what}.", what="positive").format(name="lr")
        'lr must be positive.'
        """
        return _formatted(self.template, values, self.values)

    def translated(self) -> str:
        """Return a message translated into the current language.

        A placeholder of a translation has a name alone: the value is formatted as the
        English text formats it. Where a message is padded (``{name:>12}``), its
        translation takes as many columns; a Chinese character takes two.
        """
        text = self._text()
        if not self.values:
            return text
        columns = {
            name: spec
            for __, name, spec, __ in _formatter().parse(self.template)
            if spec
        }
        shown = {
            name: _padded(value.translated(), columns.get(name, ""))
            if isinstance(value, Message)
            else value
            for name, value in self.values.items()
        }
        return "".join(
            literal + (shown.get(name, f"{{{name}}}") if name else "")
            for literal, name, *__ in _formatter().parse(text)
        )

    def _text(self) -> str:
        """Return the template in the current language."""
        return lookup(self.template)


class Counted(Message):
    """A translatable message with a count, in the grammatical number of that count.

    Attributes:
        singular: the template of the source for 1.
        plural: that for every other count.
        n: the count.
    """

    __slots__ = ("n", "plural", "singular")
    singular: str
    plural: str
    n: int

    def __new__(cls, message: Message, singular: str, plural: str, n: int) -> Counted:
        text = str(message)
        made = cast(
            Counted, super().__new__(cls, text, message.template, message.values)
        )
        made.singular, made.plural, made.n = singular, plural, n
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        message = Message(str(self), self.template, dict(self.values))
        return type(self), (message, self.singular, self.plural, self.n)

    def format(self, *args: Any, **values: Any) -> Counted:
        return Counted(super().format(**values), self.singular, self.plural, self.n)

    def _text(self) -> str:
        return lookup_counted(self.singular, self.plural, self.n)


class _Joined(Message):
    """A translatable message of several texts with a separator between them."""

    __slots__ = ()

    def translated(self) -> str:
        return lookup(self.template).join(map(translated, self.values.values()))


def _(template: str, /, **values: Any) -> str:
    """Return a translatable :class:`Message` of an English template and its values.

    Args:
        template: a literal, which the catalogues are extracted by. Without values its
            braces are characters like any other. A placeholder is a name, with ``!r``
            or a format where Python's own formatting has them.
        values: by name, what stands in the braces. They are formatted at once, so that
            no object is kept alive. What is not there yet, ``format`` adds.

    >>> _("{name!r} has {n:,} rows", name="a.csv", n=1200)
    "'a.csv' has 1,200 rows"
    """
    if not values:
        return Message(template, template, values)
    return _formatted(template, values, {})


def ngettext(singular: str, plural: str, /, n: int, **values: Any) -> Counted:
    """Return a translatable message in the grammatical number of a count.

    Args:
        singular: the template where the count is 1, a literal as that of :func:`_`.
        plural: the template of every other count. English has these two; a catalogue
            has as many as its language.
        n: the count, which the templates name ``{n}``.
        values: by name, what stands in the other braces.

    >>> [ngettext("{n:,} row", "{n:,} rows", n=n) for n in (1, 1200)]
    ['1 row', '1,200 rows']
    """
    message = _formatted(singular if n == 1 else plural, {"n": n, **values}, {})
    return Counted(message, singular, plural, n)


def _formatted(
    template: str, values: Mapping[str, Any], formatted: Mapping[str, str]
) -> Message:
    """Return a translatable message of a template, values and formatted texts."""
    parts: list[str] = []
    texts: dict[str, str] = {}
    for literal, name, spec, conversion in _formatter().parse(template):
        parts.append(literal)
        if name is None:
            continue
        if name in values:
            value = values[name]
            if conversion:
                value = _formatter().convert_field(value, conversion)
            text = format(value, spec or "")
            texts[name] = value if isinstance(value, Message) else text
        elif name in formatted:
            text = texts[name] = formatted[name]
        else:
            text = f"{{{name}}}"  # a later ``format`` has it
        parts.append(text)
    return Message("".join(parts), template, texts)


def joined(separator: str, texts: Iterable[str]) -> str:
    """Return texts joined as one :class:`Message`, with a translatable separator."""
    parts = list(texts)
    values = {str(i): part for i, part in enumerate(parts)}
    return _Joined(separator.join(parts), separator, values)


def translated(text: str) -> str:
    """Return a message in the current language; a plain string unchanged."""
    return text.translated() if isinstance(text, Message) else text


def tr(template: str, /, **values: Any) -> str:
    """Return a message template with its values in the current language."""
    return translated(
        template if isinstance(template, Message) else _(template, **values)
    )


def say(template: str, /, *, end: Any = "\n", **values: Any) -> None:
    """Print a message template with its values, in the current language.

    >>> say("layer {k} of {depth}", k=2, depth=3)
    layer 2 of 3
    """
    print(tr(template, **values), end=end)


def _padded(text: str, spec: str) -> str:
    """Return a translated text with the alignment and width of a format."""
    align = next((mark for mark in "<>^" if mark in spec), "<")
    room = int(spec.lstrip("<>^").partition(".")[0] or 0) if spec else 0
    room += len(text) - width(text)  # what ``format`` counts are characters
    return format(text, f"{align}{max(room, 0)}")

"""The exception and warning classes of Chainrule.

Every message answers four questions: what was asked, what was expected, what
came, and how to fix it. Code raises with keywords, so that none is forgotten:

>>> raise ShapeError(
...     "Linear '0' cannot multiply its input.",
...     expected="last dimension 784",
...     got="(32, 783)",
...     fix="feed rows of length 784, or build nn.Linear(783, 128)",
... )
Traceback (most recent call last):
    ...
chainrule.errors.ShapeError: Linear '0' cannot multiply its input.
  expected: last dimension 784
  got:      (32, 783)
  fix:      feed rows of length 784, or build nn.Linear(783, 128)
"""

import contextlib
import os
import re
import sys
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from chainrule.text import _, joined, tr, translated
from chainrule.text.catalogue import current
from chainrule.text.numbers import width

__all__ = [
    "ArgumentError",
    "AxisError",
    "CallError",
    "ChainruleError",
    "ChainruleWarning",
    "CheckpointError",
    "DTypeError",
    "DataError",
    "EngineError",
    "ExportError",
    "GradientError",
    "GraphError",
    "MissingAttributeError",
    "NonFiniteError",
    "ParseError",
    "SaveError",
    "ShapeError",
]

#: Characters of one answer that a message shows; the error's attributes have them all.
LONGEST_ANSWER = 900

#: What a terminal obeys instead of showing it, or shows in another order than it is
#: read: control characters, bidirectional marks, line separators, halves of characters.
_HIDDEN = (
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)

_PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")
#: Where no line is the user's: this package, and what runs its decorated functions.
_OURS = (_PACKAGE, contextlib.__file__, "<string>")


class _Answers(BaseException):
    """Base class of errors with four texts: what is wrong, expected, got and a fix."""

    what: str
    expected: str | None
    got: str | None
    fix: str | None

    def __init__(
        self,
        what: str,
        *,
        expected: str | None = None,
        got: str | None = None,
        fix: str | None = None,
    ) -> None:
        self.what, self.expected, self.got, self.fix = what, expected, got, fix
        super().__init__(what)

    def __str__(self) -> str:
        return _below_each_other(
            self.what,
            {"expected:": self.expected, "got:": self.got, "fix:": self.fix},
        )

    def translated(self) -> str:
        """Return the error message in the current language."""
        answers = (self.expected, self.got, self.fix)
        shown = [None if answer is None else translated(answer) for answer in answers]
        labels = (tr("expected:"), tr("got:"), tr("fix:"))
        return _below_each_other(translated(self.what), dict(zip(labels, shown)))

    def _render_traceback_(self) -> list[str]:
        """Return the traceback for a notebook, its message in the current language."""
        import traceback

        lines = traceback.format_exception(self)
        if current() != "en":
            own = traceback.format_exception_only(self)
            name = own[0].partition(":")[0]
            lines[-len(own) :] = [f"{name}: {self.translated()}"]
        return lines

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)


def _restored(
    kind: type[_Answers], args: tuple[Any, ...], attributes: dict[str, Any]
) -> _Answers:
    """Restore an unpickled or copied error without its constructor."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class ChainruleError(_Answers, Exception):
    """The base class of every error that Chainrule raises on purpose.

    Args:
        what: what was asked and what went wrong, one sentence.
        expected: what would have been right.
        got: what came instead.
        fix: what the user can do about it, with code where code helps.

    All four are attributes, None where they were not given. ``str(error)`` is in
    English, ``error.translated()`` in the language in use; both leave out the middle of
    an answer of more than 900 characters.
    """


class ShapeError(ChainruleError, ValueError):
    """Error for shapes that do not match."""


class AxisError(ShapeError, IndexError):
    """Error for an axis of a tensor that does not exist."""


class DTypeError(ChainruleError, TypeError):
    """Error for a dtype that an operation does not support."""


class ArgumentError(ChainruleError, ValueError):
    """Error for an invalid argument (such as a label of class 12 among 10)."""


class ExportError(ChainruleError, BufferError):
    """Error for memory that cannot be exported as another library requests."""


class CallError(ChainruleError, TypeError):
    """Error for unknown or missing arguments of a function."""


class GraphError(ChainruleError):
    """Error for a graph that breaks a rule of the intermediate representation."""


class ParseError(GraphError, ValueError):
    """Error for text that is not a graph, or no description of a network."""


class GradientError(ChainruleError):
    """Error for a derivative that does not exist or was not recorded."""


class EngineError(ChainruleError):
    """Error for an unavailable engine, or a primitive that it does not support."""


class NonFiniteError(ChainruleError, ArithmeticError):
    """Error for NaN or infinity in the data, in a graph value, or in the loss."""


class DataError(ChainruleError, ValueError):
    """Error for a data file that is missing, truncated, altered or ill-formatted."""


class CheckpointError(ChainruleError, ValueError):
    """Error for a checkpoint that is unreadable or belongs to another model."""


class SaveError(ChainruleError, OSError):
    """Error for a file that cannot be written (no space, no permission)."""


class MissingAttributeError(AttributeError):
    """Error for an unknown attribute of a module or an object, with a suggestion.

    It is Python's own error with a hint, and none of the family: ``hasattr`` meets it
    every day, and in a program it is a slip of the code, not bad input.

    Args:
        what: what has no attribute of which name.
        hint: what was probably meant, or where it is.
        fix: what does here what such a name does elsewhere.
        name, obj: as Python's AttributeError has them.

    >>> import chainrule as cr
    >>> cr.nn.Lineer
    Traceback (most recent call last):
        ...
    chainrule.errors.MissingAttributeError: module 'chainrule.nn' has no attribute \
'Lineer'; did you mean nn.Linear?
    """

    def __init__(
        self,
        what: str,
        hint: str = "",
        *,
        fix: str = "",
        name: str = "",
        obj: object = None,
    ) -> None:
        parts = [part for part in (what, hint) if part]
        if fix:
            parts.append(_("here: {fix}", fix=fix))
        super().__init__(joined("; ", parts), name=name, obj=obj)
        self.what, self.hint, self.fix = what, hint, fix

    def translated(self) -> str:
        """Return the error message in the current language."""
        return translated(self.args[0])


class ChainruleWarning(_Answers, UserWarning):
    """A warning about valid but probably unintended use, with a fix."""


def warn(
    what: str,
    *,
    expected: str | None = None,
    got: str | None = None,
    fix: str | None = None,
) -> None:
    """Issue a warning with what is wrong, expected, got and a fix.

    Args:
        what: what was asked and why it is doubtful, one sentence.
        expected: what is usual.
        got: what came instead.
        fix: what the user can do about it, with code where code helps.
    """
    warn_of_line(ChainruleWarning(what, expected=expected, got=got, fix=fix))


def warn_of_line(warning: Warning) -> None:
    """Issue a warning at the nearest source line in user code."""
    level, frame, ours = 1, sys._getframe(), _OURS
    while frame.f_back is not None and frame.f_code.co_filename.startswith(ours):
        level, frame = level + 1, frame.f_back
    warnings.warn(warning, stacklevel=level)


def visible(text: str) -> str:
    """Return untrusted text as one line, with control characters escaped.

    What a terminal would obey is written as an escape: names of files, columns and
    classes can neither move the cursor nor turn a line around.

    >>> print(visible("cat\\x1b[2J\\n"))
    cat\\x1b[2J\\n
    """
    if not re.search(_HIDDEN, text):
        return text  # a message stays one
    return re.sub(_HIDDEN, lambda match: ascii(match[0])[1:-1], text)


def visible_lines(text: str) -> str:
    """Return untrusted text of several lines, with control characters escaped."""
    return "\n".join(map(visible, text.split("\n")))


def nearest(name: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """Return the known name most similar to a misspelt name, or None.

    Args:
        name: what was written.
        known: what there is.
        cutoff: how alike they must be, 0 … 1: where a name of another library is as
            likely as a slip, more than half.

    >>> nearest("learning_rat", ["epochs", "learning_rate"])
    'learning_rate'
    """
    folded = {other.lower(): other for other in known}
    import difflib

    matches = difflib.get_close_matches(str(name).lower(), folded, n=1, cutoff=cutoff)
    return folded[matches[0]] if matches else None


def unknown_name(
    module: str, name: str, known: Iterable[str], fixes: Mapping[str, str] | None = None
) -> MissingAttributeError:
    """Return the error for an unknown name of a module, with the nearest one.

    Args:
        module: its name.
        name: what it does not have.
        known: what it has.
        fixes: what to write instead of names of other libraries.

    >>> unknown_name("chainrule.optim", "Adan", ["Adam"])
    MissingAttributeError("module 'chainrule.optim' has no attribute 'Adan'; did you \
mean optim.Adam?")
    """
    fix, hint = (fixes or {}).get(name, ""), ""
    near = None if fix or name.startswith("_") else nearest(name, known, 0.75)
    if near:
        short = module.removeprefix("chainrule.")
        hint = _("did you mean {module}.{near}?", module=short, near=near)
    return MissingAttributeError(
        _("module {module!r} has no attribute {name!r}", module=module, name=name),
        hint,
        fix=fix,
        name=name,
    )


def message_of(error: BaseException) -> str:
    """Return an exception's text, in the current language if Chainrule raised it."""
    ours = isinstance(error, _Answers | MissingAttributeError)
    return error.translated() if ours else str(error)


def _below_each_other(what: str, answers: Mapping[str, str | None]) -> str:
    """Return an error's text: what is wrong, and the labelled lines below."""
    room = max(map(width, answers))
    lines = [_shortened(what, room)]
    for label, answer in answers.items():
        if answer is not None:
            blanks = " " * (room - width(label) + 1)
            lines.append(f"  {label}{blanks}{_shortened(answer, room)}")
    return "\n".join(lines)


def _shortened(answer: str, room: int) -> str:
    """Shorten a line of an error's text in its middle if too long.

    Its own lines stand below each other, and none of them looks like another answer.
    """
    text = visible_lines(answer).replace("\n", "\n" + " " * (room + 3))
    if len(text) <= LONGEST_ANSWER:
        return text
    end = LONGEST_ANSWER // 3
    return f"{text[: LONGEST_ANSWER - end - 3]} … {text[-end:]}"

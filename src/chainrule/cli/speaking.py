"""Translation of the command line: ``--lang``, help, and click's own messages.

The language is looked for before anything else: whatever stands in front of ``--lang``,
``--help`` or a slip, is answered in it.

Docstrings and ``help=`` are English; what :func:`texts` finds in them is translated
where it is shown. Click looks its own words up by :mod:`gettext`.
"""

from __future__ import annotations

import contextlib
import functools
import gettext
import inspect
import itertools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from chainrule.text import tr
from chainrule.text.catalogue import DOMAIN, FOLDER, current
from chainrule.text.languages import speak
from chainrule.text.numbers import width
from chainrule.text.tables import wrapped

#: What click says to somebody who has mistyped something, or asks for help; two texts
#: are one for a single thing and one for several.
CLICK: tuple[str | tuple[str, str], ...] = (
    "Usage:",
    "[OPTIONS]",
    "COMMAND [ARGS]...",
    "Options",
    "Commands",
    "Positional arguments",
    "Show this message and exit.",
    "Show the version and exit.",
    "required",
    "default: {default}",
    "Error: {message}",
    "Try '{command} {option}' for help.",
    ("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)"),
    "No such option {name!r}.",
    "No such option: {name}",
    "Missing command.",
    "Missing argument",
    "Missing option",
    "Missing parameter",
    "Invalid value: {message}",
    "Invalid value for {param_hint}: {message}",
    (
        "Got unexpected extra argument ({args})",
        "Got unexpected extra arguments ({args})",
    ),
    "Option {name!r} does not take a value.",
    (
        "Option {name!r} requires an argument.",
        "Option {name!r} requires {nargs} arguments.",
    ),
    ("{value!r} is not {choice}.", "{value!r} is not one of {choices}."),
    "{value!r} is not a valid {number_type}.",
    "{value} is not in the range {range}.",
    "{name} {filename!r} does not exist.",
    "{name} {filename!r} is a file.",
    "{name} {filename!r} is a directory.",
    "file",
    "directory",
    "path",
)
#: What stands behind an option's help: ``[default: 0]``.
_EXTRA = re.compile(r"  \[([^]]*)\]")


@contextlib.contextmanager
def clicks_words(name: str | None = None) -> Iterator[None]:
    """Translate click's own messages within a block, by this package's catalogue.

    Args:
        name: the language; None for the one in use.

    It asks :mod:`gettext` for them, whose settings are those of the process; programs
    that are started within the block speak the same language.
    """
    domain, before = gettext.textdomain(), os.environ.get("LANGUAGE")
    gettext.bindtextdomain(DOMAIN, FOLDER)
    gettext.textdomain(DOMAIN)
    os.environ["LANGUAGE"] = (name or current()).replace("-", "_")
    try:
        yield
    finally:
        gettext.textdomain(domain)
        os.environ.pop("LANGUAGE")
        if before is not None:
            os.environ["LANGUAGE"] = before


def use_requested_language(words: Sequence[str]) -> None:
    """Set the language that ``--lang`` on a command line requests.

    Raises:
        ArgumentError: for one that is not known.
    """
    before = list(itertools.takewhile(lambda word: word != "--", words))
    for word, after in zip(before, [*before[1:], None]):
        name, mark, value = word.partition("=")
        language = value if mark else after
        if name == "--lang" and language is not None:
            speak(language)


class Option(click.Option):
    """A command-line option whose value type is shown in the current language."""

    @property
    def kind(self) -> str:
        """The English name of a command-line option's value type, or empty."""
        plain = self.is_flag or isinstance(self.type, click.Choice)
        return self.metavar or ("" if plain else self.type.name.upper())

    def make_metavar(self, *args: Any, **context: Any) -> str:
        """Return the translated placeholder of a command-line option's value."""
        return tr(self.kind) or super().make_metavar(*args, **context)


class Argument(click.Argument):
    """A positional argument whose placeholder is shown in the current language."""

    @property
    def kind(self) -> str:
        """The English placeholder of a positional argument, or empty."""
        return self.metavar or ""

    def make_metavar(self, *args: Any, **context: Any) -> str:
        """Return the translated placeholder of a positional argument."""
        return tr(self.kind) or super().make_metavar(*args, **context)


#: ``click.option`` for such an option.
option = functools.partial(click.option, cls=Option)


def language_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--lang`` to a command; :func:`use_requested_language` reads its value."""
    return option(
        "--lang",
        metavar="LANGUAGE",
        expose_value=False,
        help="Language, en or zh-TW.  [default: that of the locale]",
    )(function)


# -- help ------------------------------------------------------------------------------


class Formatter(click.HelpFormatter):
    """A formatter of command help, translated, with double-width Chinese."""

    def write_heading(self, heading: str) -> None:
        """Write a heading in a command's help, with the colon of its language."""
        self.write(f"{'':>{self.current_indent}}{heading}{tr(': ').rstrip()}\n")

    def write_text(self, text: str) -> None:
        """Write paragraphs of a command's help wrapped, and examples line by line."""
        if current() == "en":
            return super().write_text(text)
        indent = " " * self.current_indent
        blocks = [
            "\n".join(f"{indent}{line}" for line in self._lines(block))
            for block in _blocks(text)
        ]
        self.write("\n\n".join(blocks) + "\n")

    def _lines(self, block: Sequence[str]) -> list[str]:
        if len(block) == 1:
            return wrapped(tr(block[0]), self.width - self.current_indent)
        return [_example(line) for line in block]

    def write_dl(self, rows: Any, col_max: int = 30, col_spacing: int = 2) -> None:
        """Write a list of options or commands with their descriptions, in help."""
        if current() == "en":
            return super().write_dl(rows, col_max, col_spacing)
        rows, indent = list(rows), " " * self.current_indent
        column = min(max(width(first) for first, _ in rows), col_max) + col_spacing
        for first, second in rows:
            lines = wrapped(_help(second), max(self.width - column - 2, 10))
            if width(first) > column - col_spacing:
                self.write(f"{indent}{first}\n")
                first = ""
            for line in lines:
                room = " " * (column - width(first))
                self.write(f"{indent}{first}{room}{line}".rstrip() + "\n")
                first = ""


class Context(click.Context):
    """A click context whose help is translated."""

    formatter_class = Formatter

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.help_option_names = ["-h", "--help"]  # of every command, run by itself too


class Command(click.Command):
    """A click command whose help is translated."""

    context_class = Context

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return a command's ``--help`` option, with its untranslated English help."""
        with clicks_words("en"):
            return super().get_help_option(ctx)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return the translated usage pieces after a command's name."""
        return list(map(tr, super().collect_usage_pieces(ctx)))

    def get_short_help_str(self, limit: int = 45) -> str:
        """Return a command's translated one-line help."""
        return tr(super().get_short_help_str(limit if current() == "en" else 1000))


class Group(Command, click.Group):
    """A click command group whose help is translated."""

    command_class = Command


def texts(group: click.Group) -> Iterator[tuple[str, str]]:
    """Yield all help texts of the commands to translate, with their modules."""
    for command in (group, *group.commands.values()):
        place = inspect.unwrap(command.callback or texts).__module__
        for text in (command.help, command.epilog):
            for block in _blocks(text or ""):
                yield from ((line, place) for line in _english(block))
        yield click.Command.get_short_help_str(command, 1000), place
        for param in command.params:
            help = getattr(param, "help", None) or ""
            extra = _EXTRA.search(help)
            yield _EXTRA.sub("", help), place
            yield getattr(param, "kind", ""), place
            if extra and " " in (default := extra[1].removeprefix("default: ")):
                yield default, place


def _blocks(text: str) -> Iterator[list[str]]:
    """Yield a help text's paragraphs as single lines, and examples with their lines."""
    for block in inspect.cleandoc(text).split("\n\n"):
        lines = [line for line in block.split("\n") if line.strip("\b ")]
        yield lines if block.startswith("\b") else [" ".join(lines)]


def _english(block: Sequence[str]) -> Iterator[str]:
    if len(block) == 1:
        yield from block
        return
    for line in block:
        code, mark, remark = line.partition("  # ")
        yield from ((remark.strip(),) if mark else () if code[0] == " " else (code,))


def _example(line: str) -> str:
    """Return a translated line of a command's examples: heading, or code."""
    code, mark, remark = line.partition("  # ")
    return f"{code}{mark}{tr(remark.strip())}" if mark else tr(line)


def _help(text: str) -> str:
    """Return a command-line option's translated help, with remarks in brackets."""
    parts = [
        tr("default: {default}", default=tr(part.removeprefix("default: ")))
        if part.startswith("default: ")
        else tr(part)
        for extra in _EXTRA.findall(text)
        for part in extra.split("; ")
    ]
    behind = f"  [{tr('; ').join(parts)}]" if parts else ""
    return tr(_EXTRA.sub("", text)) + behind

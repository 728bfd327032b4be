"""Code shared by all commands of the command line: options, errors, output.

A command is one file of this package: a function that returns its exit code, under
``@cli.command(…)`` and ``@command``. Results go to standard output, progress and
messages to standard error. Exit codes: 0 done, 1 failed while running, 2 bad input,
130 interrupted.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from chainrule import errors
from chainrule.cli import speaking
from chainrule.data import progress
from chainrule.text import _, numbers, tr, translated
from chainrule.text.languages import language
from chainrule.text.safe_stderr import Outlet, occupy
from chainrule.util.processes import is_writer
from chainrule.version import __version__

STARTED = time.perf_counter()
#: Errors of a run that was asked for rightly; all others of the family are bad input.
AT_RUN_TIME = (
    errors.NonFiniteError,
    errors.SaveError,
    errors.GraphError,
    errors.GradientError,
)


class _Devices(click.ParamType):
    """A number of devices on the command line, or ``all``."""

    name = "N|all"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        return value if value == "all" else click.IntRange(1).convert(value, param, ctx)


#: The type of the option ``--devices``.
DEVICES = _Devices()


class _Group(speaking.Group):
    """A command group that suggests the nearest name for an unknown command."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        known = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in known:
            near = errors.nearest(args[0], known)
            hint = tr(" Did you mean '{near}'?", near=near) if near else ""
            ctx.fail(tr("There is no command '{name}'.", name=args[0]) + hint)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Group,
    context_settings={"max_content_width": 100},
    epilog="Example: chainrule train mnist --epochs 3",
)
@click.version_option(__version__, message="chainrule %(version)s")
@speaking.language_option
def cli() -> None:
    """Chainrule: a glass-box deep learning framework."""


def command(function: Callable[..., int]) -> Callable[..., int]:
    """Decorate a command: ``--json``, ``--lang``, ``--debug``; errors as messages."""

    @speaking.language_option
    @speaking.option(
        "--json", "as_json", is_flag=True, help="One JSON object on stdout."
    )
    @speaking.option("--debug", is_flag=True, help="Show the traceback of an error.")
    @functools.wraps(function)
    def run(*args: Any, debug: bool, **kwargs: Any) -> int:
        try:
            with _warnings_as_messages(), progress(_Reading()):
                return function(*args, **kwargs)
        except click.ClickException:
            raise
        except KeyboardInterrupt as interrupt:
            say(
                tr("Interrupted: {where}", where=interrupt)
                if interrupt.args
                else tr("Interrupted.")
            )
            return 130
        except errors.ChainruleError as error:
            if debug:
                traceback.print_exc()
            else:
                say(tr("Error: {message}", message=error.translated()))
            return _code(error)
        except BrokenPipeError:  # chainrule predict … | head
            return _unread()
        except MemoryError:
            what = errors.ChainruleError(
                _("There is not enough memory for this."),
                expected=_("data and a network that fit into memory"),
                got=_("no memory left"),
                fix=_("use fewer or smaller samples (--limit), or a smaller network"),
            )
            say(tr("Error: {message}", message=what.translated()))
            return 1
        except Exception as error:  # noqa: BLE001 - shown
            if debug:
                traceback.print_exc()
            else:
                name = type(error).__name__
                say(tr("Internal error: {name}: {error}", name=name, error=error))
                for note in getattr(error, "__notes__", ()):
                    say(f"  {translated(note)}")
                say(tr("  fix:      run it with --debug, and report what it shows"))
            return 1

    return run


def _code(error: errors.ChainruleError) -> int:
    """Return a command's exit code for an error: 1 for a failed run, else 2."""
    late = isinstance(error, AT_RUN_TIME) and not isinstance(error, errors.ParseError)
    return 1 if late else 2


def say(text: str) -> None:
    """Print a command's message on standard error."""
    Outlet().write(f"{errors.visible_lines(text)}\n")


def tell(result: dict[str, Any], as_json: bool, text: str) -> None:
    """Print a command's result on standard output: a JSON object, or ``text``.

    Of several processes that run a command together the first prints it.
    """
    if not is_writer():
        return
    if as_json:
        click.echo(json.dumps(numbers.plain(result), allow_nan=False))
    else:
        click.echo(errors.visible_lines(text))


def document_format(*more: str, help: str = "What to print.") -> Any:
    """Return the option ``--format`` of a command that prints a document."""
    kinds = click.Choice(("text", *_WAYS, *more))
    how: dict[str, Any] = {"default": "text", "show_default": True, "help": help}
    return speaking.option("--format", "form", type=kinds, **how)


#: The methods that write a document, but for ``text``.
_WAYS = {"md": "to_markdown", "latex": "to_latex", "html": "to_html"}


def written(document: Any, form: str) -> str:
    """Return a document in one of the formats of :func:`document_format`."""
    method = "text" if form == "text" else _WAYS.get(form, f"to_{form}")
    return getattr(document, method)()


class _Reading:
    """A progress display for reading a large file, updated every few seconds."""

    #: Bytes of a file that is announced at once, and seconds between two signs of life.
    LARGE, PAUSE = 20 << 20, 3.0

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, path: Path, done: int, size: int) -> None:
        now = time.monotonic()
        if not done and size >= self.LARGE:
            mib = f"{size / 2**20:,.0f}"
            say(tr("Reading {path} ({mib} MiB)", path=path, mib=mib))
        elif 0 < done < size and now - self._last >= self.PAUSE:
            say(tr("Reading {path}: {share}", path=path, share=f"{done / size:.0%}"))
        else:
            return
        self._last = now


class Results(io.TextIOBase):
    """Standard output that converts write errors to a SaveError.

    Args:
        stream: standard output.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:
        """The encoding of the standard output stream."""
        return self._stream.encoding

    def isatty(self) -> bool:
        """Return whether the standard output stream is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the file descriptor of the standard output stream."""
        return self._stream.fileno()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Write text to standard output; report errors as SaveError."""
        with self._refused():
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        """Flush standard output; report errors as SaveError."""
        with self._refused():
            self._stream.flush()

    @contextlib.contextmanager
    def _refused(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:  # a full disk
            sys.stdout = None  # nothing more is to be flushed
            raise errors.SaveError(
                _("The result cannot be written to standard output."),
                expected=_("room for it"),
                got=error.strerror or str(error),
                fix=_(
                    "free some space, or send it to another place: > FILE; "
                    "what the command has left in files is whole"
                ),
            ) from error


def _unread() -> int:
    """Handle a closed standard output: discard it, and return exit code 1."""
    sys.stdout = None
    return 1


@contextlib.contextmanager
def _warnings_as_messages() -> Iterator[None]:
    """Show Chainrule's warnings as messages, without a source line, within a block."""
    usual = warnings.showwarning

    def show(message: Any, category: Any, *rest: Any, **more: Any) -> None:
        if not is_writer():
            return
        if issubclass(category, errors.ChainruleWarning):
            say(tr("Warning: {message}", message=errors.message_of(message)))
        else:
            usual(message, category, *rest, **more)

    with warnings.catch_warnings():
        warnings.simplefilter("default", errors.ChainruleWarning)
        warnings.showwarning = show
        yield


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line of Chainrule and exit."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # of the imports
        signal.signal(signal.SIGINT, signal.default_int_handler)
    occupy()
    _speak_utf8()
    sys.stderr = Outlet(sys.stderr or io.StringIO())
    if sys.stdout is not None:
        sys.stdout = Results(sys.stdout)
    sys.exit(run(args))


def run(args: Sequence[str] | None = None) -> int:
    """Run the command line of Chainrule; return the exit code."""
    args = sys.argv[1:] if args is None else args
    with language(None):
        return _run(args)


def _run(args: Sequence[str]) -> int:
    try:
        speaking.use_requested_language(args)
        with speaking.clicks_words():
            return _invoke(args)
    except errors.ChainruleError as error:  # of standard output, or of --lang
        say(tr("Error: {message}", message=error.translated()))
        return _code(error)


def _invoke(args: Sequence[str]) -> int:
    try:
        code = cli.main(args, prog_name="chainrule", standalone_mode=False) or 0
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        say(shown.getvalue().rstrip("\n"))
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say(tr("Interrupted."))
        return 130
    except BrokenPipeError:  # chainrule --help | true
        return _unread()


def _speak_utf8() -> None:
    """Set standard output and error to UTF-8, whatever the system's encoding."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            if stream.isatty():
                reconfigure(errors="replace")
            else:
                # Names of files that are in another encoding stay as they are.
                reconfigure(encoding="utf-8", errors="surrogateescape")

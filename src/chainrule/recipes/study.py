"""The context of a recipe run: settings, report, pictures and stored stages.

A recipe is a function of a :class:`Study`. With a directory, whatever takes long is
kept there stage by stage, so that a recipe that was killed is simply run again: stages
that are over are read, the one that was cut short goes on, bit for bit.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chainrule import viz
from chainrule.data.files import checked_path
from chainrule.errors import ArgumentError, CheckpointError
from chainrule.recipes.references import Reference, held
from chainrule.text import _, numbers, translated
from chainrule.text.catalogue import current
from chainrule.text.languages import language
from chainrule.training import Loop, Trainer, checkpoint
from chainrule.util import atomic_files
from chainrule.version import __version__

#: What a study's directory holds.
SETTINGS, RESULTS, REPORT = "study.json", "metrics.json", "report.html"
#: No such file is larger.
_AT_MOST = 1 << 28


@dataclass(frozen=True)
class _Block:
    """A piece of the report: printed text, or a picture (PNG, GIF) with its title."""

    text: str = ""
    title: str = ""
    png: bytes = b""


class _Tee(io.TextIOBase):
    """A text stream that prints and also records the text."""

    def __init__(self, stream: Any, kept: list[str]) -> None:
        self._stream, self._kept = stream, kept

    def write(self, text: str) -> int:
        self._kept.append(text)
        self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()


class Study:
    """The context in which a recipe runs: settings, stages, pictures and report.

    Args:
        name: of the recipe.
        seed: of everything that is drawn.
        engine, threads: what networks compute with, as for :class:`Trainer`.
        quick: a minute's version, which shows everything and reaches no reference.
        out: the directory for pictures, report and whatever has to outlive a kill;
            None writes nothing.
        checkpoint_every: seconds between checkpoints within an epoch.
        options: the recipe's own settings, kept for :meth:`restore`.

    Attributes:
        summary: what the recipe is, in a line.
        files: what it has written, by name within ``out``.
        pictures: what it has drawn, by title.
    """

    def __init__(
        self,
        name: str = "study",
        *,
        seed: int = 0,
        engine: str = "auto",
        threads: int | None = None,
        quick: bool = False,
        out: str | Path | None = None,
        checkpoint_every: float = 60.0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self.seed, self.engine, self.threads = name, seed, engine, threads
        self.quick, self.checkpoint_every = quick, checkpoint_every
        self.out = None if out is None else Path(out)
        self.options = dict(options or {})
        self.summary = ""
        self.files: list[str] = []
        self.pictures: dict[str, bytes] = {}
        self._blocks: list[_Block] = []
        self._said: list[str] = []
        self._names: set[str] = set()
        self._drawn_in: str | None = None
        self._begun = False  # whether its settings are new
        self._made: list[Path] = []  # directories that are new, the innermost first
        self._began = time.perf_counter()

    @property
    def how(self) -> dict[str, Any]:
        """The engine arguments of every Trainer and compiled program of the study."""
        return {"engine": self.engine, "threads": self.threads}

    # -- what it needs -----------------------------------------------------------------

    def package(self, module: str, install: str) -> Any:
        """Import and return a module of an optional package.

        Args:
            module: its name.
            install: what pip installs for it, such as ``"chainrule[rules]"``.

        Raises:
            ArgumentError: it is not installed.
        """
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise self._missing(module, install) from error

    def folder(self, module: str, install: str) -> Path:
        """Return the folder of an installed package's data, without importing it.

        Args:
            module, install: as for :meth:`package`.

        Raises:
            ArgumentError: it is not installed.
        """
        name, place, found = "", None, None
        for part in module.split("."):  # importlib.util.find_spec imports the parents
            name = f"{name}.{part}".lstrip(".")
            specs = (finder.find_spec(name, place) for finder in sys.meta_path)
            found = next(filter(None, specs), None)
            if found is None:
                raise self._missing(module, install)
            place = found.submodule_search_locations
        if found is None or found.origin is None:
            raise self._missing(module, install)
        return Path(found.origin).parent

    def _missing(self, module: str, install: str) -> ArgumentError:
        words = [f"'{w}'" if "[" in w else w for w in install.split()]
        return ArgumentError(
            _("The recipe {name!r} needs {module}.", name=self.name, module=module),
            expected=_("{module} installed", module=module),
            got=_("no module {module}", module=module),
            fix=_("pip install {words}", words=" ".join(words)),
        )

    def given_folder(self, path: str, what: str) -> Path:
        """Check that a user's folder exists, and return its path.

        Args:
            path: as it was given.
            what: should be in it, such as "folder of recordings".

        Raises:
            DataError: there is none.
        """
        return checked_path(path, what, folder=True)

    # -- its directory -----------------------------------------------------------------

    def _settings(self) -> dict[str, Any]:
        kept = {"seed": self.seed, "engine": self.engine, "quick": self.quick}
        return {"recipe": self.name, **kept, "options": self.options}

    def begin(self, *, again: bool = False) -> None:
        """Reserve the directory for the study, before any computation.

        Args:
            again: whether it may hold this very study already, which then goes on.

        Raises:
            ArgumentError: it holds a study.
            SaveError: it cannot be written.
        """
        if self.out is None:
            return
        file, mine = self.out / SETTINGS, self._settings()
        if file.exists():
            if again and _read(file) == mine:
                return
            raise ArgumentError(
                _("{out} holds a run already.", out=self.out),
                expected=_("a new or empty directory"),
                got=f"{SETTINGS}: {_read(file)!r:.200}",
                fix=_(
                    "go on with it: --resume {out}; or choose another --out",
                    out=self.out,
                ),
            )
        places = self.out, *self.out.parents
        self._begun, self._made = True, [p for p in places if not p.exists()]
        atomic_files.make_directory(self.out)
        self._write(SETTINGS, _json(mine).encode())

    def leave_nothing(self) -> None:
        """Delete the files that :meth:`begin` wrote, if no stage has begun.

        So that what a refused run was given wrong does not stand in its directory.
        """
        if self.out is None or self._names or not self._begun:
            return
        for name in (*self.files, SETTINGS):
            (self.out / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something else is in it
            for place in self._made:
                place.rmdir()

    @classmethod
    def restore(cls, out: str | Path, **how: Any) -> Study:
        """Restore the study that was begun in a directory, to resume it.

        Args:
            out: the directory.
            how: ``threads`` and ``checkpoint_every``, which change no result.

        Raises:
            CheckpointError: there is none.
        """
        from chainrule.recipes.settings import checked

        file = Path(out) / SETTINGS
        kept = _read(file)
        try:
            kept = checked(kept)
        except ValueError as error:
            raise _strange(file, error) from error
        return cls(kept.pop("recipe"), out=out, **kept, **how)

    def _place(self, name: str) -> Path | None:
        """Return the path of a stage's files; refuse a repeated stage name."""
        if name in self._names:
            raise ArgumentError(
                _("Two stages of this study are called {name!r}.", name=name),
                expected=_("a name of its own for each"),
                got=_("{name!r} again", name=name),
            )
        self._names.add(name)
        return None if self.out is None else self.out / name

    def _write(self, name: str, content: bytes) -> None:
        assert self.out is not None
        atomic_files.replace(self.out / name, content, _("file {name}", name=name))
        if name != SETTINGS:
            self.files.append(name)

    # -- stages ------------------------------------------------------------------------

    def fit(self, name: str, trainer: Trainer, train: Any, **how: Any) -> Trainer:
        """Train a stage's network, resume it or load it; return the Trainer.

        Go on with the Trainer that is returned.

        The model and the loss stay the same objects.

        Args:
            name: of the stage.
            trainer: a new Trainer.
            train, how: as for :meth:`Trainer.fit`.
        """
        place = self._place(name)
        if place is None:
            trainer.fit(train, **how)
            return trainer
        how |= {"checkpoint": place, "checkpoint_every": self.checkpoint_every}
        if not (place / checkpoint.FILE).exists():
            trainer.fit(train, **how)
            return trainer
        parts = {"model": trainer.model, "loss": trainer.loss, "threads": self.threads}
        trainer = Trainer.load(place, metrics=trainer.metrics, **parts)
        if not trainer.finished:
            fixed = {"epochs", "batch_size", "drop_last", "validation_name"}
            trainer.resume(train, **{k: v for k, v in how.items() if k not in fixed})
        return trainer

    def loop(self, name: str, loop: Loop, **end: Any) -> Loop:
        """Run a stage's training loop, or resume it.

        Args:
            name: of the stage.
            loop: a new loop.
            end: ``epochs`` or ``updates``, as for :meth:`Loop.run`.
        """
        place = self._place(name)
        if place is None:
            loop.run(**end)
            return loop
        if (place / checkpoint.FILE).exists():
            loop.load(place)
        loop.run(**end, checkpoint=place, checkpoint_every=self.checkpoint_every)
        return loop

    def keep(self, name: str, make: Callable[..., Any], *args: Any, **how: Any) -> Any:
        """Return ``make(*args, **how)``, or its stored result from an earlier run.

        Args:
            name: of the stage.
            make: gives numbers, texts, lists and dictionaries of them. Tuples and
                arrays become lists.
            args, how: for it.
        """
        place = self._place(name)
        file = None if place is None else place.with_suffix(".json")
        if file is not None and file.exists():
            return _read(file)
        text = _json(numbers.plain(make(*args, **how)))
        if file is not None:
            self._write(file.name, text.encode())
        return json.loads(text)

    # -- what it shows -----------------------------------------------------------------

    def draw(
        self,
        name: str,
        how: Callable[..., Any],
        *args: Any,
        title: str,
        size: tuple[float, float] = (7.0, 3.6),
        **options: Any,
    ) -> None:
        """Draw a picture for the report, ``NAME.png``, with directory and matplotlib.

        Args:
            name: of the file.
            how: ``how(figure, *args, **options)`` draws into a figure of matplotlib;
                :mod:`chainrule.viz.gallery` has the usual ones.
            title: what is to be seen.
            size: width and height in inches.
        """
        if self.out is None or not viz.can_plot():
            return
        with self._legible():
            png = viz.gallery.picture(how, *args, size=size, what=title, **options)
        self._show(f"{name}.png", png, title)

    def film(
        self,
        name: str,
        how: Callable[..., Any],
        frames: Iterable[Any],
        *,
        title: str,
        size: tuple[float, float] = (4.0, 3.0),
        **options: Any,
    ) -> None:
        """Draw a film for the report, ``NAME.gif``, with directory and matplotlib.

        Args:
            name: of the file.
            how: ``how(figure, frame, **options)`` draws one frame.
            frames: what it is given, one after the other.
            title: what is to be seen.
            size: width and height in inches.
            options: ``seconds`` that each frame stays; what else ``how`` takes.
        """
        if self.out is None or not viz.can_plot():
            return
        with self._legible():
            gif = viz.gallery.film(how, frames, size=size, what=title, **options)
        self._show(f"{name}.gif", gif, title)

    @contextlib.contextmanager
    def _legible(self) -> Iterator[None]:
        """Draw in the current language, or another one if fonts lack characters."""
        if self._drawn_in is None:
            with viz.legible(_("pictures")):
                self._drawn_in = current()
        with language(self._drawn_in):
            yield

    def _show(self, name: str, picture: bytes, title: str) -> None:
        self._write(name, picture)
        self._text()
        told = translated(title)
        self.pictures[told] = picture
        self._blocks.append(_Block(title=told, png=picture))

    def _text(self) -> None:
        """Add the text printed since the last picture to the report."""
        text, self._said[:] = "".join(self._said).strip("\n"), []
        if text:
            self._blocks.append(_Block(text=text))

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Add text printed within a block to the report."""
        with contextlib.redirect_stdout(_Tee(sys.stdout, self._said)):  # type: ignore
            yield

    # -- its end -----------------------------------------------------------------------

    def finish(
        self, result: Mapping[str, Any], references: Sequence[Reference] = ()
    ) -> dict[str, Any]:
        """Write the results and the report; return the results as written.

        Args:
            result: what the recipe returned.
            references: what it is held against, but for a quick one.
        """
        self._text()
        told = numbers.plain({"result": dict(result)})
        figures = held(() if self.quick else references, told["result"])
        told = {
            **self._settings(),
            **told,
            "references": figures,
            "seconds": time.perf_counter() - self._began,
            "version": __version__,
        }
        if self.out is not None:
            self._write(RESULTS, (_json(told) + "\n").encode())
            if viz.can_plot():
                shown = [r | {"source": translated(r["source"])} for r in figures]
                viz.write_study(
                    self.out / REPORT,
                    title=self.name,
                    summary=translated(self.summary),
                    references=shown,
                    blocks=[asdict(block) for block in self._blocks],
                )
                self.files.append(REPORT)
        return told | {"out": None if self.out is None else str(self.out)}


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


def _read(file: Path) -> Any:
    """Read a JSON file of the study.

    Raises:
        CheckpointError: there is none, or it holds something else.
    """
    try:
        return json.loads(atomic_files.read_file(file, _AT_MOST))
    except (OSError, ValueError, RecursionError) as error:
        raise _strange(file, error) from error


def _strange(file: Path, found: Any) -> CheckpointError:
    return CheckpointError(
        _("{file} is no file of a recipe's run.", file=file),
        expected=_(
            "a directory that 'chainrule train RECIPE' left, with {SETTINGS}",
            SETTINGS=SETTINGS,
        ),
        got=f"{type(found).__name__}: {found}"[:200],
    )

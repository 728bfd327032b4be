"""The run of a recipe: its settings, stages, pictures and report."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import chainrule as cr
from chainrule.data.files import checked_path
from chainrule.engines.spread import Devices
from chainrule.recipes.experiment import packages
from chainrule.recipes.experiment.directory import (
    RESULTS,
    SETTINGS,
    Directory,
    as_json,
    no_run,
    read_json,
)
from chainrule.recipes.experiment.references import Reference, compared
from chainrule.recipes.experiment.report import Report
from chainrule.recipes.experiment.stages import Observer, Stages
from chainrule.text import ngettext, numbers, tr, translated
from chainrule.training import Trainer
from chainrule.util import processes
from chainrule.version import __version__


class Experiment:
    """The run of a recipe: settings, stages that can be resumed, and report.

    Without a directory a lesson just runs. With one, each stage is stored in it: a run
    that was killed is started again, reads the stages that are over, and continues the
    one that was cut short, bit for bit.

    Args:
        name: the name of the recipe.
        seed: the seed of everything that is drawn.
        engine, threads, devices: for networks and compiled functions, as for
            :class:`Trainer`.
        quick: run the lesson in a minute, below its references.
        out: the directory for stages, pictures and report; None writes nothing.
        checkpoint_every: seconds between two checkpoints of a stage.
        options: the recipe's own settings, which :meth:`restore` knows again.

    Attributes:
        directory: the :class:`~.directory.Directory` of the run.
        report: the :class:`~.report.Report`.

    >>> import numpy as np
    >>> from chainrule import nn, optim
    >>> experiment = Experiment("line", seed=1)
    >>> cr.manual_seed(experiment.seed)
    >>> model = nn.Linear(1, 1)
    >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
    >>> @experiment.compile
    ... def train(x):
    ...     loss = ((model(x) - 3 * x) ** 2).mean()
    ...     model.zero_grad()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> rng = np.random.default_rng(experiment.seed)
    >>> state = {"model": model, "optimizer": optimizer, "rng": rng}
    >>> for step in experiment.steps("fit", 200, **state):
    ...     loss = train(rng.standard_normal((16, 1), np.float32))
    >>> round(model.weight.item(), 3)
    3.0
    """

    def __init__(
        self,
        name: str = "experiment",
        *,
        seed: int = 0,
        engine: str = "auto",
        threads: int | None = None,
        devices: Devices | None = None,
        quick: bool = False,
        out: str | Path | None = None,
        checkpoint_every: float = 60.0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self.seed, self.engine = name, seed, engine
        self.threads, self.devices = threads, devices
        self.quick, self.options = quick, dict(options or {})
        self.directory = Directory(None if out is None else Path(out))
        self.report = Report(self.directory)
        self._stages = Stages(self.directory, self.report, checkpoint_every)
        self._started = time.perf_counter()

    @property
    def out(self) -> Path | None:
        """The output directory of a recipe's run, or None."""
        return self.directory.path

    @property
    def engine_options(self) -> dict[str, Any]:
        """The run's engine, its threads and its devices, as keyword arguments."""
        return {"engine": self.engine, **self._resources}

    @property
    def _resources(self) -> dict[str, Any]:
        # Agents of reinforcement learning, for one, run on one device.
        over = {} if self.devices is None else {"devices": self.devices}
        return {"threads": self.threads, **over}

    # -- for lessons -------------------------------------------------------------------

    def compile(
        self,
        function: Callable[..., Any] | None = None,
        *,
        batch: str | None = None,
        **options: Any,
    ) -> Any:
        """Compile a function for the recipe's engine; see :func:`chainrule.compile`.

        Args:
            function: as there; None to decorate with options.
            batch: the argument whose rows are a batch, which several devices share.
            options: as there.
        """
        if batch is not None and (self.devices is not None or processes.count() > 1):
            options["sharding"] = {batch: ("data",)}
        return cr.compile(function, **options, **self.engine_options)

    def steps(self, name: str, count: int, **state: Any) -> Generator[int, None, None]:
        """Iterate over a training loop's steps 0 … count − 1, with checkpoints.

        With a directory the loop is a stage: ``state`` is saved from time to time
        between two steps, at its end, and on Ctrl-C and SIGTERM. A run that is started
        again begins behind the last checkpoint, with the state of that time.

        Args:
            name: the name of the stage.
            count: the number of steps.
            state: everything that the steps change, by name: modules, optimisers,
                NumPy generators, tensors, lists, dictionaries and arrays, objects with
                ``state()`` and ``load_state()``. The generator of
                :func:`chainrule.manual_seed` is saved always.

        Raises:
            NonFiniteError: NaN or infinity in the state, when it is saved or at the
                end of the loop.
            CheckpointError: a checkpoint that is damaged, or of another loop.
        """
        return self._stages.steps(name, count, state)

    def fit(self, name: str, trainer: Trainer, train: Any, **fit: Any) -> Trainer:
        """Train a network as a stage of a recipe's run; return the Trainer.

        With a directory it is resumed, or loaded where it is trained already. The model
        and the loss stay the same objects.

        Args:
            name: the name of the stage.
            trainer: a new Trainer.
            train, fit: as for :meth:`Trainer.fit`.
        """
        return self._stages.fit(name, trainer, train, self._resources, **fit)

    def cached(
        self, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Return a function's result, or its stored result of an earlier run.

        Args:
            name: the name of the stage.
            function: returns numbers, texts, lists and dictionaries of them. Tuples and
                arrays become lists.
            args, kwargs: for the function.
        """
        return self._stages.cached(name, partial(function, *args, **kwargs))

    def package(self, module: str, install: str) -> Any:
        """Import a module of an optional package that a recipe needs.

        Args:
            module: its name.
            install: what pip installs for it, such as ``"chainrule[rules]"``.

        Raises:
            ArgumentError: it is not installed.
        """
        return packages.imported(self.name, module, install)

    def folder(self, module: str, install: str) -> Path:
        """Return the folder of an installed package's data, without importing it.

        Args:
            module, install: as for :meth:`package`.

        Raises:
            ArgumentError: it is not installed.
        """
        return packages.folder(self.name, module, install)

    def user_folder(self, path: str, content: str) -> Path:
        """Check that a user's data folder exists, and return its path.

        Args:
            path: as the user wrote it.
            content: what should be in it, such as "folder of recordings".

        Raises:
            DataError: there is none.
        """
        return checked_path(path, content, folder=True)

    def draw(
        self,
        name: str,
        draw: Callable[..., Any],
        *args: Any,
        title: str,
        size: tuple[float, float] = (7.0, 3.6),
        **options: Any,
    ) -> None:
        """Draw a picture, ``NAME.png``, for a recipe's report and directory.

        Args:
            name: the name of the file.
            draw: ``draw(figure, *args, **options)`` draws into a figure of matplotlib;
                :mod:`chainrule.viz.gallery` has the usual ones.
            title: what is to be seen.
            size: width and height in inches.
        """
        self.report.picture(name, draw, *args, title=title, size=size, **options)

    def network(self, title: str, model: Any, data: Any) -> None:
        """Draw a network, from its graph, for the recipe's report.

        Args:
            title: what is to be seen.
            model: the network.
            data: what it is given: rows, of which the first one's numbers are shown, or
                the shape of one sample, as for ``model.picture``.
        """
        self.report.network(title, model, data)

    def film(
        self,
        name: str,
        draw: Callable[..., Any],
        frames: Iterable[Any],
        *,
        title: str,
        size: tuple[float, float] = (4.0, 3.0),
        **options: Any,
    ) -> None:
        """Draw an animation, ``NAME.gif``, for a recipe's report and directory.

        Args:
            name: the name of the file.
            draw: ``draw(figure, frame, **options)`` draws one frame.
            frames: the frames, in their order.
            title: what is to be seen.
            size: width and height in inches.
            options: ``seconds`` that each frame stays; further ones for ``draw``.
        """
        self.report.film(name, draw, frames, title=title, size=size, **options)

    # -- for those that run lessons ----------------------------------------------------

    def settings(self) -> dict[str, Any]:
        """Return the settings that determine the results of a recipe's run."""
        own = {"seed": self.seed, "engine": self.engine, "quick": self.quick}
        return {"recipe": self.name, **own, "options": self.options}

    @classmethod
    def restore(cls, out: str | Path, **options: Any) -> Experiment:
        """Return the recipe's run that was begun in a directory, to resume it.

        Args:
            out: the directory.
            options: ``threads``, ``devices`` and ``checkpoint_every``.

        Raises:
            CheckpointError: there is none.
        """
        from chainrule.recipes.experiment.settings import checked

        file = Path(out) / SETTINGS
        stored = read_json(file)
        try:
            stored = checked(stored)
        except ValueError as error:
            raise no_run(file, error) from error
        return cls(stored.pop("recipe"), out=out, **stored, **options)

    def observe(self, observer: Observer) -> None:
        """Have the stages of a recipe's run looked at as they run."""
        self._stages.observer = observer

    @contextmanager
    def running(self, *, again: bool = False) -> Iterator[None]:
        """Run a recipe within a block: reserve the directory, record printed text.

        A run that is refused before its first stage leaves nothing in its directory.

        Args:
            again: whether the directory may hold this very run already.
        """
        self.directory.begin(self.settings(), again=again)
        try:
            with self.report.recording():
                yield
        except Exception:
            self.directory.leave_nothing()
            raise
        finally:
            self._stages.close()

    def finish(
        self,
        result: Mapping[str, Any],
        references: Sequence[Reference] = (),
        *,
        summary: str = "",
        seconds: int | None = None,
        lesson: str = "",
        module: str = "",
        networks: Mapping[str, Callable[[], tuple[Any, Any, bool]]] | None = None,
    ) -> dict[str, Any]:
        """Write the results and the report of a recipe's run; return the results.

        Args:
            result: what the lesson returned.
            references: figures that a full run is compared with.
            summary: what the recipe is, in a line.
            seconds: what a full run takes, which the report of a quick one says.
            lesson: what the recipe says of itself, in the current language.
            module: the name of that file's module.
            networks: its networks by name, which are drawn and may be explained: each
            a function that returns the model, what a picture of it is given, and
            whether it has learned.
        """
        note = quick_note(seconds) if self.quick and seconds is not None else ""
        if note:
            print(f"\n{translated(note)}")
        known = networks or {}
        plain = numbers.plain({"result": dict(result)})
        figures = compared(() if self.quick else references, plain["result"])
        results = {
            **self.settings(),
            **plain,
            "references": figures,
            "seconds": time.perf_counter() - self._started,
            "version": __version__,
        }
        if self.out is not None:
            self.directory.write(RESULTS, (as_json(results) + "\n").encode())
            self.report.networks(known)
            self.report.write(
                title=self.name,
                summary=translated(summary),
                references=figures,
                result=plain["result"],
                commands=self._commands([*known], module, quick=bool(note)),
                lesson=lesson,
                note=report_note(note) if note else "",
            )
        return results | {"out": None if self.out is None else str(self.out)}

    def _commands(
        self, networks: Sequence[str], module: str, *, quick: bool
    ) -> list[tuple[str, str]]:
        """Return what may be done after a recipe's run, each with its command."""
        explain = f"chainrule explain {self.out} --save"
        several = len(networks) > 1
        made = [
            (
                tr("every number of a training step: {name}", name=name),
                f"{explain} --network {name}" if several else explain,
            )
            for name in networks
        ]
        again = f"chainrule train {self.name}"
        if quick:
            made.append((tr("the full run"), again))
        if module:
            alone = tr("the lesson, without the command line")
            made.append((alone, f"python -m {module}"))
        return made


def report_note(note: str) -> str:
    """Return what the report of a quick run says first of all, in a line.

    >>> report_note(quick_note(800)).split(". ")[-1]
    'Sizes and figures in summary and lesson are those of the full run.'
    """
    more = tr("Sizes and figures in summary and lesson are those of the full run.")
    lines = translated(note).splitlines()
    between = " " if all(line[-1].isascii() for line in lines) else ""
    return f"{between.join(lines)} {more}"


def quick_note(seconds: int) -> str:
    """Return the note that a recipe ran in its quick form, and the full form's time.

    >>> print(quick_note(800))
    This was the quick run. The full one, which reaches the figures of the
    literature, takes about 13 minutes on two cores.
    """
    if seconds < 120:
        return ngettext(
            "This was the quick run. The full one, which reaches the figures of the\n"
            "literature, takes about {n} second on two cores.",
            "This was the quick run. The full one, which reaches the figures of the\n"
            "literature, takes about {n} seconds on two cores.",
            n=seconds,
        )
    return ngettext(
        "This was the quick run. The full one, which reaches the figures of the\n"
        "literature, takes about {n} minute on two cores.",
        "This was the quick run. The full one, which reaches the figures of the\n"
        "literature, takes about {n} minutes on two cores.",
        n=round(seconds / 60),
    )

"""A run of a recipe in which nothing is trained, to look at its networks."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chainrule as cr
from chainrule import nn, optim
from chainrule.data import Dataset
from chainrule.data.column import Column
from chainrule.errors import ArgumentError, CheckpointError
from chainrule.graph.types import as_dtype
from chainrule.nn.first_use import input_dtype
from chainrule.recipes.experiment import Experiment
from chainrule.text import _
from chainrule.training import Trainer, checkpoint, resumable
from chainrule.util.processes import is_there


@dataclass(frozen=True, eq=False)
class Subject:
    """A network of a recipe, with samples, a loss and an optimiser.

    Attributes:
        model: the network, or a module of several.
        x: the samples, one a row; a tuple of several inputs.
        y: the truth for each sample.
        loss: from prediction and truth to a number.
        optimizer: whose next update is shown, or None.
    """

    model: nn.Module
    x: Any
    y: Any
    loss: Callable[[Any, Any], Any]
    optimizer: optim.RuleOptimizer | None = None

    def __len__(self) -> int:
        return len(self.y)

    def rows(self, numbers: Sequence[int]) -> tuple[Any, Any]:
        """Return the samples and truths of some rows."""
        chosen = list(numbers)
        if isinstance(self.x, tuple):
            return tuple([part[chosen] for part in self.x]), self.y[chosen]
        x = self.x
        if isinstance(x, Column) and x.scale is None and x.stored.dtype.kind in "iu":
            row, stored = x.shape[1:], as_dtype(x.stored.dtype)  # indices stay indices
            dtype = input_dtype(self.model, row, stored)
            return x.stored[chosen].astype(dtype.numpy), self.y[chosen]
        return x[chosen], self.y[chosen]


class Applied(nn.Module):
    """A function of modules as a module: their composition, or a part of one.

    Args:
        function: from samples to a prediction.
        modules: those that it calls, by the names that their parameters get.
    """

    def __init__(self, function: Callable[..., Any], **modules: nn.Module) -> None:
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, *x: cr.Tensor) -> Any:
        return self.function(*x)


class Inspection(Experiment):
    """A run of a recipe whose stages train nothing.

    Networks are as they begin or, given the directory of a run, as it has left them.
    Lessons are called with it as with an :class:`Experiment`; what they print is not
    shown, and nothing is written.

    Args:
        name: of the recipe.
        trained: the directory of a run; None for networks that have not learned.
        settings: as for :class:`Experiment`: seed, quick, options.

    Attributes:
        trained: the directory of the run.
    """

    def __init__(self, name: str, trained: Path | None = None, **settings: Any) -> None:
        super().__init__(name, **settings)
        self.trained = trained
        self._last: tuple[Trainer, Dataset] | None = None
        self._state: dict[str, Any] = {}

    @classmethod
    def of(cls, trained: Path) -> Inspection:
        """Return the inspection of the run of a study, by its directory.

        Raises:
            CheckpointError: there is none.
        """
        run = Experiment.restore(trained)
        settings = {"seed": run.seed, "quick": run.quick, "options": run.options}
        return cls(run.name, trained, engine=run.engine, **settings)

    def compile(self, function: Any = None, **options: Any) -> Any:
        """Return a function as it is: nothing runs it many times."""
        if function is None:
            return lambda function: function
        return function

    def steps(self, name: str, count: int, **state: Any) -> Generator[int, None, None]:
        """Restore a stage's state from the run, if there is one; take no step."""
        place = self._place(name)
        if place is not None:
            resumable.restore(place, state, partly=True)
        self._state = state
        yield from ()

    def fit(self, name: str, trainer: Trainer, train: Any, **fit: Any) -> Trainer:
        """Return a Trainer as the run has left it, or as it begins."""
        place = self._place(name)
        data = train if isinstance(train, Dataset) else Dataset(*train)
        if place is not None:
            parts = {"model": trainer.model, "loss": trainer.loss}
            trainer = Trainer.load(place.parent, metrics=trainer.metrics, **parts)
        else:
            each = -(-len(data) // fit["batch_size"])
            trainer.optimizer.bind_schedules(fit["epochs"] * each, each)
        self._last = trainer, data
        return trainer

    def optimizer(self, name: str | None = None) -> optim.RuleOptimizer:
        """Return the optimiser in the state of the last :meth:`steps`, by its name."""
        found = {
            key: item
            for key, item in self._state.items()
            if isinstance(item, optim.RuleOptimizer)
        }
        return found[name or next(iter(found))]

    def trained_subject(self) -> Subject:
        """Return the network of the last :meth:`fit`, with its data and loss."""
        assert self._last is not None
        trainer, data = self._last
        return self.of_trainer(trainer, data)

    @staticmethod
    def of_trainer(trainer: Trainer, data: Dataset) -> Subject:
        """Return the network of a Trainer, as it is trained, with data."""
        optimizer: Any = trainer.optimizer
        model = trainer.model.train()
        return Subject(model, data.x, data.y, trainer.loss, optimizer)

    def begins_only(self) -> None:
        """Refuse a run of a recipe that keeps figures, and none of its networks.

        Raises:
            ArgumentError: the network of a run was asked for.
        """
        if self.trained is not None:
            raise ArgumentError(
                _("A run of {name!r} keeps figures, not its networks.", name=self.name),
                expected=_("the recipe, whose network is shown before it has learned"),
                got=str(self.trained),
                fix=f"chainrule explain {self.name}",
            )

    @contextlib.contextmanager
    def silent(self) -> Generator[None, None, None]:
        """Keep what a lesson prints to itself, within a block."""
        with contextlib.redirect_stdout(io.StringIO()):
            yield

    def _place(self, stage: str) -> Path | None:
        """Return the checkpoint of a stage of the run; None without a run.

        Raises:
            CheckpointError: the run has not come to it.
        """
        if self.trained is None:
            return None
        place = self.trained / stage / checkpoint.FILE
        if is_there(place.exists()):
            return place
        raise CheckpointError(
            _("The run in {out} has not trained this network.", out=self.trained),
            expected=_("a stage {stage!r}", stage=stage),
            got=_("no file {place}", place=place),
            fix=_("go on with it: chainrule train --resume {out}", out=self.trained),
        )

"""A training recipe (built-in example) from which a run is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from chainrule import recipes
from chainrule.data import Dataset
from chainrule.engines import EngineName
from chainrule.recipes import Experiment
from chainrule.recipes.lessons import lesson
from chainrule.runs.section import Positive, Section
from chainrule.runs.source import Parts
from chainrule.training import Trainer


class Options(Section):
    """The options of a training recipe's run, as stored in a checkpoint."""

    epochs: Positive
    batch_size: Positive
    lr: float
    seed: Annotated[int, Ge(0), Le(2**64 - 1)]
    engine: EngineName
    limit: Positive | None
    threads: Positive | None
    devices: Positive | Literal["all"] | None = None


@dataclass(frozen=True)
class FromRecipe:
    """A training recipe (built-in example) from which a run is built.

    Attributes:
        name: of the recipe.
        options: what decides the result: its own settings, and those of the command
            line.
    """

    name: str
    options: Mapping[str, Any]
    #: The part of the data that is looked at after each epoch.
    validation_part: ClassVar[str] = "test"
    directory: ClassVar[None] = None
    copy: ClassVar[None] = None

    @classmethod
    def of(cls, name: str, options: Mapping[str, Any]) -> FromRecipe:
        """Return the training recipe of a name, with command-line options."""
        module = recipes.find(name)
        own = {
            "epochs": module.EPOCHS,
            "batch_size": module.BATCH_SIZE,
            "lr": module.LR,
            "seed": 0,
            "engine": "auto",
            "limit": None,
            "threads": None,
            "devices": None,
        }
        return cls(name, own | {k: v for k, v in options.items() if v is not None})

    def setting(self, option: str) -> Any:
        """Return the recipe's setting for a command-line option."""
        return self.options[option]

    def with_options(self, **options: Any) -> FromRecipe:
        """Return the recipe with changed command-line options."""
        return FromRecipe(self.name, {**self.options, **options})

    def note(self) -> dict[str, Any]:
        """Return the recipe's name and options, for checkpoints."""
        return {"recipe": self.name, "options": dict(self.options)}

    def parts(self) -> Parts:
        """Load the recipe's training and test data."""
        train, test = recipes.find(self.name).data(self.options["limit"])
        return Parts(train, None, test, rows=len(train))

    def trainer(self, parts: Parts) -> Trainer:
        """Build the recipe's untrained Trainer."""
        module, options = recipes.find(self.name), self.options
        how = {
            key: options[key] for key in ("lr", "seed", "engine", "threads", "devices")
        }
        return module.trainer(module.network(options["seed"]), **how)

    def fit_options(self, train: Dataset) -> dict[str, Any]:
        """Return the recipe's epochs and batch size, for ``Trainer.fit``."""
        return {key: self.options[key] for key in ("epochs", "batch_size")}

    def callbacks(self, directory: Path) -> list[Any]:
        """Return the recipe's callbacks: none."""
        return []

    def pictures(
        self, trainer: Trainer, directory: Path
    ) -> tuple[list[str], dict[str, bytes]]:
        """Draw the recipe's pictures of its network; return their files and images."""
        experiment = Experiment(self.name, seed=self.options["seed"], out=directory)
        if (draw := getattr(recipes.find(self.name), "pictures", None)) is not None:
            draw(experiment, trainer.model)
        return experiment.directory.files, experiment.report.pictures

    def lesson(self) -> str:
        """Return what the recipe says of itself, in the current language."""
        return lesson(self.name, recipes.find(self.name))

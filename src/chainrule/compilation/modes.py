"""Training and prediction modes of modules, set for a while."""

from __future__ import annotations

from typing import Any

from chainrule.graph.context import changes
from chainrule.util.blocks import Block


class mode(Block):  # noqa: N801 - used like a function
    """Set models' training or prediction mode within the block, and restore it."""

    def __init__(self, *models: Any, training: bool) -> None:
        self.models, self.training = models, training

    def saved(self) -> list[tuple[Any, bool]]:
        modules = [module for model in self.models for module in model.modules()]
        return [(module, module.training) for module in modules]

    def change(self) -> None:
        for model in self.models:
            model.train(self.training)

    def undo(self, saved: list[tuple[Any, bool]]) -> None:
        for module, was in saved:
            module.__dict__["training"] = was
        changes.count += 1

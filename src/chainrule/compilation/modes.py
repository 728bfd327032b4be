"""Training and prediction modes of modules, set for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chainrule.graph.context import changes


@contextmanager
def mode(*models: Any, training: bool) -> Iterator[None]:
    """Set models' training or prediction mode within the block, and restore it."""
    modules = [module for model in models for module in model.modules()]
    before = [(module, module.training) for module in modules]
    try:
        for model in models:
            model.train(training)
        yield
    finally:
        for module, was in before:
            module.__dict__["training"] = was
        changes.count += 1

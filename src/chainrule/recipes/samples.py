"""Samples of what a network writes while it is trained."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from chainrule.training import Callback


class SampleLogger(Callback):
    """Keeps samples, prints each once, and travels with checkpoints.

    A recipe's logger derives from it and shows a sample with :meth:`show`.
    """

    _printed = 0

    @cached_property
    def samples(self) -> list[dict[str, Any]]:
        """The samples so far."""
        return []

    def show(self, **sample: Any) -> None:
        """Print a sample."""
        raise NotImplementedError

    def add(self, **sample: Any) -> None:
        """Keep a sample, and print it."""
        self.samples.append(sample)
        self.print_new()

    def print_new(self) -> None:
        """Print the samples that were not printed yet: those of a resumed run."""
        for sample in self.samples[self._printed :]:
            self.show(**sample)
        self._printed = len(self.samples)

    def state(self) -> dict[str, Any]:
        """Return what a resumed run needs."""
        return {"notes": list(self.samples)}

    def load_state(self, state: Any) -> None:
        """Take over the samples of a run; without any, that before training stays."""
        self.samples[:] = state.get("notes", self.samples[:1])

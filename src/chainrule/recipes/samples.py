"""A callback that logs samples of a network's output during training."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from chainrule.training import Callback


class SampleLogger(Callback):
    """A callback that stores samples in checkpoints, and prints each once.

    A recipe's logger derives from it and shows a sample with :meth:`show`.
    """

    _printed = 0

    @cached_property
    def samples(self) -> list[dict[str, Any]]:
        """The list of samples so far."""
        return []

    def show(self, **sample: Any) -> None:
        """Print a sample."""
        raise NotImplementedError

    def add(self, **sample: Any) -> None:
        """Add a sample, and print it."""
        self.samples.append(sample)
        self.print_new()

    def print_new(self) -> None:
        """Print the samples that were not printed yet, after a run was resumed."""
        for sample in self.samples[self._printed :]:
            self.show(**sample)
        self._printed = len(self.samples)

    def state(self) -> dict[str, Any]:
        """Return the samples, for a checkpoint."""
        return {"notes": list(self.samples)}

    def load_state(self, state: Any) -> None:
        """Restore a run's samples; without any, keep the sample before training."""
        self.samples[:] = state.get("notes", self.samples[:1])

"""A run in Weights & Biases, or in Trackio, which has the same interface."""

from __future__ import annotations

import importlib
import secrets
import sys
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any

import numpy as np

from chainrule.graph.node import Array
from chainrule.tracking.configuration import Plain
from chainrule.tracking.tracker import Images, Tracker
from chainrule.util import validation
from chainrule.util.keywords import strict


class _Client(Tracker):
    """Base class of trackers with W&B's interface: ``init``, ``log`` and ``finish``.

    Args:
        project: the name of the project.
        run_name: of the run.
        log_every_n_steps, histogram_freq, images: see :class:`Tracker`.
    """

    package: str

    def __init__(
        self,
        project: str = "chainrule",
        *,
        run_name: str | None = None,
        log_every_n_steps: int = 50,
        histogram_freq: int = 0,
        images: bool | Images = False,
    ) -> None:
        super().__init__(
            log_every_n_steps=log_every_n_steps,
            histogram_freq=histogram_freq,
            images=images,
        )
        self.project = validation.text("project", project)
        self.run_name = validation.maybe(validation.text)("run_name", run_name)

    def names(self, run_id: str | None) -> tuple[str, dict[str, Any]]:
        """Return a run's id, and the arguments by which the client knows the run."""
        raise NotImplementedError

    def begin(self, run_id: str | None, config: Mapping[str, Plain], step: int) -> str:
        """Begin the client's run, or go on with one behind what it has."""
        self._client = importlib.import_module(self.package)
        run_id, names = self.names(run_id)
        # What it says is no output of the program.
        with redirect_stdout(sys.stderr):
            self._run = self._client.init(
                project=self.project, config=dict(config), **names
            )
        self._next = self.next_step(self._run)
        return run_id

    def next_step(self, run: Any) -> int:
        """Return the first step that the client's run does not have yet."""
        return run.step

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Give the client numbers by name, unless it has those of the step."""
        self._log(dict(values), step)

    def histogram(self, name: str, array: Array, step: int) -> None:
        """Give the client a histogram of an array's finite numbers."""
        known = array[np.isfinite(array)]
        if known.size:
            self._log({name: self._client.Histogram(known)}, step)

    def image(self, name: str, pixels: Array, step: int) -> None:
        """Give the client a picture."""
        self._log({name: self._client.Image(pixels)}, step)

    def _log(self, values: dict[str, Any], step: int) -> None:
        if step >= self._next:
            self._run.log(values, step=step)

    def finish(self, run: Any, completed: bool) -> None:
        """End the client's run, with the exit code 1 where it was interrupted."""
        with redirect_stdout(sys.stderr):
            self._finish(completed)
        del self._client, self._run  # which no copy of the tracker could have

    def _finish(self, completed: bool) -> None:
        self._run.finish(exit_code=0 if completed else 1)


@strict
class WandB(_Client):
    """Give a run's scalars, histograms and images to Weights & Biases.

    Where to, and as whom, ``wandb login`` and the variables ``WANDB_…`` say;
    ``WANDB_MODE=offline`` keeps all on this machine.

    Args:
        project: the name of the project.
        run_name: of the run; by default W&B's choice.
        log_every_n_steps, histogram_freq, images: see :class:`Tracker`.

    Needs the package ``wandb`` (``pip install wandb``).
    """

    package = "wandb"

    def names(self, run_id: str | None) -> tuple[str, dict[str, Any]]:
        """Return the id of a run of W&B's, and its arguments."""
        run_id = run_id or secrets.token_hex(4)
        return run_id, {"id": run_id, "name": self.run_name, "resume": "allow"}


@strict
class Trackio(_Client):
    """Give a run's scalars, histograms and images to Trackio, on this machine.

    ``trackio show`` opens its pages. Trackio knows a run by its name, which gets a
    random end, so that no two have the same.

    Args:
        project: the name of the project.
        run_name: of the run; by default the time.
        log_every_n_steps, histogram_freq, images: see :class:`Tracker`.

    Needs the extra ``trackio``.

    >>> from chainrule.tracking import Trackio
    >>> track = Trackio("houses", log_every_n_steps=100)
    """

    package = "trackio"

    def names(self, run_id: str | None) -> tuple[str, dict[str, Any]]:
        """Return the name of a run of Trackio's, and its arguments."""
        resume = "never" if run_id is None else "must"
        stem = self.run_name or time.strftime("%Y%m%d-%H%M%S")
        run_id = run_id or f"{stem}-{secrets.token_hex(2)}"
        # No pages within a notebook, and no load of the processor among the numbers.
        more = {"embed": False, "auto_log_cpu": False, "auto_log_gpu": False}
        return run_id, {"name": run_id, "resume": resume, **more}

    def next_step(self, run: Any) -> int:
        """Return the first step that Trackio's run does not have yet."""
        return run._next_step

    def _finish(self, completed: bool) -> None:
        self._run.finish()

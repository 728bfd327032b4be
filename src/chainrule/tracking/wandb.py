"""A run in Weights & Biases, or in Trackio, which has the same interface."""

from __future__ import annotations

import hashlib
import importlib
import json
import secrets
import sys
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any

import numpy as np

from chainrule.errors import warn
from chainrule.graph.node import Array
from chainrule.text import _
from chainrule.tracking.configuration import Plain
from chainrule.tracking.tracker import Images, Tracker
from chainrule.util import validation
from chainrule.util.keywords import strict


class _Client(Tracker):
    """Base class of trackers with W&B's interface: ``init``, ``log`` and ``finish``.

    **Going on.** The client takes nothing back. Where it has points behind a checkpoint
    that is resumed, they come again as they were, and it keeps its own. With other
    settings (the learning rate, the data, …) they would not: then the resumed run is a
    new one of the client's, with ``resumed_from`` and ``resumed_at`` in its
    configuration, and a warning says so.

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
        #: A digest of the settings with which the client's run was given its points.
        self._settings: str | None = None

    def state(self) -> dict[str, Any]:
        """Return the tracker's state, with a digest of the run's settings."""
        state = super().state()
        return state and {**state, "settings": self._settings}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the tracker's state, with the digest of the run's settings."""
        super().load_state(state)
        settings = state.get("settings")
        if not isinstance(settings, str | None):
            raise self.strange(state)
        self._settings = settings

    def names(self, run_id: str | None) -> tuple[str, dict[str, Any]]:
        """Return a run's id, and the arguments by which the client knows the run."""
        raise NotImplementedError

    def begin(self, run_id: str | None, config: Mapping[str, Plain], step: int) -> str:
        """Begin the client's run, or go on with one behind what it has."""
        self._client = importlib.import_module(self.package)
        settings = _digest(config)
        made = self._init(run_id, config)
        if run_id is not None and settings != self._settings and self._next > step + 1:
            with redirect_stdout(sys.stderr):
                self._finish(False)
            made = self._init(
                None, {**config, "resumed_from": run_id, "resumed_at": step}
            )
            warn(
                _(
                    "{kind} goes on as the run {made}: it takes nothing back.",
                    kind=type(self).__name__,
                    made=made,
                ),
                expected=_("the settings that the run {run_id} had", run_id=run_id),
                got=_("others, from step {step} on", step=step),
            )
        self._settings = settings
        return made

    def _init(self, run_id: str | None, config: Mapping[str, Plain]) -> str:
        """Begin or continue the client's run; return its id."""
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


def _digest(config: Mapping[str, Plain]) -> str:
    """Return a digest of what a run's numbers depend on."""
    beside = ("notes.", "versions.")
    kept = {k: v for k, v in config.items() if not k.startswith(beside)}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


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

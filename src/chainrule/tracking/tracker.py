"""Tracker: what a tracker of runs gets, and when; each tracker writes it down."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from chainrule.errors import ArgumentError, warn
from chainrule.graph.graph import Graph
from chainrule.graph.node import Array
from chainrule.html.arrays import heat_pixels
from chainrule.text import _
from chainrule.tracking.configuration import Plain, configuration
from chainrule.training import Callback, Loop
from chainrule.util import validation

#: Tracking of steps may cost this share of a run's time; then points become sparser.
SHARE = 0.01
#: What a tracker counts, as its state names it.
_COUNTS = ("began", "logged", "doubled", "ahead")
#: Gives pictures by name: uint8, or floats from 0 to 1; (H, W) or (H, W, 3).
Images = Callable[[Any], Mapping[str, Array]]


class Tracker(Callback):
    """Base class of trackers, which give a run's numbers to some other program.

    **What a tracker gets.** When the run begins, its configuration
    (:func:`~chainrule.tracking.configuration.configuration`) and the graph of a step;
    then scalars at increasing numbers of steps: every ``log_every_n_steps`` the means
    of what the steps recorded, as ``step/loss``, and after each epoch its row of the
    history, as ``validation_accuracy``; histograms and images at the epochs asked for;
    and the end. The steps are those of the run's whole life, so all is on one axis.
    Where a :class:`Loop` has several entry points, their means come after each epoch.
    A tracker is of one run at a time.

    **Going on.** The run's id and the last step that was given are part of
    checkpoints: a run that was killed and is resumed goes on under the same id, and
    :meth:`begin` sees to it that no step is there twice. A new ``fit`` is a new run.

    **A tracker never ends a run.** What it raises (a server that is gone, a full disk)
    becomes one warning with the reason; the training goes on without it, and the next
    ``resume`` tries again. Only arguments that cannot be, and a package that is
    missing, are errors, before anything begins.

    Args:
        log_every_n_steps: steps between two points within an epoch; 0: epochs only.
            Where steps are so short that points would cost more than a hundredth of
            the time, they come at twice the distance, or four times, and so on.
        histogram_freq: epochs between histograms of all parameters, and of what each
            step of the epoch recorded; 0: none.
        images: pictures at the same epochs: True for the weights as heat maps, or a
            function of the Trainer that gives arrays by name, (H, W) or (H, W, 3), of
            bytes or of floats from 0 to 1.

    Attributes:
        run_id: of the run that is, or was last, tracked.

    Raises:
        ArgumentError: the package is not installed, and which extra brings it.

    >>> from chainrule.tracking import Tracker
    >>> class Printed(Tracker):
    ...     def begin(self, run_id, config, step):
    ...         return run_id or "run-1"
    ...     def scalars(self, values, step):
    ...         print(step, *values)
    >>> import chainrule as cr
    >>> trainer = cr.Trainer(cr.nn.Linear(1, 1), loss=cr.nn.MSELoss(),
    ...                      optimizer=cr.optim.SGD(lr=0.1), engine="numpy")
    >>> _ = trainer.fit(([[1.0]], [[2.0]]), epochs=1, batch_size=1,
    ...                 callbacks=Printed(log_every_n_steps=0), progress=False)
    1 epoch train_loss lr seconds
    """

    everywhere: ClassVar[bool] = False
    #: The package that it needs, and the extra of Chainrule that brings it.
    package: ClassVar[str | None] = None

    def __init__(
        self,
        *,
        log_every_n_steps: int = 50,
        histogram_freq: int = 0,
        images: bool | Images = False,
    ) -> None:
        if self.package is not None:
            need(self.package)
        count = validation.count
        self.log_every_n_steps = count("log_every_n_steps", log_every_n_steps)
        self.histogram_freq = count("histogram_freq", histogram_freq)
        if not callable(images):
            validation.truth("images", images)
        self.images = images
        if images and not self.histogram_freq:
            raise ArgumentError(
                _("images= come at the epochs of histograms, and there are none."),
                expected=_("histogram_freq, the epochs between two of them"),
                got="histogram_freq=0",
                fix="histogram_freq=1",
            )
        self.run_id: str | None = None
        #: The step that it began behind, the last one that has been given, how often
        #: the distance of points has been doubled, and by how much numbers of steps
        #: are ahead of rows of the history.
        self._began = self._logged = self._doubled = self._ahead = 0
        self._open = self._failed = self._completed = False

    # -- what a tracker writes down ----------------------------------------------------

    def begin(self, run_id: str | None, config: Mapping[str, Plain], step: int) -> str:
        """Begin the tracker's run, or go on with one; return its id.

        Args:
            run_id: None for a new run; else that of the run that goes on.
            config: what the run depends on, by dotted names.
            step: the run goes on behind it: what the tracker already has of later steps
                comes again, and must not be there twice.
        """
        raise NotImplementedError

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Record scalars by name at a step."""
        raise NotImplementedError

    def histogram(self, name: str, array: Array, step: int) -> None:
        """Write the distribution of an array's numbers down in the tracker."""

    def image(self, name: str, pixels: Array, step: int) -> None:
        """Write a picture, uint8 (H, W, 3), down in the tracker."""

    def graph(self, graph: Graph) -> None:
        """Write the graph of a training step down in the tracker."""

    def finish(self, run: Any, completed: bool) -> None:
        """End the tracker's run; it may be interrupted and go on later."""

    # -- when --------------------------------------------------------------------------

    def check(self, columns: Mapping[str, str | None]) -> None:
        """Refuse a tracker that is at work in another run."""
        if self._open:
            raise ArgumentError(
                _("This {kind} is tracking a run.", kind=type(self).__name__),
                expected=_("a tracker for each run that is going on"),
                got=_("run {run_id}", run_id=self.run_id),
                fix=_("make another {kind}", kind=type(self).__name__),
            )

    def on_start(self, trainer: Any) -> None:
        """Begin to track the run, or go on where its checkpoint says."""
        Tracker.check(self, {})  # a Loop asks no callback
        self._failed = self._completed = False
        self._starts = dict(trainer.state.starts)
        if trainer.state.updates < self._logged:  # of another Loop
            self.run_id = None
        if self.run_id is None:
            self._began = self._logged = trainer.state.updates
            self._doubled, self._ahead = 0, _unrecorded(trainer)
        try:
            self._safely(self._begin, trainer)
        except BaseException:  # Ctrl-C: no on_end follows
            self.on_end(trainer)
            raise
        self._last = time.perf_counter()

    def _begin(self, run: Any) -> None:
        new = self.run_id is None
        self.run_id = self.begin(self.run_id, configuration(run), self._logged)
        self._open = True
        if new:
            entry = run.entry if isinstance(run, Loop) else "train"
            self.graph(run.program.traced[entry].entry.graph)

    def on_chunk(self, trainer: Any) -> None:
        """Give the tracker the points that are complete."""
        # More may come as of the present step: the row of an epoch.
        self._safely(self._steps, trainer, trainer.state.updates - 1)

    def _steps(self, run: Any, upto: int) -> None:
        for step, values in self._points(run, upto):
            self._give(values, step)

    def on_epoch(self, trainer: Any) -> None:
        """Give the tracker the epoch's row of the history, and what else it shows."""
        self._safely(self._epoch, trainer)

    def _epoch(self, run: Any) -> None:
        now, row = run.state.updates, run.history.epochs[-1]
        values = {k: _plain(v) for k, v in row.items() if isinstance(v, Real)}
        for step, means in self._points(run, now):
            if step == now:
                values |= means
            else:
                self._give(means, step)
        if not self._aligned(run) and self.log_every_n_steps:
            columns = self._columns(run).items()
            values |= {f"step/{name}": _mean(column) for name, column in columns}
        self._give(values, now)
        if self.histogram_freq and row["epoch"] % self.histogram_freq == 0:
            self._show(run, now)
        self._starts = dict(run.state.starts)

    def _show(self, run: Any, step: int) -> None:
        """Give the tracker histograms and images."""
        weights = _weights(run)
        for name, array in weights.items():
            self.histogram(f"weights/{name}", array, step)
        for name, array in self._columns(run).items():
            self.histogram(f"step/{name}", array, step)
        if self.images:
            given = self.images(run) if callable(self.images) else _maps(weights)
            for name, array in given.items():
                self.image(name, pixels(name, array), step)

    def _columns(self, run: Any) -> dict[str, Array]:
        """Return an epoch's records by name; of several entries by ``entry/name``."""
        entries = run.history.entries
        return {
            name if len(entries) == 1 else f"{entry}/{name}": column
            for entry in entries
            for name, column in run.history.since(
                self._starts.get(entry, 0), entry
            ).items()
        }

    def on_finish(self, trainer: Any) -> None:
        """Note that the tracked run has reached its end."""
        self._completed = True

    def on_end(self, trainer: Any) -> None:
        """End the tracker's run, a failed one too."""
        if not self._open:
            return
        self._open = False
        if isinstance(trainer, Loop) and trainer.finished and not self._completed:
            self._completed = True  # by its updates, within an epoch
            self._safely(self._steps, trainer, trainer.state.updates)
        self._safely(self.finish, trainer, self._completed, again=True)

    def state(self) -> dict[str, Any]:
        """Return the tracker's run id and its last step, for checkpoints."""
        if self.run_id is None:
            return {}
        counts = {name: getattr(self, f"_{name}") for name in _COUNTS}
        return {"run_id": self.run_id, **counts}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the tracker's run id and its last step."""
        run_id = state.get("run_id")
        counts = {name: state.get(name, 0) for name in _COUNTS}
        known = all(type(n) is int and n >= 0 for n in counts.values())
        if not isinstance(run_id, str | None) or not known or counts["doubled"] > 64:
            raise self.strange(state)
        self.run_id = run_id
        self.__dict__ |= {f"_{name}": n for name, n in counts.items()}

    # -- how ---------------------------------------------------------------------------

    def _safely(
        self, action: Callable[..., None], *args: Any, again: bool = False
    ) -> None:
        """Call a tracker's method; what it raises is a warning, the first time."""
        if self._failed and not again:
            return
        try:
            action(*args)
        except Exception as error:  # noqa: BLE001 - of a server, a disk, a package
            if self._failed:
                return
            self._failed = True
            warn(
                _(
                    "{kind} could not go on; the training does, without it.",
                    kind=type(self).__name__,
                ),
                expected=_("a tracker that takes what it is given"),
                got=f"{type(error).__name__}: {error}"[:400],
                fix=_(
                    "see to the reason; the numbers are in the history, and resume() "
                    "goes on with the tracker's run"
                ),
            )

    def _give(self, values: Mapping[str, float], step: int) -> None:
        self.scalars(values, step)
        self._logged = step

    def _points(self, run: Any, upto: int) -> Iterator[tuple[int, dict[str, float]]]:
        """Yield the means of windows of steps that end by ``upto``, each with its end.

        Windows end at the same steps in every run, however long its chunks are.
        """
        if not self.log_every_n_steps or not self._aligned(run):
            return
        stride = self.log_every_n_steps << self._doubled
        done = self._logged // stride * stride  # the last window ended here
        if done + stride > upto:
            return
        started, before = time.perf_counter(), self._doubled
        first = max(done, self._ahead, self._began)
        columns = run.history.since(first - self._ahead, run.history.entries[0])
        for end in range(done + stride, upto + 1, stride):
            rows = slice(max(end - stride - first, 0), end - first)
            means = {f"step/{name}": _mean(c[rows]) for name, c in columns.items()}
            yield end, means
        now = time.perf_counter()
        spent, may_be = now - started, SHARE * (now - self._last)
        # Up to eightfold at once: the first point may be slow for other reasons.
        while spent > may_be and self._doubled < before + 3:
            self._doubled, spent = self._doubled + 1, spent / 2
        self._last = now

    def _aligned(self, run: Any) -> bool:
        """Return whether one entry point has recorded a row in each step of the run."""
        return len(run.history.entries) == 1 and _unrecorded(run) == self._ahead


def need(package: str) -> None:
    """Refuse a tracker whose package is not installed, without importing it.

    Raises:
        ArgumentError: which extra brings it.
    """
    try:
        found = importlib.util.find_spec(package) is not None
    except ValueError:  # a module that stands in for it
        found = True
    if not found:
        raise ArgumentError(
            _("{name} is not installed.", name=package),
            expected=_("the extra {name}", name=package),
            got=_("no package {name}", name=package),
            fix=f"pip install 'chainrule[{package}]'",
        )


def pixels(name: str, array: Any) -> Array:
    """Return a picture as uint8 (H, W, 3), from bytes or floats from 0 to 1.

    Raises:
        ArgumentError: it is no picture.
    """
    picture = np.asarray(array)
    if picture.ndim == 3 and picture.shape[2] == 1:
        picture = picture[..., 0]
    if picture.dtype.kind == "f" and picture.size:
        low, high = picture.min(), picture.max()
        if low >= 0 and high <= 1:
            picture = np.rint(picture * 255).astype(np.uint8)
    shape = picture.shape
    good = len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)
    if picture.dtype != np.uint8 or not good or not picture.size:
        raise ArgumentError(
            _("{name!r} is no picture.", name=name),
            expected=_("(H, W) or (H, W, 3), bytes or floats from 0 to 1"),
            got=f"{picture.dtype}{list(shape)}",
            fix=_("scale it: (x - x.min()) / (x.max() - x.min())"),
        )
    return np.stack([picture] * 3, -1) if len(shape) == 2 else picture


def _unrecorded(run: Any) -> int:
    """Return how many steps of a run have no row in its history."""
    return run.state.updates - sum(run.history.snapshot()[1].values())


def _plain(value: Real) -> int | float:
    return value if isinstance(value, int | float) else float(value)


def _mean(column: Array) -> float:
    return float(column.mean(dtype=np.float64))


def _weights(run: Any) -> dict[str, Array]:
    """Return the parameters of a Trainer's model, or of a loop's program, by name."""
    if not isinstance(run, Loop):
        return {name: p.numpy() for name, p in run.model.named_parameters()}
    slots, tensors = run.program.slots, run.program.tensors
    return {
        name: t.numpy()
        for name, t in tensors.items()
        if not slots[name].gradient and t.requires_grad
    }


def _maps(weights: Mapping[str, Array]) -> dict[str, Array]:
    """Return heat maps of all weights with two axes and more."""
    shown = {n: a for n, a in weights.items() if a.ndim >= 2 and a.size}
    return {f"images/{n}": heat_pixels(a) for n, a in shown.items()}

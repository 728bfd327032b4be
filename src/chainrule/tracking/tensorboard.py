"""A run in TensorBoard: event files, written with TensorBoard's own messages."""

from __future__ import annotations

import itertools
import os
import platform
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.graph.graph import Graph
from chainrule.graph.node import Array
from chainrule.html.arrays import png
from chainrule.text import _
from chainrule.tracking.configuration import Plain
from chainrule.tracking.graph_def import graph_def, messages
from chainrule.tracking.tracker import Images, Tracker
from chainrule.util import validation
from chainrule.util.atomic_files import inside, make_directory
from chainrule.util.keywords import strict

#: Bars of a histogram, as TensorBoard's own has.
BARS = 30


@strict
class TensorBoard(Tracker):
    """Give a run's scalars, histograms, images and graph to TensorBoard.

    Each run has a folder of its own within ``log_dir``; ``tensorboard --logdir logs``
    shows all of them. The configuration is under HPARAMS, the graph of a training step,
    forwards, backwards and update, under GRAPHS. A resumed run begins a further file in
    the same folder, which tells TensorBoard what of the others is void.

    Args:
        log_dir: the folder of all runs.
        run_name: of the run's own folder; by default the time. A further run of that
            name gets a number.
        log_every_n_steps, histogram_freq, images: see :class:`Tracker`.
        write_graph: whether to write the graph.

    Needs the extra ``tensorboard``, and no TensorFlow.

    >>> from chainrule.tracking import TensorBoard
    >>> board = TensorBoard("logs", histogram_freq=5)
    """

    package = "tensorboard"

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        *,
        run_name: str | None = None,
        log_every_n_steps: int = 50,
        histogram_freq: int = 0,
        images: bool | Images = False,
        write_graph: bool = True,
    ) -> None:
        super().__init__(
            log_every_n_steps=log_every_n_steps,
            histogram_freq=histogram_freq,
            images=images,
        )
        self.log_dir = validation.path("log_dir", log_dir)
        self.run_name = validation.maybe(validation.text)("run_name", run_name)
        inside(self.log_dir, run_name or "run", _("The name of a run"))
        self.write_graph = validation.truth("write_graph", write_graph)

    def begin(self, run_id: str | None, config: Mapping[str, Plain], step: int) -> str:
        """Begin a folder for TensorBoard, or a further file in that of the run."""
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary = (
            messages("event").Event,
            messages("summary").Summary,
        )
        new = run_id is None
        run_id = self._made() if run_id is None else run_id
        folder = inside(self.log_dir, run_id, _("The name of a run"))
        make_directory(folder)
        # TensorBoard reads a folder's files in the order of their names.
        name = f"events.out.tfevents.{time.time_ns()}.{platform.node() or 'host'}"
        self._file = RecordWriter(open(folder / name, "xb"))  # noqa: SIM115
        self._write(file_version="brain.Event:2")
        if new:
            values = {k: v for k, v in config.items() if v is not None}
            self._write(0, summary=_like(self._summary, hparams_pb(values)))
        else:
            SessionLog = messages("event").SessionLog
            start = SessionLog(status=SessionLog.START)
            self._write(step + 1, session_log=start)
        return run_id

    def _made(self) -> str:
        """Make a folder for a new run, and for no other one; return its name."""
        name = stem = self.run_name or time.strftime("%Y%m%d-%H%M%S")
        make_directory((self.log_dir / name).parent)
        for number in itertools.count(2):
            try:
                (self.log_dir / name).mkdir()
                break
            except FileExistsError:
                name = f"{stem}-{number}"
        return name

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write scalars into TensorBoard's file, as one event."""
        Value = self._summary.Value
        made = [Value(tag=tag, simple_value=v) for tag, v in values.items()]
        self._write(step, summary=self._summary(value=made))

    def histogram(self, name: str, array: Array, step: int) -> None:
        """Write a histogram of an array's finite numbers into TensorBoard's file."""
        known = array[np.isfinite(array)].astype(np.float64)
        if not known.size:
            return
        counts, edges = np.histogram(known, BARS)
        histo = messages("histogram").HistogramProto(
            min=known.min(),
            max=known.max(),
            num=known.size,
            sum=known.sum(),
            sum_squares=(known * known).sum(),
            bucket_limit=edges[1:],
            bucket=counts,
        )
        value = self._summary.Value(tag=name, histo=histo)
        self._write(step, summary=self._summary(value=[value]))

    def image(self, name: str, pixels: Array, step: int) -> None:
        """Write a picture into TensorBoard's file, as PNG."""
        height, width, __ = pixels.shape
        image = self._summary.Image(
            height=height, width=width, colorspace=3, encoded_image_string=png(pixels)
        )
        value = self._summary.Value(tag=name, image=image)
        self._write(step, summary=self._summary(value=[value]))

    def graph(self, graph: Graph) -> None:
        """Write the graph of a training step into TensorBoard's file."""
        if self.write_graph:
            self._write(0, graph_def=graph_def(graph).SerializeToString())

    def finish(self, run: Any, completed: bool) -> None:
        """Close TensorBoard's file."""
        self._file.close()
        del self._file  # which no copy of the tracker could have

    def _write(self, step: int = 0, **what: Any) -> None:
        event = self._event(wall_time=time.time(), step=step, **what)
        self._file.write(event.SerializeToString())
        self._file.flush()  # a kill loses nothing that came before a checkpoint


def _like(kind: Any, message: Any) -> Any:
    """Return a message as one of a class: TensorFlow has its own, where it is there."""
    return kind.FromString(message.SerializeToString())

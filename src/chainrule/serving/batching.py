"""Batches of concurrent requests: rows that arrive together are predicted in one call.

No request waits for others to come: what has arrived when the program is free goes
together. Short calls are made by the event loop itself, since to hand one to a thread
and back takes longer; long ones by a thread, while the loop reads the next requests.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from chainrule.graph.node import Array
from chainrule.serving.model import MOST, Served

#: Calls that should take fewer seconds are made by the event loop.
SHORT = 2e-3


@dataclass
class _Waiting:
    """A request that waits for its outputs."""

    served: Served
    arrays: list[Array]
    count: int
    outputs: asyncio.Future[list[Array]]


@dataclass
class _Queue:
    """The requests that wait in an event loop."""

    waiting: list[_Waiting] = field(default_factory=list[_Waiting])
    busy: bool = False


class Batcher:
    """The order in which the requests of an application are predicted.

    Attributes:
        calls, requests: how many there were; fewer calls than requests are batches.
    """

    def __init__(self) -> None:
        self.calls = self.requests = 0
        self._queues: WeakKeyDictionary[Any, _Queue] = WeakKeyDictionary()
        self._row_seconds = 0.0
        self._executor = ThreadPoolExecutor(1, "chainrule-predict")

    async def predict(self, served: Served, arrays: list[Array], count: int) -> Any:
        """Return a program's outputs for the rows of a request.

        Raises:
            ChainruleError: what the program refuses.
        """
        loop = asyncio.get_running_loop()
        queue = self._queues.setdefault(loop, _Queue())
        outputs: asyncio.Future[list[Array]] = loop.create_future()
        queue.waiting.append(_Waiting(served, arrays, count, outputs))
        self.requests += 1
        if not queue.busy:
            queue.busy = True
            loop.call_soon(self._start, loop, queue)
        return await outputs

    def _start(self, loop: Any, queue: _Queue) -> None:
        """Predict what waits; go on while there is more."""
        batch = _next(queue.waiting)
        if not batch:
            queue.busy = False
            return
        if self._row_seconds * sum(r.count for r in batch) < SHORT:
            self._end(loop, queue, batch, self._predicted(batch))
            return
        # A thread, so that the loop goes on meanwhile.
        job = loop.run_in_executor(self._executor, self._predicted, batch)
        job.add_done_callback(lambda j: self._end(loop, queue, batch, j.result()))

    def _end(
        self, loop: Any, queue: _Queue, batch: list[_Waiting], results: list[Any]
    ) -> None:
        for request, result in zip(batch, results):
            if request.outputs.done():  # whoever asked has gone
                continue
            if isinstance(result, Exception):
                request.outputs.set_exception(result)
            else:
                request.outputs.set_result(result)
        loop.call_soon(self._start, loop, queue)

    def _predicted(self, batch: list[_Waiting]) -> list[Any]:
        """Return the outputs of each request of a batch, or the error that it met."""
        started = time.perf_counter()
        self.calls += 1
        try:
            results = _together(batch)
        except Exception as error:  # noqa: BLE001 - each request has its own
            results = [error]
            if len(batch) > 1:  # one may be refused: the others are not
                results = [self._predicted([request])[0] for request in batch]
        seconds = time.perf_counter() - started
        self._row_seconds = seconds / sum(request.count for request in batch)
        return results


def _next(waiting: list[_Waiting]) -> list[_Waiting]:
    """Take the requests off a queue that go into the next call."""
    batch = [waiting.pop(0)] if waiting else []
    rows = sum(request.count for request in batch)
    while waiting and batch[0].served.together:
        request = waiting[0]
        rows += request.count
        if request.served is not batch[0].served or rows > MOST:
            break
        batch.append(waiting.pop(0))
    return batch


def _together(batch: list[_Waiting]) -> list[list[Array]]:
    """Return the outputs of requests whose rows are predicted in one call."""
    served, (first, *rest) = batch[0].served, batch
    if not rest:
        return [served.predict(first.arrays, first.count)]
    arrays = [np.concatenate(parts) for parts in zip(*[r.arrays for r in batch])]
    outputs = served.predict(arrays, sum(r.count for r in batch))
    ends = np.cumsum([r.count for r in batch]).tolist()
    return [
        [a[end - request.count : end] for a in outputs]
        for request, end in zip(batch, ends)
    ]

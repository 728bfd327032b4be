"""Processes that make the batches of a loader ahead of their use."""

from __future__ import annotations

import multiprocessing
import pickle
import random
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, DataError
from chainrule.random import manual_seed
from chainrule.text import _


@dataclass(frozen=True)
class WorkerInfo:
    """The number, seed and data set of a loader's worker process.

    See :func:`get_worker_info`.

    Attributes:
        id: its number, from 0.
        num_workers: how many there are.
        seed: of its random numbers.
        dataset: its copy of the data set.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """Return the number, seed and data of a loader's process; None in any other.

    An ``IterableDataset`` divides its samples by it: those of number ``info.id``,
    ``info.id + info.num_workers``, ….
    """
    return _info


class _Failure:
    """An error in a process of a loader, with its traceback as a text."""

    def __init__(self, error: BaseException) -> None:
        self.text = traceback.format_exc()
        try:
            pickle.loads(pickle.dumps(error))
            self.error: BaseException | None = error
        except Exception:  # noqa: BLE001 - an error of the user's may do anything
            self.error = None


class _End:
    """The mark that a process has no more batches."""


def _serve(
    connection: Any,
    fetching: Callable[[], Callable[[Any], Any]],
    info: WorkerInfo,
    start: Callable[[int], Any] | None,
) -> None:
    """Answer requests for batches, until there are no more; what a process runs."""
    global _info
    _info = info
    manual_seed(info.seed % 2**64)
    random.seed(info.seed)
    np.random.seed(info.seed % 2**32)  # noqa: NPY002 - which data sets may use
    fetch: Callable[[Any], Any] | None = None
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        if request is None:
            return
        try:
            if fetch is None:
                if start is not None:
                    start(info.id)
                fetch = fetching()
            answer: Any = fetch(request[0])
        except StopIteration:
            answer = _End()
        except BaseException as error:  # noqa: BLE001 - raised where the loader is
            answer = _Failure(error)
        connection.send(answer)


class Workers:
    """The processes of a loader.

    Args:
        fetching: called in each process; returns the function that makes a batch.
        dataset: the data set.
        count: of processes.
        seed: of the first one's random numbers.
        start: called in each process, with its number.
        method: how processes start (``"fork"``, ``"spawn"``, …), or a context of
            ``multiprocessing``; None for the platform's own.
        timeout: seconds to wait for a batch; 0 for any time.

    Raises:
        ArgumentError: a data set that cannot be sent to another process.
    """

    def __init__(
        self,
        fetching: Callable[[], Callable[[Any], Any]],
        dataset: Any,
        count: int,
        seed: int,
        *,
        start: Callable[[int], Any] | None,
        method: Any,
        timeout: float,
    ) -> None:
        named = method is None or isinstance(method, str)
        context: Any = multiprocessing.get_context(method) if named else method
        self.timeout = timeout or None
        self._connections: list[Any] = []
        self._processes: list[Any] = []
        for i in range(count):
            mine, its = context.Pipe()
            info = WorkerInfo(i, count, seed + i, dataset)
            process = context.Process(
                target=_serve, args=(its, fetching, info, start), daemon=True
            )
            try:
                process.start()
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                self.close()
                raise ArgumentError(
                    _("The data set cannot be sent to another process."),
                    expected=_("a class and functions that a module defines"),
                    got=f"{type(error).__name__}: {error!s:.120}",
                    fix=_("define them in a module, or num_workers=0"),
                ) from error
            its.close()
            self._connections.append(mine)
            self._processes.append(process)

    def batches(self, requests: Iterable[Any], ahead: int) -> Iterator[Any]:
        """Yield the batches that are requested, in their order.

        Args:
            requests: what :func:`fetch` is called with, one for each batch.
            ahead: how many batches each process makes ahead.

        Raises:
            Exception: what was raised in a process.
            DataError: a process that ended, or takes longer than ``timeout``.
        """
        waiting: deque[int] = deque()
        open_, source = deque(range(len(self._connections))), iter(requests)

        def ask() -> None:
            while open_ and len(waiting) < ahead * len(open_):
                request = next(source, waiting)
                if request is waiting:
                    open_.clear()
                    return
                worker = open_[0]
                open_.rotate(-1)
                self._send(worker, (request,))
                waiting.append(worker)

        try:
            ask()
            while waiting:
                worker = waiting.popleft()
                answer = self._receive(worker)
                if isinstance(answer, _Failure):
                    raise self._error(answer, worker)
                if isinstance(answer, _End):
                    if worker in open_:
                        open_.remove(worker)
                else:
                    ask()
                    yield answer
                    continue
                ask()
        finally:
            for worker in waiting:  # or the next pass would read this one's batches
                if self._processes[worker].is_alive():
                    self._receive(worker)

    def _send(self, worker: int, request: Any) -> None:
        try:
            self._connections[worker].send(request)
        except (BrokenPipeError, OSError) as error:
            raise self._ended(worker) from error

    def _receive(self, worker: int) -> Any:
        connection = self._connections[worker]
        if not connection.poll(self.timeout):
            raise DataError(
                _("A process of the loader takes too long for a batch."),
                expected=_("a batch in {timeout} s", timeout=self.timeout),
                got=_("none of process {worker}", worker=worker),
                fix=_("a larger timeout=, or 0 for any time"),
            )
        try:
            return connection.recv()
        except (EOFError, OSError) as error:
            raise self._ended(worker) from error

    def _ended(self, worker: int) -> DataError:
        process = self._processes[worker]
        process.join(1)
        return DataError(
            _("A process of the loader has ended."),
            expected=_("a batch of process {worker}", worker=worker),
            got=_("exit code {code}", code=process.exitcode),
            fix=_("num_workers=0 shows where"),
        )

    def _error(self, failure: _Failure, worker: int) -> BaseException:
        where = f"in process {worker} of the loader:\n{failure.text}"
        if failure.error is not None:
            failure.error.add_note(where)
            return failure.error
        return DataError(
            _("An error in process {worker} of the loader.", worker=worker),
            got=failure.text.strip().splitlines()[-1],
            fix=_("num_workers=0 shows where"),
        )

    def close(self) -> None:
        """End the processes."""
        for connection in self._connections:
            try:
                connection.send(None)
                connection.close()
            except (BrokenPipeError, OSError):
                pass
        for process in self._processes:
            process.join(1)
            if process.is_alive():
                process.terminate()
        self._connections, self._processes = [], []

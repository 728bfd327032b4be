"""An engine whose memory is not NumPy's, and which counts what goes in and out.

It computes with the NumPy engine; what it stores and returns are buffers that only it
reads. Programs that run on it keep to the contract as for an accelerator.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.engines import Buffer, Capabilities, Engine
from chainrule.engines.numpy.executable import NumpyExecutable
from chainrule.graph.node import Array
from chainrule.graph.program import Program
from chainrule.graph.types import Sizes

ENGINE = Engine(
    "tests.engines.device:DeviceExecutable",
    capabilities=Capabilities(host=False),
)


class Traffic:
    """The bytes that crossed between the host and the engine's memory."""

    def __init__(self) -> None:
        self.fetched = self.sent = self.finite = self.waits = 0

    def clear(self) -> None:
        self.__init__()


traffic = Traffic()


class _Memory:
    """An array that nothing but this engine looks into."""

    def __init__(self, array: Array) -> None:
        self.contents = array


class DeviceBuffer(Buffer):
    """An array in this engine's memory."""

    __slots__ = ()

    def numpy(self) -> Array:
        traffic.fetched += self.data.contents.nbytes
        return self.data.contents.copy()

    def is_finite(self) -> bool:
        traffic.finite += 1
        contents = self.data.contents
        return contents.dtype.kind != "f" or bool(np.isfinite(contents).all())


def _stored(array: Array) -> DeviceBuffer:
    return DeviceBuffer("device", array.shape, array.dtype, _Memory(array))


def _contents(item: Any) -> Array:
    if isinstance(item, Buffer):
        assert isinstance(item, DeviceBuffer), "a buffer of another engine"
        return item.data.contents
    assert type(item) is np.ndarray, type(item)
    traffic.sent += item.nbytes
    return item


class DeviceExecutable:
    """A program of the NumPy engine behind buffers."""

    engine = "device"

    def __init__(self, program: Program, *, threads: int | None = None) -> None:
        self._inner = NumpyExecutable(program, threads=threads)

    @property
    def seconds_compile(self) -> float:
        return self._inner.seconds_compile

    @property
    def completed(self) -> int:
        return self._inner.completed

    @completed.setter
    def completed(self, steps: int) -> None:
        self._inner.completed = steps

    def put(self, entry: str, name: str, array: Array) -> Buffer:
        return _stored(_contents(array).copy())

    def write(self, name: str, array: Array | Buffer) -> None:
        self._inner.write(name, _contents(array))

    def read(self, name: str) -> Buffer:
        value = self._inner.read(name)
        assert isinstance(value, np.ndarray)
        return _stored(value)

    def prepare(self, entry: str, sizes: Sizes) -> object:
        return self._inner.prepare(entry, sizes)

    def run(
        self,
        entry: str,
        inputs: Mapping[str, Array | Buffer],
        *,
        steps: int | None,
        sizes: Sizes,
    ) -> list[Buffer]:
        arrays = {name: _contents(item) for name, item in inputs.items()}
        outputs = self._inner.run(entry, arrays, steps=steps, sizes=sizes)
        return [_stored(np.asarray(a)) for a in outputs]

    def share(self, entry: str, rows: int) -> Array:
        return np.arange(rows)

    def synchronize(self) -> None:
        traffic.waits += 1

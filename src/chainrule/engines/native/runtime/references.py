"""Calls from machine code into NumPy: primitives that run as their references.

Machine code names the primitive by a line of JSON, which is the same in every process,
and passes the addresses and sizes of its operands. The thread that calls takes Python's
lock, computes, and goes on; the others wait at the next barrier.
"""

from __future__ import annotations

import ctypes
import functools
import json
from typing import Any

import numpy as np
from llvmlite import binding

from chainrule.graph.node import Array, Node
from chainrule.graph.primitive import REFERENCES, as_tuple, lookup

#: The name of the function that machine code calls.
SYMBOL = "chainrule_reference"

_FUNCTION = ctypes.CFUNCTYPE(
    ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64, ctypes.POINTER(ctypes.c_int64)
)


def description(node: Node) -> bytes:
    """Return a node's primitive, attributes and operands as a line of JSON."""
    dtypes = [[v and v.dtype.name, v and len(v.shape)] for v in node.outputs]
    return json.dumps(
        {
            "primitive": node.primitive.name,
            "attrs": node.attrs,
            "inputs": [[v.dtype.name, len(v.shape)] for v in node.inputs],
            "outputs": dtypes,
        }
    ).encode()


@functools.lru_cache(maxsize=256)
def _described(text: bytes) -> tuple[Any, list[Any], list[Any]]:
    """Return the function that a line of JSON names, its inputs' and outputs' types."""
    task = json.loads(text)
    reference = REFERENCES[lookup(task["primitive"])]
    run = functools.partial(reference, **task["attrs"])
    return run, task["inputs"], task["outputs"]


def _array(words: Any, at: int, dtype: str, rank: int) -> tuple[Array, int]:
    """Return the array whose address and sizes are words, and where these end."""
    shape = tuple(words[at + 1 : at + 1 + rank])
    kind = np.dtype(dtype)
    length = max(1, int(np.prod(shape)) * kind.itemsize)
    memory: Any = (ctypes.c_char * length).from_address(words[at])
    return np.ndarray(shape, kind, memory), at + 1 + rank


@_FUNCTION
def _call(text: int, length: int, words: Any) -> int:
    """Run a reference for machine code; return 0, or 1 where it raises an error."""
    try:
        run, inputs, outputs = _described(ctypes.string_at(text, length))
        arrays, at = list[Array](), 0
        for dtype, rank in inputs:
            array, at = _array(words, at, dtype, rank)
            arrays.append(array)
        with np.errstate(all="ignore"):
            results = as_tuple(run(*arrays))
        for (dtype, rank), result in zip(outputs, results, strict=True):
            if dtype is not None:
                array, at = _array(words, at, dtype, rank)
                array[...] = result
    except BaseException:  # noqa: BLE001 - nothing may pass through machine code
        return 1
    return 0


def define_symbols() -> None:
    """Register the function that machine code calls with LLVM."""
    address = ctypes.cast(_call, ctypes.c_void_p).value
    assert address is not None
    binding.add_symbol(SYMBOL, address)

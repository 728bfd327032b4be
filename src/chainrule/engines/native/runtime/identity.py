"""Cache keys of machine code: digests of everything that the code depends on.

Everything that could change one bit of the code is part of them: the program as it was
traced, this engine's source, the versions of what compiles, and the processor.
"""

from __future__ import annotations

import functools
import platform
import sys
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite
import numpy as np
from llvmlite import binding

from chainrule.engines.native.runtime.code_cache import code_cache
from chainrule.engines.native.runtime.jit import host
from chainrule.engines.threads import available_cores
from chainrule.graph.graph import Graph
from chainrule.graph.primitive import Array, Primitive
from chainrule.graph.program import Program
from chainrule.graph.types import DType, SymbolicDim
from chainrule.version import IMPORTED, __version__

#: The source that decides what becomes of a traced program.
SOURCES = (
    "autodiff.py",
    "engines",
    "graph",
    "passes",
    "primitives",
    "composites",
)


def digest(*parts: Any) -> str:
    """Return a digest of texts and numbers, the name of a machine code cache entry."""
    return sha256(repr(parts).encode()).hexdigest()


@functools.cache
def environment() -> str | None:
    """Return a digest of processor, versions and code for cache keys, or None."""
    source = source_digest(Path(__file__).parents[3])
    if source is None:
        return None
    _, cpu, features = host()
    return digest(
        (__version__, source),
        (llvmlite.__version__, binding.llvm_version_info),
        (np.__version__, platform.python_version()),
        (binding.get_default_triple(), cpu, features),
    )


def source_digest(package: Path) -> str | None:
    """Return a digest of the code generator's source files, or None if unreadable.

    It is None if there is no source to read, or if the source was changed after this
    process began to import it: then the process runs another version.
    """
    source = sha256()
    try:
        for name in SOURCES:
            place = package / name
            files = [place] if place.suffix else sorted(place.rglob("*.py"))
            for path in files:
                about = path.stat()
                if max(about.st_mtime, about.st_ctime) > IMPORTED:
                    return None
                within = path.relative_to(package).as_posix()
                source.update(f"{within} {about.st_size}\n".encode())
                source.update(path.read_bytes())
    except OSError:
        return None
    return source.hexdigest()


def identity(program: Program) -> str | None:
    """Return the machine code cache's key for a program, or None without a cache.

    It is None if there is no cache, or if the digest cannot be computed: a primitive
    from outside this package may change without its name.
    """
    known = environment() if code_cache() else None
    if known is None:
        return None
    try:
        entries = [
            (
                entry.name,
                _graph(entry.graph),
                (entry.inputs, entry.each, entry.state),
                (tuple(entry.replaces.items()), entry.outputs),
            )
            for entry in program.entries.values()
        ]
    except _UnknownError:
        return None
    return digest(known, available_cores(), entries)


class _UnknownError(Exception):
    """The error for an object of a program that has no description for a cache key."""


def _graph(graph: Graph) -> Any:
    """Return a description of all that a graph computes, for its cache key."""
    number = {value: i for i, value in enumerate(graph.values())}
    rows = [
        (
            _primitive(node.primitive),
            [number[value] for value in node.inputs],
            [(name, _item(item)) for name, item in node.attrs.items()],
            [v and (number[v], v.dtype.short, _item(v.shape)) for v in node.outputs],
        )
        for node in graph.nodes
    ]
    inputs = [(v.name, v.dtype.short, _item(v.shape)) for v in graph.inputs]
    return inputs, rows, [number[value] for value in graph.outputs]


@functools.lru_cache(maxsize=512)
def _primitive(primitive: Primitive) -> str:
    """Return a primitive's name for a cache key; raise an error for a foreign one."""
    for name, module in list(sys.modules.items()):
        if name.startswith("chainrule.") and primitive in _declared(module):
            return primitive.name
    raise _UnknownError(primitive.name)


@functools.lru_cache(maxsize=1024)
def _declared(module: ModuleType) -> frozenset[Primitive]:
    """Return the primitives (graph operations) that a Python module contains."""
    items = [*vars(module).values()]
    classes = [item for item in items if isinstance(item, type)]
    items += [item for kind in classes for item in vars(kind).values()]
    return frozenset(p for p in items if isinstance(p, Primitive))


def _item(item: Any) -> Any:
    """Return a node's attribute in a form that is complete, for the cache key."""
    if item is None or isinstance(item, bool | int | float | str | bytes | DType):
        return item
    if isinstance(item, tuple):
        return tuple(map(_item, item))  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(item, SymbolicDim):
        return ("size", item.factor, item.names)
    if isinstance(item, Graph):
        return _graph(item)
    if isinstance(item, np.generic | np.ndarray):
        array: Array = np.asarray(item)  # pyright: ignore[reportUnknownArgumentType]
        return (str(array.dtype), array.shape, array.tobytes())
    raise _UnknownError

"""Engines: each turns a program into something that runs.

``numpy`` works everywhere; ``native`` compiles to machine code where llvmlite is.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Protocol

from chainrule.errors import EngineError, nearest
from chainrule.graph.node import Array
from chainrule.graph.program import Program
from chainrule.graph.types import Sizes

ENGINES = ("auto", "numpy", "native")


class Executable(Protocol):
    """A program that is ready to run. It owns the state."""

    engine: str
    seconds_compile: float

    def write(self, name: str, array: Array) -> None:
        """Set a state."""
        ...

    def read(self, name: str) -> Array:
        """A copy of a state, in its canonical shape."""
        ...

    def run(
        self, entry: str, inputs: Mapping[str, Array], *, steps: int, sizes: Sizes
    ) -> list[Array]:
        """Run an entry point ``steps`` times; every output has ``steps`` rows."""
        ...


def native_problem() -> str | None:
    """Why the native engine cannot run here, or None where it can."""
    if importlib.util.find_spec("llvmlite") is None:
        return "llvmlite is not installed (there is no wheel for some platforms)"
    return None


def resolve_engine(name: str) -> str:
    """``auto`` resolved to the engine that will run."""
    if name not in ENGINES:
        raise EngineError(
            f"There is no engine {name!r}.",
            expected=", ".join(ENGINES),
            got=repr(name),
            fix=_fix(name),
        )
    problem = native_problem()
    if name == "auto":
        return "numpy" if problem else "native"
    if name == "native" and problem:
        raise EngineError(
            "The native engine cannot run here.",
            expected="llvmlite",
            got=problem,
            fix='pip install llvmlite, or use engine="numpy"',
        )
    return name


def _fix(name: str) -> str:
    """What to write instead of an engine that does not exist."""
    auto = 'engine="auto" picks the fastest that runs here'
    if str(name).lower().startswith(("cuda", "gpu", "mps", "tpu")):
        return f"engines run on the CPU, there is none for GPUs; {auto}"
    near = nearest(name, ENGINES)
    return f"did you mean {near!r}? {auto}" if near else auto


def load_engine(
    name: str,
    program: Program,
    *,
    threads: int | None = None,
) -> Executable:
    """Load ``program`` into an engine.

    Args:
        name: ``auto``, ``numpy`` or ``native``.
        program: the entry points and their state.
        threads: how many threads to use; None takes every core.
    """
    if resolve_engine(name) == "numpy":
        from chainrule.engines.numpy.executable import NumpyExecutable

        return NumpyExecutable(program)
    from chainrule.engines.native.executable import NativeExecutable

    return NativeExecutable(program, threads=threads)

"""Engines: backends (machine code, NumPy) that run programs, and their registry.

``numpy`` works everywhere; ``native`` compiles to machine code where llvmlite is.
Another engine is one more row of the registry (:func:`register`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from chainrule.engines.garbage import gc_paused
from chainrule.errors import EngineError, nearest
from chainrule.graph.node import Array
from chainrule.graph.types import Sizes
from chainrule.text import _

if TYPE_CHECKING:
    from chainrule.graph.program import Program


class Buffer:
    """An input array that an engine has stored for repeated use in many runs.

    Attributes:
        shape, dtype: those of the array.
        data: what the engine reads: an array for an engine on this machine's
            processors; an accelerator has its own.
        sharding: how the engine has spread it over devices; None for one place.
    """

    __slots__ = ("data", "dtype", "shape", "sharding")

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        data: Any,
        sharding: Any = None,
    ) -> None:
        self.shape, self.dtype = shape, dtype
        self.data, self.sharding = data, sharding

    def numpy(self) -> Array:
        """Return an engine's stored input array as a NumPy array."""
        return np.asarray(self.data)


class Executable(Protocol):
    """A program loaded into an engine, ready to run; it owns the program's state.

    Attributes:
        engine: its engine's name.
        seconds_compile: time spent on preparing and compiling so far.
        completed: the number of steps of the last run. Where it ended with an
            exception these are the steps that the state has seen.
    """

    engine: str
    seconds_compile: float
    completed: int

    def put(self, entry: str, name: str, array: Array) -> Buffer:
        """Store an input array in the engine's layout, for use in many runs."""
        ...

    def write(self, name: str, array: Array) -> None:
        """Set the value of a program's state (such as a parameter) in the engine."""
        ...

    def read(self, name: str) -> Array:
        """Return a copy of a program's state (such as a parameter) from the engine."""
        ...

    def prepare(self, entry: str, sizes: Sizes) -> object:
        """Compile a program's entry point for sizes, without running it."""
        ...

    def run(
        self,
        entry: str,
        inputs: Mapping[str, Array | Buffer],
        *,
        steps: int,
        sizes: Sizes,
    ) -> list[Array]:
        """Run a program's entry point; every output has a row for each step."""
        ...


def on_host(array: Array) -> Buffer:
    """Store an array as an input for an engine that reads this process' memory."""
    copy = np.ascontiguousarray(array)
    return Buffer(copy.shape, copy.dtype, copy)


class Engine:
    """A registered engine: the location of its class, and whether it can run here.

    Attributes:
        load: where its executable is: ``module:class``, called with the program and
            ``threads``. The module is imported when the engine is first used.
        problem: why it cannot run here, or None where it can.
    """

    __slots__ = ("load", "problem")

    def __init__(
        self, load: str, problem: Callable[[], str | None] = lambda: None
    ) -> None:
        self.load, self.problem = load, problem


_registry: dict[str, Engine] = {}


def register(name: str, engine: Engine) -> None:
    """Register an engine that can run programs; ``auto`` prefers later ones."""
    _registry[name] = engine


def native_problem() -> str | None:
    """Return the reason why the native engine cannot run here, or None if it can."""
    from importlib.util import find_spec  # which few programs need

    if find_spec("llvmlite") is None:
        return _("llvmlite is not installed (there is no wheel for some platforms)")
    return None


def xla_problem() -> str | None:
    """Return the reason why the XLA engine cannot run here, or None if it can."""
    from importlib.util import find_spec  # which few programs need

    if find_spec("jax") is None:
        return _("JAX is not installed: pip install 'chainrule[xla]'")
    return None


register(
    "xla",
    Engine("chainrule.engines.xla.executable:XlaExecutable", xla_problem),
)
register("numpy", Engine("chainrule.engines.numpy.executable:NumpyExecutable"))
register(
    "native",
    Engine(
        "chainrule.engines.native.runtime.executable:NativeExecutable", native_problem
    ),
)


def engine_names() -> tuple[str, ...]:
    """Return the names of all engines, the valid values of ``engine=``."""
    return ("auto", *_registry)


#: What an engine is asked for by.
EngineName = Literal["auto", "numpy", "native"]


def resolve_engine(name: str) -> str:
    """Return the name of the engine for a request; ``auto`` selects one."""
    if name == "auto":
        return next(n for n in reversed(_registry) if _registry[n].problem() is None)
    if name not in _registry:
        raise EngineError(
            _("There is no engine {name!r}.", name=name),
            expected=", ".join(engine_names()),
            got=repr(name),
            fix=_fix(name),
        )
    problem = _registry[name].problem()
    if problem:
        raise EngineError(
            _("The {name} engine cannot run here.", name=name),
            expected=_("what it needs"),
            got=problem,
            fix=_('install that, or use engine="numpy"'),
        )
    return name


def _fix(name: str) -> str:
    """Return a hint for the error on an unknown engine's name."""
    auto = _('engine="auto" picks the fastest that runs here')
    if str(name).lower().startswith(("cuda", "gpu", "mps", "tpu")):
        return _("engines run on the CPU, there is none for GPUs; {auto}", auto=auto)
    near = nearest(name, engine_names())
    return _("did you mean {near!r}? {auto}", near=near, auto=auto) if near else auto


@gc_paused()
def load_engine(
    name: str,
    program: Program,
    *,
    threads: int | None = None,
) -> Executable:
    """Load a program into an engine, ready to run; return the executable.

    Args:
        name: ``auto``, or the name of an engine.
        program: the entry points and their state.
        threads: how many threads to use; None lets the engine decide.
    """
    module, __, kind = _registry[resolve_engine(name)].load.partition(":")
    return getattr(importlib.import_module(module), kind)(program, threads=threads)

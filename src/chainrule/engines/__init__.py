"""Engines: backends (machine code, NumPy) that run programs, and their registry.

``numpy`` works everywhere; ``native`` compiles to machine code where llvmlite is;
``xla`` runs on XLA, through JAX, for accelerators and large models.
Another engine is one more row of the registry (:func:`register`), which fulfils
:mod:`chainrule.engines.contract`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from chainrule.engines.contract import Buffer, Capabilities, Executable, Parts
from chainrule.engines.garbage import gc_paused
from chainrule.errors import EngineError, nearest
from chainrule.graph.graph import Graph
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.types import DType
from chainrule.text import _

if TYPE_CHECKING:
    from chainrule.engines.spread import Axes, Devices, Spread
    from chainrule.graph.program import Program

__all__ = [
    "Buffer",
    "Capabilities",
    "Engine",
    "EngineName",
    "Executable",
    "Parts",
    "capabilities",
    "engine_names",
    "load_engine",
    "native_problem",
    "need_engine",
    "on_host",
    "register",
    "resolve_engine",
    "spread_of",
]


def on_host(engine: str, array: Array) -> Buffer:
    """Store an array as an input for an engine that reads this process' memory."""
    copy = np.asarray(array, order="C")  # ascontiguousarray gives a number an axis
    return Buffer(engine, copy.shape, copy.dtype, copy)


class Engine:
    """A registered engine: the location of its class, and whether it can run here.

    Attributes:
        load: where its executable is: ``module:class``, called with the program and
            ``threads``, and with ``spread`` where it spreads programs over devices
            (:class:`~chainrule.engines.spread.Spread`). The module is imported when the
            engine is first used.
        problem: why it cannot run here, or None where it can.
        capabilities: what it can do beyond running programs.
        join: where the function is that joins several processes, ``module:function``;
            it is called before anything else. None: it runs in one process.
    """

    __slots__ = ("capabilities", "join", "load", "problem")

    def __init__(
        self,
        load: str,
        problem: Callable[[], str | None] = lambda: None,
        capabilities: Capabilities | None = None,
        join: str | None = None,
    ) -> None:
        self.load, self.problem, self.join = load, problem, join
        self.capabilities = capabilities or Capabilities()


_registry: dict[str, Engine] = {}


#: What ``auto`` selects: the first that can run here. Another engine is asked for by
#: its name, so that no installed package changes what a program computes.
AUTO = ("native", "numpy")


def register(name: str, engine: Engine) -> None:
    """Register an engine that can run programs, under a name."""
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


register("numpy", Engine("chainrule.engines.numpy.executable:NumpyExecutable"))
register(
    "native",
    Engine(
        "chainrule.engines.native.runtime.executable:NativeExecutable",
        native_problem,
        Capabilities(schedules=True, replicas=True, compiles_each_size=False),
    ),
)


register(
    "xla",
    Engine(
        "chainrule.engines.xla.executable:XlaExecutable",
        xla_problem,
        Capabilities(host=False, threads=False, devices=True),
        "chainrule.engines.xla.processes:start",
    ),
)


def engine_names() -> tuple[str, ...]:
    """Return the names of all engines, the valid values of ``engine=``."""
    return ("auto", *_registry)


#: What an engine is asked for by.
EngineName = Literal["auto", "numpy", "native", "xla"]


def resolve_engine(name: str) -> str:
    """Return the name of the engine for a request; ``auto`` selects one.

    An engine that runs in several processes joins those that there are.
    """
    if name == "auto":
        return next(n for n in AUTO if _registry[n].problem() is None)
    need_engine(name)
    if (join := _registry[name].join) is not None:
        _found(join)()
    return name


def need_engine(name: str) -> None:
    """Raise an error if there is no such engine, or if it cannot run here.

    Raises:
        EngineError: with what is missing.
    """
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


def capabilities(name: str) -> Capabilities:
    """Return what an engine can do beyond running programs, by its name."""
    return _registry[resolve_engine(name)].capabilities


def _fix(name: str) -> str:
    """Return a hint for the error on an unknown engine's name."""
    auto = _('engine="auto" picks the fastest that runs here')
    if str(name).lower().startswith(("cuda", "gpu", "mps", "tpu")):
        return _('engine="xla" runs on GPUs, through JAX; {auto}', auto=auto)
    near = nearest(name, engine_names())
    return _("did you mean {near!r}? {auto}", near=near, auto=auto) if near else auto


@gc_paused()
def load_engine(
    name: str,
    program: Program,
    *,
    threads: int | None = None,
    devices: Devices | None = None,
    mesh: Mapping[str, int] | None = None,
    sharding: Mapping[str, Axes] | None = None,
) -> Executable:
    """Load a program into an engine, ready to run; return the executable.

    Args:
        name: ``auto``, or the name of an engine.
        program: the entry points and their state.
        threads: how many threads to use; None lets the engine decide.
        devices, mesh, sharding: over which devices it is spread, and how; see
            :mod:`chainrule.engines.spread`.

    Raises:
        EngineError: the engine cannot run here, takes no number of threads or devices,
            has fewer devices, or has not all element types of the program.
        ArgumentError: a mesh or a sharding that cannot be.
    """
    name = resolve_engine(name)
    engine = _registry[name]
    spread = spread_of(name, devices, mesh, sharding)
    if threads is not None and not engine.capabilities.threads:
        raise EngineError(
            _("The {name} engine takes no number of threads.", name=name),
            expected="threads=None",
            got=f"threads={threads!r}",
            fix=_("leave it out; the engine has settings of its own"),
        )
    _check_dtypes(name, program)
    over = {"spread": spread} if engine.capabilities.devices else {}
    return _found(engine.load)(program, threads=threads, **over)


def spread_of(
    name: str,
    devices: Devices | None = None,
    mesh: Mapping[str, int] | None = None,
    sharding: Mapping[str, Axes] | None = None,
) -> Spread | None:
    """Return the checked request for devices of an engine; None where there is none.

    Raises:
        EngineError: an engine of one device.
        ArgumentError: what :func:`~chainrule.engines.spread.spread_over` refuses.
    """
    if devices is None and mesh is None and sharding is None:
        return None
    from chainrule.engines.spread import spread_over  # which few programs need

    able = capabilities(name).devices
    return spread_over(name, able, devices, mesh, sharding)


def _found(place: str) -> Any:
    """Return what ``module:name`` says."""
    module, __, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def _check_dtypes(name: str, program: Program) -> None:
    """Refuse a program with an element type that an engine does not compute with."""
    dtypes = _registry[name].capabilities.dtypes
    if len(dtypes) == len(DType):
        return
    for entry in program.entries.values():
        for value, node in _values(entry.graph):
            if value.dtype in dtypes:
                continue
            place = node and _(
                "in '{scope}', {source}", scope=node.scope, source=node.source
            )
            raise EngineError(
                _(
                    "The {name} engine does not compute with {dtype}.",
                    name=name,
                    dtype=value.dtype.name,
                ),
                expected=", ".join(sorted(d.name for d in dtypes)),
                got=f"{value!r} {place or entry.name}",
                fix=_("another dtype, or another engine"),
            )


def _values(graph: Graph) -> Iterator[tuple[Value, Node | None]]:
    """Yield all values of a graph, and of those within it, with a node of each."""
    for node in graph.nodes:
        for value in (*node.inputs, *node.outputs):
            if value is not None:
                yield value, node
        for attr in node.attrs.values():
            parts = cast(
                "tuple[Any, ...]", attr if isinstance(attr, tuple) else (attr,)
            )
            for inner in parts:
                if isinstance(inner, Graph):
                    yield from _values(inner)
    for value in (*graph.inputs, *graph.outputs):
        yield value, value.node

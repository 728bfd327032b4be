"""What the package keeps of past networks has a small bound, wherever it is kept.

The caches of ``functools`` are found by the garbage collector. Containers that modules
and closures hold are measured before and after networks that nobody has any more.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from types import CellType, FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.engines.native.runtime import jit
from chainrule.util.bounded import Bounded
from tests.ways import ENGINES

#: The engines; the fast suite has the last one alone.
LAST = [*(pytest.param(e, marks=pytest.mark.slow) for e in ENGINES[:-1]), ENGINES[-1]]
#: Entries of a cache at most.
SMALL = 2048

#: Containers that grow up to a bound of their own, and why.
BOUNDED_OTHERWISE = {
    "chainrule.engines.native.runtime.jit._packs": "IDLE, beside those of programs",
    "chainrule.engines.native.runtime.jit._pack_of": "the kernels of _packs",
    "chainrule.engines.native.runtime.jit._entries": "IDLE",
    "chainrule.engines.native.loops.kernels._known": "the kernels of _packs",
}


@pytest.fixture(scope="module")
def functions_of_the_package() -> list[Any]:
    """The package's functions, plain and cached, of all modules that can be imported.

    One look at all objects of the process, of which there are millions after other
    tests: these the suite keeps out of the collector's sight, here as well. Networks
    ran before it, whose functions are kept.
    """
    for info in pkgutil.walk_packages(cr.__path__, "chainrule."):
        if not info.name.endswith("__main__"):
            try:
                importlib.import_module(info.name)
            except ImportError:  # of an extra
                continue
    for engine in ("eager", *ENGINES):
        _kept(engine, range(2, 4))
    gc.unfreeze()
    found = [
        item
        for item in gc.get_objects()
        if type(item) in (FunctionType, functools._lru_cache_wrapper)
        and str(getattr(item, "__module__", "")).split(".")[0] == "chainrule"
    ]
    gc.freeze()
    return found


# -- caches of functools ---------------------------------------------------------------


@pytest.fixture(scope="module")
def functions(functions_of_the_package: list[Any]) -> list[Any]:
    """The cached functions of all modules of the package that can be imported."""
    return [
        item
        for item in functions_of_the_package
        if type(item) is functools._lru_cache_wrapper
        and "<locals>" not in item.__qualname__  # gone with what has made it
    ]


def test_there_are_cached_functions(functions: list[Any]) -> None:
    names = {item.__qualname__ for item in functions}
    assert {"parse_dims", "broadcast_shapes", "stream_words", "tidy"} <= names


def test_every_cached_function_with_arguments_has_a_small_bound(
    functions: list[Any],
) -> None:
    def too_large(item: Any) -> bool:
        takes_nothing = not inspect.signature(item.__wrapped__).parameters
        most = item.cache_parameters()["maxsize"]
        return not takes_nothing and (most is None or most > SMALL)

    wrong = [item for item in functions if too_large(item)]
    assert not wrong


# -- containers of modules and closures ------------------------------------------------


def _containers(functions: list[Any]) -> Iterator[tuple[str, Any]]:
    """The dictionaries, lists and sets that modules and functions' closures hold."""
    kinds = (dict, list, set)
    for name, module in list(sys.modules.items()):
        if isinstance(module, ModuleType) and name.split(".")[0] == "chainrule":
            for key, item in vars(module).items():
                if isinstance(item, kinds) and not key.startswith("__"):
                    yield f"{name}.{key}", item
    for item in functions:
        if type(item) is FunctionType and item.__closure__:
            names = item.__code__.co_freevars
            for key, cell in zip(names, item.__closure__):
                held = _content(cell)
                if isinstance(held, kinds):
                    yield f"{item.__module__}.{item.__qualname__}({key})", held


@pytest.fixture(scope="module")
def containers(functions_of_the_package: list[Any]) -> dict[int, tuple[str, Any]]:
    """All of them by identity, each with its name."""
    return {id(held): (n, held) for n, held in _containers(functions_of_the_package)}


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty
        return None


@pytest.fixture(scope="module")
def bounded(containers: dict[int, tuple[str, Any]]) -> list[Bounded[Any, Any]]:
    return [item for _, item in containers.values() if isinstance(item, Bounded)]


def _train(engine: str, a: int) -> None:
    """A network of this width, trained by a compiled function, or in eager code."""
    x = cr.tensor(np.linspace(-1, 1, 32, dtype=np.float32).reshape(8, 4))
    model = nn.Sequential(nn.Linear(4, a), nn.GELU(), nn.Linear(a, 2), nn.Softmax(-1))
    opt = optim.Adam(model.parameters(), lr=1e-3)

    def step(x: cr.Tensor) -> cr.Tensor:
        opt.zero_grad()
        loss = model(x)[:, :1].square().mean()
        loss.backward()
        opt.step()
        return loss

    run = step if engine == "eager" else cr.compile(step, engine=engine)
    run(x)


def _kept(engine: str, sizes: range) -> None:
    for a in sizes:
        _train(engine, a)
    gc.collect()


def test_containers_that_grow_have_a_bound(
    engine: str, containers: dict[int, tuple[str, Any]]
) -> None:
    before = {key: len(item) for key, (_, item) in containers.items()}
    _kept("eager", range(4, 7))
    _kept(engine, range(4, 7))
    grown = {
        name
        for key, (name, item) in containers.items()
        if len(item) >= before[key] + 3  # one a network
        and not isinstance(item, Bounded)
    }
    assert grown <= BOUNDED_OTHERWISE.keys()


def test_a_bounded_container_is_small(bounded: list[Bounded[Any, Any]]) -> None:
    assert len(bounded) > 50  # of composites alone
    assert max(item.most for item in bounded) <= SMALL


def test_a_bounded_container_forgets_the_oldest_entry() -> None:
    kept: Bounded[int, int] = Bounded(3)
    for n in range(10):
        kept[n] = n
    kept[9] = 5  # no new entry
    assert kept == {7: 7, 8: 8, 9: 5}


# -- objects and memory ----------------------------------------------------------------


@pytest.fixture
def shrunk(
    monkeypatch: pytest.MonkeyPatch, bounded: list[Bounded[Any, Any]]
) -> Callable[[], None]:
    """Has every Bounded hold two entries, so that bounds are reached at once."""

    def shrink() -> None:
        for item in bounded:
            item.clear()
            monkeypatch.setattr(item, "most", 2)

    return shrink


def test_numbers_are_the_same_with_bounds_that_are_always_reached(
    shrunk: Callable[[], None],
) -> None:
    def losses(engine: str) -> list[float]:
        cr.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 3))
        opt = optim.Adam(model.parameters(), lr=1e-2)
        x = cr.tensor(np.linspace(-1, 1, 32, dtype=np.float32).reshape(8, 4))
        made = []
        for _ in range(3):
            opt.zero_grad()
            loss = model(x).log_softmax(-1).square().mean()
            loss.backward()
            opt.step()
            made.append(loss.item())
        return made

    wanted = losses("numpy")
    shrunk()
    assert losses("numpy") == wanted


def _objects() -> Counter[str]:
    """How many there are of each type of the package."""
    kinds = (type(item) for item in gc.get_objects())
    return Counter(
        kind.__qualname__
        for kind in kinds
        if str(kind.__module__).split(".")[0] == "chainrule"
    )


@pytest.mark.parametrize("engine", LAST)
def test_a_past_network_leaves_no_object_once_bounds_are_reached(
    engine: str, monkeypatch: pytest.MonkeyPatch, shrunk: Callable[[], None]
) -> None:
    shrunk()
    if engine == "native":
        monkeypatch.setattr(jit, "IDLE", 1)
    _kept(engine, range(2, 4))
    before = _objects()
    _kept(engine, range(4, 6))
    left = {kind: n for kind, n in (_objects() - before).items() if n >= 2}
    assert not left


_MANY = """
import ctypes, gc, os, sys
os.environ["CHAINRULE_CACHE"] = "0"
import numpy as np
import chainrule as cr
from chainrule import nn, optim
from chainrule.util.bounded import Bounded

class Malloc(ctypes.Structure):  # glibc's struct mallinfo2
    _fields_ = [(f"field{i}", ctypes.c_size_t) for i in range(10)]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Malloc

def allocated():
    gc.collect()
    found = libc.mallinfo2()
    return found.field4 + found.field7  # in large blocks of their own, in all others

def network(a):
    model = nn.Sequential(nn.Linear(4, a), nn.Tanh(), nn.Linear(a, 2))
    opt = optim.Adam(model.parameters(), lr=1e-3)
    def step(x):
        opt.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        opt.step()
        return loss
    run = cr.compile(step, engine=sys.argv[1])
    run(x)
    run(x)

x, rng = np.ones((8, 4), np.float32), np.random.default_rng(0)
network(1)
for item in gc.get_objects():
    if type(item) is Bounded:  # its bound is reached at once
        item.clear()
        item.most = 4
if sys.argv[1] == "native":
    from chainrule.engines.native.runtime import jit
    jit.IDLE = 2
seen = []
for i in range(400):  # what has a bound fills up with the first hundred and a half
    network(int(rng.integers(2, 10)))
    if i % 10 == 9:
        seen.append(allocated())
print(min(seen[30:]) - min(seen[15:25]))
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not (sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "mallinfo2")),
    reason="asks the malloc of glibc",
)
def test_no_byte_more_is_allocated_network_after_network(engine: str) -> None:
    made = subprocess.run(
        [sys.executable, "-c", _MANY, engine],
        env={**os.environ, "PYTHONMALLOC": "malloc"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(made.stdout) < 64_000  # 430 bytes a network

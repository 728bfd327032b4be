"""Whatever a compiled function's Python read outside may change: then so does it.

Each case makes a function, the arguments of some calls, and what happens after each
call; run eagerly and on an engine the results are the same.
"""

from __future__ import annotations

import collections
import contextvars
import dataclasses
import enum
import functools
import operator
import random
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError

X = cr.tensor([1.0, 2.0, 3.0])

#: A function, the arguments of each call, and what happens after each.
Made = tuple[Callable[..., Any], list[tuple[Any, ...]], Callable[[], Any]]
CASES: dict[str, Callable[[], Made]] = {}


def case(make: Callable[[], Made]) -> Callable[[], Made]:
    CASES[make.__name__] = make
    return make


def runs(make: Callable[[], Made], engine: str | None) -> list[list[float]]:
    function, calls, after = make()
    run = cr.compile(function, engine=engine) if engine else function
    seen: list[list[float]] = []
    for given in calls:
        seen.append(run(*given).tolist())
        after()
    return seen


@dataclasses.dataclass
class Config:
    k: float = 2.0


class Thing:
    shared = 5.0

    def __init__(self) -> None:
        self.k, self.items, self.named = 2.0, [1.0, 2.0], {"a": 1.0}
        self.w = cr.tensor([1.0, 2.0, 3.0])

    def run(self, x: cr.Tensor) -> cr.Tensor:
        return x * self.k * self.w * self.items[0] * self.named["a"]

    def __call__(self, x: cr.Tensor) -> cr.Tensor:
        return self.run(x)

    @property
    def double(self) -> float:
        return self.k * 2

    def by_property(self, x: cr.Tensor) -> cr.Tensor:
        return x * self.double

    def by_class(self, x: cr.Tensor) -> cr.Tensor:
        return x * self.shared

    def change(self) -> None:
        self.k += 1
        self.w = self.w * 2
        self.items[0] += 1
        self.named["a"] += 1


class Slotted:
    __slots__ = ("k",)

    def __init__(self) -> None:
        self.k = 1.0

    def change(self) -> None:
        self.k += 1


class Net(nn.Module):
    def __init__(self) -> None:
        self.config = types.SimpleNamespace(k=2.0)
        self.table = [1.0, 2.0]
        self.steps = [lambda x: x * self.table[0]]

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.encode(x) * self.config.k

    def encode(self, x: cr.Tensor) -> cr.Tensor:
        return self.steps[0](x)

    def change(self) -> None:
        self.config.k += 1
        self.table[0] += 1

    def change_one(self) -> None:
        self.config.k += 1


def _of(kind: type, use: Callable[[Any], Callable[..., Any]]) -> Callable[[], Made]:
    def make() -> Made:
        thing = kind()
        return use(thing), [(X,)] * 3, thing.change

    return make


for name, kind, use in (
    ("a callable object", Thing, lambda t: t),
    ("a method", Thing, lambda t: t.run),
    ("a method that reads a property", Thing, lambda t: t.by_property),
    ("an object in a list", Thing, lambda t: lambda x, ts=[t]: ts[0].run(x)),
    ("an object in a dictionary", Thing, lambda t: lambda x: {"a": t}["a"].run(x)),
    ("an attribute by its name", Thing, lambda t: lambda x: x * getattr(t, "k")),  # noqa: B009
    (
        "an attribute by a computed name",
        Thing,
        lambda t: lambda x: x * vars(t)["K".lower()],
    ),
    ("an object with slots", Slotted, lambda t: lambda x: x * t.k),
    ("a module's nested attributes", Net, lambda m: m),
    ("a module within a container", Net, lambda m: nn.Sequential(m)),
    ("a method of a module", Net, lambda m: lambda x: m.encode(x)),
):
    CASES[name] = _of(kind, use)


FACTOR = 2.0


@case
def what_a_module_that_is_compiled_reads() -> Made:
    net = Net()
    return net, [(X,)] * 3, net.change_one


@case
def a_global() -> Made:
    globals()["FACTOR"] = 2.0

    def change() -> None:
        globals()["FACTOR"] += 1

    return lambda x: x * FACTOR, [(X,)] * 2, change


@case
def a_number_and_an_array_of_the_function_around() -> Made:
    k, table = 2.0, np.array([1.0, 2.0, 3.0], np.float32)

    def change() -> None:
        nonlocal k
        k, table[1] = 5.0 - k, 100.0 * k

    return lambda x: x * k + cr.tensor(table), [(X,)] * 3, change


@case
def an_object_as_an_argument() -> Made:
    thing = Thing()
    return lambda thing, x: thing.run(x), [(thing, X)] * 3, thing.change


@case
def a_dataclass_as_an_argument() -> Made:
    config = Config()

    def change() -> None:
        config.k += 1

    return lambda config, x: x * config.k, [(config, X)] * 2, change


@case
def an_object_that_a_helper_reads() -> Made:
    config = Config()

    def helper(given: Config, x: cr.Tensor) -> cr.Tensor:
        return x * given.k

    def change() -> None:
        config.k += 1

    return lambda x: helper(config, x), [(X,)] * 2, change


@case
def an_attribute_of_a_class() -> Made:
    class Local(Thing):
        shared = 2.0

    def change() -> None:
        Local.shared += 1

    local = Local()
    return lambda x: local.by_class(x) * Local.shared, [(X,)] * 2, change


@case
def a_default() -> Made:
    k = [2.0]

    def function(x: cr.Tensor, k: list[float] = k) -> cr.Tensor:
        return x * k[0]

    return function, [(X,)] * 2, lambda: k.append(k.pop() + 1)


@case
def a_partial() -> Made:
    k = [2.0]
    function = functools.partial(lambda k, x: x * k[0], k)
    return lambda x: function(x), [(X,)] * 2, lambda: k.append(k.pop() + 1)


@case
def a_function_in_a_list() -> Made:
    k = [2.0]
    functions = [lambda x: x * k[0]]
    return lambda x: functions[0](x), [(X,)] * 2, lambda: k.append(k.pop() + 1)


@case
def a_deque() -> Made:
    k = collections.deque([1.0, 2.0])
    return lambda x: x * k[-1], [(X,)] * 2, lambda: k.append(3.0)


@case
def a_dictionary_of_another_kind() -> Made:
    k = collections.defaultdict(float, a=1.0)
    return lambda x: x * k["a"], [(X,)] * 2, lambda: k.update(a=k["a"] + 1)


@case
def a_container_deep_within_others() -> Made:
    k = {"a": [{"b": [[[[1.0]]]]}]}
    inner = k["a"][0]["b"][0][0][0]

    def change() -> None:
        inner[0] += 1

    return lambda x: x * k["a"][0]["b"][0][0][0][0], [(X,)] * 2, change


@case
def a_set_as_an_argument() -> Made:
    given = {1}
    return lambda x, s: x * len(s), [(X, given)] * 2, lambda: given.add(7)


@dataclasses.dataclass(frozen=True)
class Equal:
    k: float
    more: list[int] = dataclasses.field(default_factory=list, compare=False)


@case
def equal_arguments_that_differ() -> Made:
    whole = cr.tensor([1, 2])
    calls = [(Equal(1.0), X), (Equal(True), X), (Equal(1.0), whole)]
    calls += [(Equal(True), whole), (Equal(1.0, [1]), X), (Equal(1.0), X)]
    return lambda c, x: x * c.k + len(c.more), calls, lambda: None


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", CASES)
def test_what_was_read_may_change(engine: str, name: str) -> None:
    assert runs(CASES[name], engine) == runs(CASES[name], None)


def test_what_has_not_changed_is_not_traced_again(engine: str) -> None:
    for make in CASES.values():
        function, calls, _ = make()
        run = cr.compile(function, engine=engine)
        for _ in range(3):
            run(*calls[0])
        assert len(run.programs) == 1


# -- random ways to an object ----------------------------------------------------------


class Leaf:
    """An object at the end of a way, and one that others are kept in."""

    def __init__(self, a: Any = None) -> None:
        self.k, self.a, self._a = 2, a, a

    def get(self) -> Any:
        return self.a

    @property
    def through(self) -> Any:
        return self._a


class Hidden:
    __slots__ = ("a",)

    def __init__(self, a: Any) -> None:
        self.a = a


def kind_with(a: Any, meta: type = type) -> type:
    return meta("Kind", (), {"a": a, "__module__": __name__})


def enumeration(item: Any) -> Any:
    made = enum.Enum("Made", {"A": 1}, module=__name__)
    made.A.a = item
    return made


def imported(item: Any) -> Any:
    module = sys.modules["way_to_an_object"] = types.ModuleType("way_to_an_object")
    module.a = item  # type: ignore[attr-defined]
    return importing


def importing() -> Any:
    import way_to_an_object  # type: ignore[import-not-found]

    return way_to_an_object.a


def deep(item: Any) -> list[Any]:
    for _ in range(80):
        item = [item]
    return item


def undo(item: Any) -> Any:
    for _ in range(80):
        item = item[0]
    return item


def dispatching(item: Any) -> Any:
    made = functools.singledispatch(lambda key: None)
    made.register(int, lambda key: item)
    return made


CONTEXT: Any = contextvars.ContextVar
#: How an object is kept in another, and how it is read from that.
WAYS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "a list": (lambda a: [1, a], lambda w: w[1]),
    "a dictionary": (lambda a: {"a": a}, lambda w: w["a"]),
    "a key": (lambda a: {(a,): 1}, lambda w: next(iter(w))[0]),
    "a tuple in a set": (lambda a: {(a,)}, lambda w: next(iter(w))[0]),
    "an array of objects": (lambda a: np.array([a, None], object), lambda w: w[0]),
    "an attribute": (Leaf, lambda w: w.a),
    "an attribute by a text": (Leaf, lambda w: getattr(w, "".join("_a"))),
    "a method": (Leaf, lambda w: w.get()),
    "a bound method": (lambda a: Leaf(a).get, lambda w: w()),
    "a property": (Leaf, lambda w: w.through),
    "a slot": (Hidden, lambda w: w.a),
    "a namespace": (lambda a: types.SimpleNamespace(a=a), lambda w: w.a),
    "a class": (kind_with, lambda w: w.a),
    "a class of a class": (
        lambda a: kind_with(None, type("Meta", (type,), {"m": [a]})),
        lambda w: w.m[0],
    ),
    "an enumeration": (enumeration, lambda w: w.A.a),
    "a closure": (lambda a: lambda: a, lambda w: w()),
    "a default": (lambda a: lambda a=a: a, lambda w: w()),
    "a partial": (lambda a: functools.partial(lambda b: b, a), lambda w: w()),
    "a cache": (lambda a: functools.cache(lambda: Leaf(a)), lambda w: w().a),
    "a bounded cache": (
        lambda a: functools.lru_cache(lambda: Leaf(a)),
        lambda w: w().a,
    ),
    "one function of several": (dispatching, lambda w: w(1)),
    "an item getter": (lambda a: [a].__getitem__, lambda w: w(0)),
    "a getter": (Leaf, lambda w: operator.attrgetter("a.k", "a")(w)[1]),
    "a context variable": (lambda a: CONTEXT("c", default=a), lambda w: w.get()),
    "a proxy": (lambda a: types.MappingProxyType({"a": a}), lambda w: w["a"]),
    "a factory": (
        lambda a: collections.defaultdict(lambda: a),
        lambda w: w.copy()["a"],
    ),
    "a module": (imported, lambda w: w()),
    "eighty lists": (deep, undo),
}
#: What needs an object with ``k`` at its end.
FIRST = {"a getter"}


def chain(dice: random.Random) -> tuple[Callable[..., Any], Leaf, list[str]]:
    """A function that comes to an object on a random way, the object and the way."""
    names = dice.sample(sorted(WAYS.keys() - FIRST), dice.randint(1, 5))
    if dice.random() < 0.1:
        names[0] = "a getter"
    leaf = held = Leaf()
    for name in names.copy():
        try:
            held = WAYS[name][0](held)
        except TypeError:  # what has no hash is no key
            names.remove(name)
    reads = [WAYS[name][1] for name in reversed(names)]

    def function(x: cr.Tensor) -> cr.Tensor:
        item = held
        for read in reads:
            item = read(item)
        return x * item.k

    return function, leaf, names


def test_chains_of_ways_to_an_object_that_changes() -> None:
    """Whatever leads there: an attribute that was read may change."""
    for seed in range(80):
        function, leaf, names = chain(random.Random(seed))
        run = cr.compile(function, engine="numpy")
        for leaf.k in (2, 2, 5):
            assert run(X).tolist() == function(X).tolist(), names
        assert len(run.programs) <= 3, names  # a cache on the way may be filled


@pytest.mark.parametrize("cache", [functools.cache, functools.lru_cache(2)])
def test_a_cache_that_is_cleared_has_other_results(cache: Any) -> None:
    kept = cache(lambda key: Leaf())
    run = cr.compile(lambda x: x * kept(1).k, engine="numpy")
    for k in (2, 3):
        kept.cache_clear()
        kept(1).k = k
        for _ in range(2):
            assert run(X).tolist() == (X * k).tolist()


def test_a_cache_may_get_what_is_read_while_tracing() -> None:
    kept = functools.cache(lambda: Leaf())
    run = cr.compile(lambda x: x * kept().k, engine="numpy")
    run(X)
    kept().k = 7
    assert run(X).tolist() == (X * 7).tolist()


def test_functions_and_methods_may_be_replaced() -> None:
    def helper(x: cr.Tensor) -> cr.Tensor:
        return x * 2

    class Local:
        def get(self) -> int:
            return 2

    local = Local()
    run = cr.compile(lambda x: helper(x) * local.get(), engine="numpy")
    assert run(X).tolist() == (X * 4).tolist()
    helper.__code__ = (lambda x: x * 3).__code__  # as a notebook reloads a module
    assert run(X).tolist() == (X * 6).tolist()
    Local.get = lambda self: 5  # type: ignore[method-assign]
    assert run(X).tolist() == (X * 15).tolist()


class Way(enum.Enum):
    """A choice that has no truth value, and equals every other."""

    LEFT, RIGHT = 1, 2

    def __bool__(self) -> bool:
        raise ValueError("neither true nor false")

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = enum.Enum.__hash__


def test_a_member_of_an_enumeration_is_told_by_identity(engine: str) -> None:
    held = {"way": Way.LEFT}
    run = cr.compile(lambda x: x * held["way"].value, engine=engine)
    assert run(X).tolist() == X.tolist()
    held["way"] = Way.RIGHT
    assert run(X).tolist() == (X * 2).tolist()


class Caching:
    """Keeps what it made for a size, as a function of a size and of how often."""

    def __init__(self) -> None:
        self.made: dict[int, np.ndarray] = {}
        self.first: float | None = None

    def run(self, x: cr.Tensor) -> cr.Tensor:
        n = len(x)
        if n not in self.made:
            self.made[n] = np.arange(n, dtype=np.float32)
        if self.first is None:
            self.first = 3.0
            return x * self.made[n]
        return x * self.made[n] + self.first


def test_a_cache_may_be_filled_while_tracing(engine: str) -> None:
    cached, eager = Caching(), Caching()
    run = cr.compile(cached.run, engine=engine)
    for n in (3, 3, 2, 3, 2, 4):
        assert run(cr.ones(n)).tolist() == eager.run(cr.ones(n)).tolist()


def test_a_cache_of_traced_values_is_refused(engine: str) -> None:
    cache: dict[str, cr.Tensor] = {}

    def function(x: cr.Tensor) -> cr.Tensor:
        if "a" not in cache:
            cache["a"] = x * 2
        return cache["a"]

    with pytest.raises(ArgumentError, match="changes 'cache'"):
        cr.compile(function, engine=engine)(X)


def test_containers_that_are_passed_stay_as_they_are(engine: str) -> None:
    def extends(x: cr.Tensor, seen: list[Any]) -> cr.Tensor:
        seen.append(x)
        return x

    def fills(x: cr.Tensor, seen: dict[str, Any]) -> cr.Tensor:
        seen["a"] = x * 2
        return x

    for function, given in ((extends, [X]), (fills, {"a": X})):
        with pytest.raises(ArgumentError, match="changes a list or a dictionary"):
            cr.compile(function, engine=engine)(X, given)

"""Floats outside of a compiled function that change from call to call.

A random program keeps numbers in several homes, computes with them, and now and then
decides by one. Between calls they become other numbers, of other types too. Whatever
happens the results are those of eager code; a float that only enters arithmetic costs
one more program, and what it costs otherwise is bounded.
"""

from __future__ import annotations

import collections
import functools
import gc
import itertools
import math
import random
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.compilation.variants import CALLS, KEPT, MANY
from chainrule.errors import ArgumentError, ChainruleWarning
from chainrule.nn import functional as F

X = cr.tensor([1.0, -2.0, 3.0])

#: How a number is kept: what makes it, what reads it, what changes it to ``v``.
HOMES: dict[str, tuple[str, str, str]] = {
    "global": ("g = 0.5", "g", "globals()['g'] = v"),
    "object": ("class O: pass\no = O(); o.k = 0.5", "o.k", "o.k = v"),
    "nested": ("n = O(); n.o = O(); n.o.k = 0.5", "n.o.k", "n.o.k = v"),
    "class": ("class C:\n    k = 0.5", "C.k", "C.k = v"),
    "class by object": ("class D:\n    k = 0.5\nd = D()", "d.k", "D.k = v"),
    "slot": (
        "class S:\n    __slots__ = ('k',)\ns = S(); s.k = 0.5",
        "s.k",
        "s.k = v",
    ),
    "method": (
        "class M:\n    k = 0.5\n    def get(self): return self.k\nm = M(); m.k = 0.5",
        "m.get()",
        "m.k = v",
    ),
    "property": (
        "class P:\n    _k = 0.5\n    @property\n    def k(self): return self._k\n"
        "p = P()",
        "p.k",
        "p._k = v",
    ),
    "function": ("def h(): pass\nh.k = 0.5", "h.k", "h.k = v"),
    "module": ("w = types.ModuleType('w'); w.k = 0.5", "w.k", "w.k = v"),
    "network": (
        "class Net(nn.Module):\n    def __init__(self): self.k = 0.5\n"
        "    def forward(self, x): return x * self.k\nnet = Net()",
        "net.k",
        "net.k = v",
    ),
    "dict": ("i = {'a': 0.5}", "i['a']", "i['a'] = v"),
    "nest": ("e = {'b': [1, (2, 0.5)]}", "e['b'][1][1]", "e['b'][1] = (2, v)"),
    "list": ("l = [0.25, 0.5]", "l[1]", "l[1] = v"),
    "tuple": ("t = (0.25, 0.5)", "t[1]", "globals()['t'] = (0.25, v)"),
    "named tuple": (
        "Pair = collections.namedtuple('Pair', 'a b')\nu = Pair(0.5, 1)",
        "u.a",
        "globals()['u'] = Pair(v, 1)",
    ),
    "deque": ("q = collections.deque([0.5])", "q[0]", "q[0] = v"),
    "default": ("def df(k=0.5): return k", "df()", "df.__defaults__ = (v,)"),
    "keyword": ("def kw(*, k=0.5): return k", "kw()", "kw.__kwdefaults__['k'] = v"),
    "closure": (
        "def around():\n    k = 0.5\n    def put(to):\n        nonlocal k\n"
        "        k = to\n    return (lambda: k), put\nget, put = around()",
        "get()",
        "put(v)",
    ),
}

#: Arithmetic, with a number K and another one J.
USES = [
    "y * K",
    "K * y + J",
    "y - K",
    "(1 - K) * y",
    "y / (1 + K * K)",
    "K - y * -J",
    "y * (K + J) * 0.5",
    "y * abs(K)",
    "y + K ** 2",
    "cr.sin(y * K)",
    "cr.where(y > 0.5, y, K)",
    "cr.maximum(y, K)",
    "y.lerp(y * 2, K)",
    "cr.grad(lambda z: (z * z * K).sum())(y)",
    "y + cr.tensor(K)",
    "y * cr.exp(y * 0 + K * 0.1)",
    "half(y, K)",
]
#: Where Python needs the number, or looks at its type.
DECISIONS = [
    "(y if K > 0.3 else -y)",
    "y * math.exp(-abs(K))",
    "y * int(K * 3)",
    "y * round(K, 1)",
    "y * max(K, 0.2)",
    "(y if type(K) is float else y * 7)",
    "(y * 2 if isinstance(K, (int, float)) else y * 7)",
    "(y * 3 if isinstance(K, cr.Tensor) else y)",
    "y * {0.5: 2.0}.get(K, 3.0)",
    "y * len(str(K))",
    "y * cr.tensor([K, 1.0, 2.0])",
    "F.leaky_relu(y, abs(K))",
    "y * float(np.sqrt(abs(K)))",
    "(y if K else y * 5)",
    "y * sum(1 for _ in range(int(abs(K))))",
    "caught(y, K)",
]

PRELUDE = """
def half(y, k): return y * (k * 0.5)
def caught(y, k):
    try:
        return y * math.cos(k)
    except Exception:
        return y * 100
"""


def program(dice: random.Random) -> tuple[str, list[str]]:
    """The source of a module with ``f``, and the homes of its numbers."""
    homes = dice.sample(sorted(HOMES), dice.randint(1, 3))
    reads = [HOMES[home][1] for home in homes]
    lines = [HOMES["object"][0], *[HOMES[home][0] for home in homes], PRELUDE]
    lines.append("def f(x):\n    y = x")
    for _ in range(dice.randint(1, 4)):
        use = dice.choice(DECISIONS if dice.random() < 0.2 else USES)
        use = use.replace("K", dice.choice(reads)).replace("J", dice.choice(reads))
        lines.append(f"    y = {use}")
    lines.append("    return y")
    for i, home in enumerate(homes):
        lines.append(f"def set{i}(v): {HOMES[home][2]}")
    return "\n".join(lines), homes


_count = itertools.count()


def module(source: str) -> dict[str, Any]:
    """The names of a module that was run."""
    made = types.ModuleType(f"program{next(_count)}")
    made.__file__ = "/somewhere/program.py"
    sys.modules[made.__name__] = made
    space = vars(made)
    space.update(cr=cr, nn=nn, F=F, np=np, math=math, types=types)
    space["collections"] = collections
    exec(compile(source, made.__file__, "exec"), space)
    del sys.modules[made.__name__]
    return space


def other(dice: random.Random) -> Any:
    """Another number: most are floats, some are odd, some are of another type."""
    kind = dice.random()
    if kind < 0.8:
        return dice.uniform(-2, 2)
    odd = [0.0, -0.0, 0.5, 1e-30, 3, True, np.float64(0.7), np.float32(0.3), math.nan]
    return dice.choice(odd)


def result(run: Callable[..., Any], x: cr.Tensor) -> Any:
    x = cr.tensor(x.numpy().copy(), requires_grad=x.dtype.is_float)
    try:
        with np.errstate(all="ignore"):
            made = run(x)
            if made.requires_grad:
                made.sum().backward()
    except (ArithmeticError, ValueError, cr.ChainruleError) as error:
        return type(error)
    return made.dtype, made.detach().numpy(), None if x.grad is None else x.grad.numpy()


def same(got: Any, wanted: Any, scale: float = 1.0) -> bool:
    if isinstance(wanted, type) or isinstance(got, type):
        return isinstance(wanted, type) and isinstance(got, type)
    if got[0] is not wanted[0]:
        return False
    rtol = 1e-9 if got[0] is cr.float64 else 3e-4
    for a, b in zip(got[1:], wanted[1:]):
        if (a is None) != (b is None):
            return False
        if a is None:
            continue
        finite = np.abs(b[np.isfinite(b)])
        atol = rtol * float(finite.max()) if finite.size else 0.0
        if not np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True):
            return False
    return True


def check(seed: int, engine: str) -> None:
    dice = random.Random(seed)
    source, homes = program(dice)
    space = module(source)
    run = cr.compile(space["f"], engine=engine)
    kinds = [X, X.astype("float64"), cr.tensor([1, -2, 3])]
    x = dice.choice(kinds)
    for step in range(8):
        if dice.random() < 0.15:
            x = dice.choice(kinds)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            got, wanted = result(run, x), result(space["f"], x)
        about = f"program {seed}, call {step}\n{source}\n{got}\n{wanted}"
        assert same(got, wanted), about
        for i in range(len(homes)):
            if dice.random() < 0.6:
                space[f"set{i}"](other(dice))


@pytest.mark.parametrize("part", range(4))
def test_random_programs(part: int) -> None:
    for seed in range(part * 6, part * 6 + 6):
        check(seed, "numpy")


def test_random_programs_as_machine_code(engine: str) -> None:
    for seed in range(1000, 1003):
        check(seed, engine)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
def test_many_random_programs(part: int) -> None:
    for seed in range(10_000 + part * 100, 10_000 + part * 100 + 100):
        check(seed, "native" if seed % 20 == 0 else "numpy")


@pytest.mark.parametrize("home", HOMES)
def test_a_float_that_changes_is_an_input_from_then_on(home: str) -> None:
    make, read, put = HOMES[home]
    source = f"{HOMES['object'][0]}\n{make}\ndef f(x): return x * {read}\n"
    space = module(source + f"def put_(v): {put}\ndef read(): return {read}")
    run = cr.compile(space["f"], engine="numpy")
    for i in range(20):
        number = 0.5 + i
        space["put_"](number)
        assert run(X).tolist() == (X * number).tolist()
        assert type(space["read"]()) is float
    assert len(run.programs) == 1
    assert run.programs[0].traced["f"].entry.inputs[0] == "x"
    assert len(run.programs[0].traced["f"].entry.inputs) == 2


def test_a_float_is_given_back_whatever_happens() -> None:
    box = types.SimpleNamespace(k=1.0, items=[1.0, 2.0], fails=False)

    def f(x: cr.Tensor) -> cr.Tensor:
        if box.fails:
            raise KeyError("mine")
        return x * box.k * box.items[0]

    run = cr.compile(f, engine="numpy")
    for i in range(3):
        box.k, box.items[0] = 1.5 + i, 2.5 + i
        run(X)
    box.fails = True
    with pytest.raises(KeyError, match="mine"):
        run(X)
    assert (type(box.k), box.items) == (float, [4.5, 2.0])


def test_a_function_that_changes_its_own_number_is_refused() -> None:
    box = types.SimpleNamespace(k=1.0, items=[1.0, 2.0, 3.0], changes=False)

    def f(x: cr.Tensor) -> cr.Tensor:
        if box.changes:
            box.k += 1.0
            box.items.reverse()
        return x * box.k * box.items[0]

    run = cr.compile(f, engine="numpy")
    for i in range(3):
        box.k, box.items[0] = 1.5 + i, 2.5 + i
        run(X)
    box.changes = True
    with pytest.raises(ArgumentError, match=r"changes 'box\.(k|items)"):
        run(X)
    numbers = [box.k, *box.items]
    assert all(type(number) is float for number in numbers)


def test_what_python_makes_of_a_number_is_not_an_input() -> None:
    """A key is the same as another number, zero has a sign, and types are asked for."""
    box = types.SimpleNamespace(k=1.0)
    functions = [
        lambda x: x * {0.5: 2.0}.get(box.k, 3.0),
        lambda x: x * 2 if str(box.k) == "0.5" else x,
        lambda x: x if type(box.k) is float else x * 7,
        lambda x: x * math.copysign(1.0, box.k),
    ]
    for function in functions:
        run = cr.compile(function, engine="numpy")
        for box.k in (1.0, 0.25, 0.0, -0.0, 0.5, 0.75):
            assert run(X).tolist() == function(X).tolist()


def test_numbers_within_other_compiled_functions_and_derivatives(engine: str) -> None:
    box = types.SimpleNamespace(k=1.0)
    inner = cr.compile(lambda x: (x * x * box.k).sum(), engine=engine)
    outer = cr.compile(lambda x: cr.grad(inner)(x) * box.k, engine=engine)
    w = nn.Parameter(X.numpy())
    optimizer = optim.SGD([w], lr=0.1)

    @cr.compile(engine=engine)
    def step() -> cr.Tensor:
        optimizer.zero_grad()
        loss = (w * w).sum() * box.k
        loss.backward()
        optimizer.step()
        return loss

    for i in range(4):
        box.k = 0.5 + i * 0.125
        np.testing.assert_allclose(cr.grad(inner)(X), 2 * X.numpy() * box.k, 1e-6)
        np.testing.assert_allclose(outer(X), 2 * X.numpy() * box.k**2, 1e-6)
        before = w.numpy().copy()
        step()
        np.testing.assert_allclose(w.numpy(), before * (1 - 0.2 * box.k), 1e-6)
    assert [len(f.programs) for f in (inner, outer, step)] == [1, 1, 1]


# -- what is kept ----------------------------------------------------------------------


def test_programs_are_bounded_and_one_warning_names_the_cause() -> None:
    box = types.SimpleNamespace(k=1.0)
    run = cr.compile(lambda x: x * math.exp(box.k), engine="numpy")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for i in range(2 * KEPT):
            box.k = i / 8
            close = X.numpy() * np.float32(math.exp(box.k))
            np.testing.assert_allclose(run(X).numpy(), close, 1e-6)
    (warning,) = said
    assert warning.category is ChainruleWarning
    assert f"was compiled {MANY} times, because 'box.k'" in str(warning.message)
    assert len(run.programs) == KEPT
    first = run.programs[0]
    box.k = (2 * KEPT - 5) / 8  # one that is kept
    run(X)
    assert len(run.programs) == KEPT
    assert any(program is first for program in run.programs)


@pytest.mark.parametrize(
    ("function", "arguments", "cause"),
    [
        (lambda x, k: x * k, lambda i: (X, i), "the argument 'k'"),
        (lambda x, k: x * len(k), lambda i: (X, "a" * i), "the argument 'k'"),
        (lambda x: x * int(x.shape[0]), lambda i: (np.ones(i + 1),), "the shape of"),
    ],
)
def test_what_makes_many_programs_is_named(
    function: Any, arguments: Any, cause: str
) -> None:
    run = cr.compile(function, engine="numpy")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for i in range(KEPT + 8):
            run(*arguments(i))
    (warning,) = said
    assert f"because {cause}" in str(warning.message)
    assert len(run.programs) == KEPT


def test_programs_that_go_leave_the_newest_numbers_behind(engine: str) -> None:
    box, state = types.SimpleNamespace(n=0), cr.zeros(3)

    def f(x: cr.Tensor) -> cr.Tensor:
        state.copy_(state + x * int(box.n > -1))
        return state

    run = cr.compile(f, engine=engine)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i in range(KEPT + 4 if engine == "numpy" else 4):
            box.n = i
            run(X)
            if engine == "native":
                run._variants.drop(next(iter(run._variants)))
    assert state.tolist() == (X * (i + 1)).tolist()


def test_sizes_are_looked_up_for_so_many_calls() -> None:
    run = cr.compile(lambda x: (x * 2).sum(), engine="numpy")
    for n in range(CALLS + 20):
        assert run(np.ones(n, np.float32)).item() == 2 * n
    assert len(run._variants.ready) == CALLS
    assert len(run.programs) == 2


def test_machine_code_goes_with_its_programs(engine: str) -> None:
    if engine == "numpy":
        pytest.skip("it has none")
    from chainrule.engines.native.loops import kernels
    from chainrule.engines.native.runtime import jit

    def one(i: int) -> None:
        run = cr.compile(lambda x: (x * float(i) + i).tanh() * (x + i), engine=engine)
        wanted = np.tanh(X.numpy() * i + i) * (X.numpy() + i)
        np.testing.assert_allclose(run(X), wanted, 1e-5)

    pytest.MonkeyPatch().setattr(jit, "IDLE", 2)
    try:
        for i in range(6):
            one(i)
            gc.collect()
        idle = [pack for pack in jit._packs.values() if not pack.users]
        assert len(idle) <= 3
        assert len(jit._entries) <= 2
        linked = {name for pack in jit._packs.values() for name in pack.kernels}
        assert linked == set(jit._pack_of)
        one(0)  # what was let go is compiled again
        assert set(kernels._known.values()) <= set(jit._pack_of)
    finally:
        pytest.MonkeyPatch().setattr(jit, "IDLE", 64)


def test_a_size_that_grows_is_compiled_for_now_and_then(engine: str) -> None:
    if engine == "numpy":
        pytest.skip("it has a function for each size")
    from chainrule.engines.native.runtime import jit

    run = cr.compile(lambda x: (x * 2).sum(), engine=engine, shapes={"x": ("N",)})
    before = jit.compilations
    for n in range(1, 65):
        assert run(np.ones(n, np.float32)).item() == 2 * n
    assert jit.compilations - before <= 2 * 7


@functools.lru_cache
def _kept(k: int) -> float:
    return _RATE * k


def _by_dictionary(k: int) -> float:
    if k not in _MEMO:
        _MEMO[k] = _RATE * k
    return _MEMO[k]


class _Lazy:
    first: float | None = None

    @functools.cached_property
    def once(self) -> float:
        return _RATE * 3

    def later(self) -> float:
        if self.first is None:
            self.first = _RATE * 3
        return self.first


_RATE, _MEMO, _LAZY = 0.5, dict[int, float](), _Lazy()
CACHES: dict[str, Callable[[], float]] = {
    "lru_cache": lambda: _kept(3),
    "lru_cache by what the number is": lambda: _kept(round(_RATE * 6)),
    "dictionary": lambda: _by_dictionary(3),
    "cached_property": lambda: _LAZY.once,
    "attribute": lambda: _LAZY.later(),
}


@pytest.mark.parametrize("name", CACHES)
def test_what_functions_remember_is_of_the_users_numbers(name: str) -> None:
    global _RATE
    read = CACHES[name]

    def run(x: cr.Tensor) -> cr.Tensor:
        return x * read() * _RATE

    step = cr.compile(run, engine="numpy")
    for rate in (0.5, 0.25, 0.125, 2.0):
        _RATE = rate
        _kept.cache_clear()
        _MEMO.clear()
        vars(_LAZY).clear()
        for _ in range(2):
            made = step(X).numpy()
            np.testing.assert_allclose(made, run(X).numpy(), rtol=1e-6)
        remembered = read()  # outside, and of the user's number
        _kept.cache_clear()
        _MEMO.clear()
        vars(_LAZY).clear()
        assert remembered == read()

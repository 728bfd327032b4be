"""Floats outside of a compiled function that change from call to call.

A random program keeps numbers in several homes, computes with them, and now and then
decides by one. Between calls they become other numbers, of other types too. Whatever
happens the results are those of eager code; a float that only enters arithmetic costs
one more program, and what it costs otherwise is bounded.
"""

from __future__ import annotations

import collections
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
from chainrule import nn
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
    made.__file__ = "/home/user/program.py"
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
    for seed in range(part * 10, part * 10 + 10):
        check(seed, "numpy")


def test_random_programs_as_machine_code(engine: str) -> None:
    for seed in range(1000, 1005):
        check(seed, engine)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(100))
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

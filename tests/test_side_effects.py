"""Every way in which Python keeps something outside of a function, changed in two ways.

A *home* keeps a number: source that makes it, an expression that reads it, statements
that change it. From each home two programs are made. In one the function changes it
itself, which happens once while it is traced: that is refused, and what was changed is
as it was. In the other it changes between two calls: the results are those of eager
code. Both are written as files are, and as they are typed at a prompt, where no file
has the source.
"""

from __future__ import annotations

import dataclasses
import operator
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError
from tests.rows import failures

X = cr.tensor([1.0, 2.0, 3.0])


@dataclasses.dataclass(frozen=True)
class Home:
    """Where a number is kept: how it is made, read and changed."""

    make: str
    read: str
    changes: tuple[str, ...]
    #: Whether a change between two calls is seen.
    between: bool = True


def _attributes(owner: str, *, plain: bool = True) -> tuple[str, ...]:
    """Statements that change the attribute ``n`` of an owner."""
    some = (f"{owner}.n += 1", f"setattr({owner}, 'n', {owner}.n + 1)")
    if not plain:
        return some
    return (
        *some,
        f"{owner}.__dict__['n'] += 1",
        f"vars({owner}).update(n={owner}.n + 1)",
        f"object.__setattr__({owner}, 'n', {owner}.n + 1)",
        f"{owner}.__dict__.__setitem__('n', {owner}.n + 1)",
    )


CLASS = "class C:\n    n = 1\n    def __init__(self): self.m = 1\n"
OBJECT = "class C:\n    def __init__(self): self.n = 1\n"
HELPED = OBJECT + "    def bump(self): self.n += 1\n    def get(self): return self.n\n"

HOMES: dict[str, Home] = {
    "a global": Home(
        "n = 1", "n", ("global n; n += 1", "globals()['n'] += 1", "exec('n += 1', G)")
    ),
    "a global that a helper changes": Home(
        "n = 1\ndef bump():\n    global n\n    n += 1", "n", ("bump()",)
    ),
    "a variable of the function around": Home(
        "def around():\n"
        "    n = 1\n"
        "    def bump():\n        nonlocal n\n        n += 1\n"
        "    return (lambda: n), bump\n"
        "get, bump = around()",
        "get()",
        ("bump()",),
    ),
    "the function itself": Home("", "f.n", _attributes("f"), between=True),
    "a helper function": Home(
        "def h(x): return x * h.n\nh.n = 1", "h.n", _attributes("h")
    ),
    "a class": Home(CLASS, "C.n", _attributes("C", plain=False)),
    "a class by its object": Home(
        CLASS + "o = C()",
        "type(o).n",
        ("C.n += 1", "type(o).n += 1", "o.__class__.n += 1"),
    ),
    "a class below an attribute of the same name": Home(
        CLASS + "o = C()\no.n = 5", "type(o).n", ("type(o).n += 1",)
    ),
    "a class method": Home(
        CLASS + "    @classmethod\n    def bump(cls): cls.n += 1\n",
        "C.n",
        ("C.bump()",),
    ),
    "an object": Home(OBJECT + "o = C()", "o.n", _attributes("o")),
    "an object's method": Home(HELPED + "o = C()", "o.get()", ("o.bump()",)),
    "an object in an object": Home(
        OBJECT + "o = C(); o.inner = C(); o.inner.inner = C()",
        "o.inner.inner.n",
        _attributes("o.inner.inner"),
    ),
    "an object in a list": Home(OBJECT + "o = [C()]", "o[0].n", ("o[0].n += 1",)),
    "an object in a dictionary": Home(
        HELPED + "o = {'a': C()}", "o['a'].get()", ("o['a'].bump()",)
    ),
    "an object with slots": Home(
        "class C:\n    __slots__ = ('n',)\no = C(); o.n = 1",
        "o.n",
        (*_attributes("o", plain=False), "object.__setattr__(o, 'n', o.n + 1)"),
    ),
    "a property": Home(
        "class C:\n"
        "    _n = 1\n"
        "    @property\n    def n(self): return self._n\n"
        "    @n.setter\n    def n(self, to): self._n = to\n"
        "o = C()",
        "o.n",
        _attributes("o", plain=False),
    ),
    "a descriptor": Home(
        "class D:\n"
        "    def __get__(self, o, k=None): return o.__dict__['_v']\n"
        "    def __set__(self, o, v): o.__dict__['_v'] = v\n"
        "class C:\n    n = D()\no = C(); o.n = 1",
        "o.n",
        _attributes("o", plain=False),
    ),
    "attributes that are answered": Home(
        "class C:\n"
        "    def __init__(self): self.__dict__['kept'] = {'n': 1}\n"
        "    def __getattr__(self, k): return self.__dict__['kept'][k]\n"
        "    def __setattr__(self, k, v): self.__dict__['kept'][k] = v\n"
        "o = C()",
        "o.n",
        _attributes("o", plain=False),
    ),
    "a data class": Home(
        "import dataclasses\n@dataclasses.dataclass\nclass C:\n    n: int = 1\no = C()",
        "o.n",
        _attributes("o"),
    ),
    "a namespace": Home(
        "import types\no = types.SimpleNamespace(n=1)", "o.n", _attributes("o")
    ),
    "a module": Home(
        "import types\no = types.ModuleType('own')\no.n = 1", "o.n", _attributes("o")
    ),
    "a network's attribute": Home(
        "class C(cr.nn.Module):\n"
        "    def __init__(self): self.n = 1\n"
        "    def forward(self, x): return x * self.n\n"
        "o = C()",
        "o.n",
        _attributes("o"),
    ),
    "a layer's attribute": Home(
        "o = cr.nn.Linear(2, 2)\no.n = 1", "o.n", _attributes("o")
    ),
    "a list": Home(
        "o = [1, 2]",
        "(o[0] + 10 * len(o) + o[-1])",
        (
            "o[0] += 1",
            "o.append(5)",
            "o.insert(0, 7)",
            "o.extend([4])",
            "operator.iadd(o, [3])",
            "o[1:1] = [9]",
            "o.reverse()",
            "del o[0]",
            "o.pop()",
        ),
    ),
    "a dictionary": Home(
        "o = {'n': 1}",
        "(o['n'] + 10 * len(o))",
        ("o['n'] += 1", "o.update(n=o['n'] + 1)", "operator.ior(o, {'n': o['n'] + 1})"),
    ),
    "a set": Home("o = {1}", "len(o)", ("o.add(len(o) + 1)", "o.discard(1)")),
    "a deque": Home(
        "import collections\no = collections.deque([1, 2, 3])",
        "o[0]",
        ("o.rotate()", "o.appendleft(5)", "o[0] += 1"),
    ),
    "a counter": Home(
        "import collections\no = collections.Counter(n=1)",
        "o['n']",
        ("o.update('n')", "o['n'] += 1", "o.subtract('n')"),
    ),
    "a list of another kind": Home(
        "class L(list): pass\no = L([1]); o.n = 1", "(o[0] * o.n)", ("o.n += 1",)
    ),
    "a user's list": Home(
        "import collections\no = collections.UserList([1])", "o[0]", ("o[0] += 1",)
    ),
    "maps in a chain": Home(
        "import collections\no = collections.ChainMap({'n': 1})",
        "o['n']",
        ("o['n'] += 1",),
    ),
    "a long list": Home(
        "o = [1] * 3000", "o[2000]", ("o[2000] += 1", "o[2000] += 0.5")
    ),
    "a long list of objects": Home(
        OBJECT + "o = [C() for _ in range(1500)]", "o[1200].n", ("o[1200].n += 1",)
    ),
    "a list within lists": Home(
        "o = 1\nfor _ in range(30): o = [o]\ndef inner():\n    found = o\n"
        "    while isinstance(found[0], list): found = found[0]\n    return found",
        "inner()[0]",
        ("inner()[0] += 1",),
    ),
    "bytes": Home("o = bytearray(b'ab')", "o[0]", ("o[0] += 1", "o.reverse()")),
    "a view of bytes": Home("o = memoryview(bytearray(b'ab'))", "o[0]", ("o[0] += 1",)),
    "an array of the library": Home(
        "import array\no = array.array('d', [1.0])", "o[0]", ("o[0] += 1",)
    ),
    "an array": Home(
        "o = np.ones(3, np.float32)",
        "float(o[0])",
        ("o[0] += 1", "o.fill(5)", "np.multiply(o, 2, out=o)"),
    ),
    "an array of objects": Home(
        "o = np.array([1, [2]], object)", "(o[0] + o[1][0])", ("o[0] += 1",)
    ),
    "a default": Home(
        "def h(o=[1]): return o", "h()[0]", ("h()[0] += 1", "h.__defaults__[0][0] += 1")
    ),
    "a default that is replaced": Home(
        "def h(o=1): return o",
        "h()",
        ("h.__defaults__ = (h() + 1,)",),
    ),
    "a partial's argument": Home(
        "import functools\nh = functools.partial(lambda o: o, [1])",
        "h()[0]",
        ("h()[0] += 1", "h.args[0][0] += 1"),
    ),
    "a generator": Home(
        "def g():\n"
        "    n = 0\n    while True:\n        n += 1\n        yield n\no = g()",
        "",
        ("m = next(o)",),
    ),
    "iterators": Home(
        "import itertools\n"
        "class I:\n"
        "    n = 0\n"
        "    def __iter__(self): return self\n"
        "    def __next__(self): self.n += 1; return self.n\n"
        "a, b, c = itertools.count(), itertools.cycle([1, 2]), I()\n"
        "d = iter([1, 2, 3])\n"
        "e, g = zip([1, 2, 3]), map(int, '1234')\n"
        "h, i = filter(None, [1, 2, 3]), itertools.chain([1, 2], [3, 4])\n"
        "j, k = enumerate([1, 2, 3]), itertools.islice(range(9), 5)",
        "",
        tuple(f"m = next({name}) and 1" for name in "abcdeghijk"),
    ),
    "a text that is written": Home(
        "import io\no = io.StringIO()", "len(o.getvalue())", ("o.write('a')",)
    ),
    "bytes that are written": Home(
        "import io\no = io.BytesIO()", "o.tell()", ("o.write(b'a')",)
    ),
    "a queue": Home(
        "import queue\no = queue.Queue()", "o.qsize()", ("o.put(1)",), between=True
    ),
    "a heap": Home(
        "import heapq\no = [2]", "len(o)", ("heapq.heappush(o, 1)",), between=True
    ),
    "an event": Home(
        "import threading\no = threading.Event()", "int(o.is_set())", ("o.set()",)
    ),
    "a variable of the context": Home(
        "import contextvars\no = contextvars.ContextVar('o', default=1)",
        "o.get()",
        ("o.set(o.get() + 1)",),
    ),
    "a variable of the thread": Home(
        "import threading\no = threading.local()\no.n = 1", "o.n", ("o.n += 1",)
    ),
    "the environment": Home(
        "import os\nos.environ['N_OF_TEST'] = '1'",
        "int(os.environ['N_OF_TEST'])",
        ("os.environ['N_OF_TEST'] = str(int(os.environ['N_OF_TEST']) + 1)",),
    ),
    "weak keys": Home(
        OBJECT + "import weakref\nk = C()\no = weakref.WeakKeyDictionary()\no[k] = 1",
        "o[k]",
        ("o[k] += 1",),
    ),
    "a class's list": Home(
        "class C:\n    items = [1]\no = C()", "len(o.items)", ("o.items.append(1)",)
    ),
    "a setting of a package": Home(
        "import json\njson.n = 1", "json.n", ("json.n += 1",)
    ),
    "a wrapped function's list": Home(
        "import functools\n"
        "seen = [1]\n"
        "def counted(g):\n"
        "    @functools.wraps(g)\n"
        "    def run(*a):\n        seen.append(1)\n        return g(*a)\n"
        "    return run\n"
        "@counted\ndef h(): return len(seen)",
        "len(seen)",
        ("h()",),
    ),
}

#: How a function is written: what comes in front of it.
FORMS = {"decorated": "@compiled\n", "called": ""}


def program(home: Home, form: str, change: str, *, within: bool) -> str:
    """A module with ``f``, a function of x, ``change`` and ``state``."""
    head = change.split(";")[0] + "\n    " if change.startswith("global") else ""
    change = change.removeprefix("global n; ")
    use = f"m = {home.read}" if home.read else "m = 1"
    lines = [home.make, FORMS[form] + "def f(x):"]
    if within:
        lines.append(f"    {head}{change}")
    elif not home.read:
        lines.append(f"    {change}")
    if home.read:
        lines.append(f"    {use}")
    lines.append("    return x * m")
    if "f.n" in home.read:
        lines.append("f.n = 1")
    lines.append(f"def change():\n    {head}{change}")
    lines.append(f"def state(): return {home.read or 'None'}")
    if not FORMS[form]:
        lines.append("run = compiled(f)")
    else:
        lines.append("run = f")
    return "\n".join(lines)


def made(source: str, file: str, engine: str | None) -> dict[str, Any]:
    """The names of a module that was run."""

    def compiled(function: Any) -> Any:
        return cr.compile(function, engine=engine) if engine else function

    module = types.ModuleType("typed" if file.startswith("<") else "written")
    if not file.startswith("<"):
        module.__file__ = file
    sys.modules[module.__name__] = module
    space = vars(module)
    space.update(cr=cr, np=np, operator=operator, compiled=compiled, G=space)
    exec(compile(source, file, "exec"), space)
    return space


#: How a function is written, and where.
WAYS = [("decorated", "/somewhere/own.py"), ("called", "<stdin>")]


def _cases() -> Iterator[Any]:
    """Each change in both ways, of which one by turns is a slow test."""
    changes = (
        (n, home, change) for n, home in HOMES.items() for change in home.changes
    )
    for i, (name, home, change) in enumerate(changes):
        for j, (form, file) in enumerate(WAYS):
            yield pytest.param(
                *(home, change, form, file),
                id=f"{name}: {change} ({form})".replace("\n", " "),
                marks=[pytest.mark.slow] * ((i + j) % 2),
            )


CASES = list(_cases())
#: The half of them for the fast tests, and the other one.
HALVES = pytest.mark.parametrize(
    "cases",
    [
        pytest.param([c for c in CASES if not c.marks], id="fast"),
        pytest.param([c for c in CASES if c.marks], id="slow", marks=pytest.mark.slow),
    ],
)


@HALVES
def test_what_a_function_changes_is_refused(cases: list[Any]) -> None:
    assert len(cases) > 100
    assert not failures(refused, ((case.id, case.values) for case in cases))


def refused(home: Home, change: str, form: str, file: str) -> None:
    space = made(program(home, form, change, within=True), file, "numpy")
    with pytest.raises(ArgumentError, match=r"while it is traced|happen once"):
        space["run"](X)


@HALVES
def test_what_changes_between_calls_is_seen(cases: list[Any]) -> None:
    rows = [(case.id, case.values) for case in cases if case.values[0].read]
    assert len(rows) > 100
    assert not failures(seen_when_called, rows)


def seen_when_called(home: Home, change: str, form: str, file: str) -> None:
    source = program(home, form, change, within=False)
    seen: list[list[Any]] = []
    for engine in ("numpy", None):
        space = made(source, file, engine)
        results: list[Any] = []
        for _ in range(2):
            results.append((space["run"](X).tolist(), space["state"]()))
            space["change"]()
        seen.append(results)
    assert seen[0] == seen[1]

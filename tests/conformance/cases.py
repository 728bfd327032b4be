"""Examples of every primitive, made from the ``cases`` that it declares.

Nothing here knows any primitive: whatever the package declares is covered. A test of
the references, of derivatives or of an engine asks for :func:`all_cases` and lets each
:class:`Example` draw its inputs::

    @pytest.mark.parametrize("example", all_cases())
    def test_engine(example, rng):
        arrays = example.draw(rng)
        expected = example.reference(arrays)
"""

from __future__ import annotations

import functools
import importlib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule
from chainrule.composites.composite import Composite
from chainrule.graph.apply import apply
from chainrule.graph.declare import by_input
from chainrule.graph.graph import Graph
from chainrule.graph.primitive import (
    DERIVATIVES,
    REFERENCES,
    Case,
    Primitive,
    registered,
)
from chainrule.graph.types import ArrayType, DType, SymbolicDim, as_dtype
from chainrule.passes.inline import inline_composites
from tests.rows import table

Array = np.ndarray[Any, Any]

#: What a letter ``f`` in a case's type stands for, in turn.
FLOATS = (DType.float32, DType.float64)
#: Where an interval has no end, numbers are drawn up to here.
FAR = 2.0
#: Open ends of a domain are kept at this distance.
MARGIN = 0.1
#: With ties, numbers are multiples of this, so that equal ones and zeros occur.
TIE = 0.25

#: Primitives of one test: starting one takes longer than the cases of a primitive.
TOGETHER = 8

#: Nodes of a body from which on tests of machine code do less at first.
LONG = 80

_DECLARATION = re.compile(r"^@(declare|composite)\(", re.MULTILINE)


def _declare_all() -> None:
    """Import every module of the package that declares primitives or composites."""
    package = Path(chainrule.__file__).parent
    for path in sorted(package.rglob("*.py")):
        if _DECLARATION.search(path.read_text(encoding="utf-8")):
            parts = path.relative_to(package.parent).with_suffix("").parts
            importlib.import_module(".".join(parts).removesuffix(".__init__"))


_declare_all()

_INTEGERS = {
    DType.bool: (0, 2),
    DType.uint8: (0, 256),
    DType.uint16: (0, 2**16),
    DType.uint32: (0, 2**32),
    DType.uint64: (0, 256),
    DType.int8: (-128, 128),
    DType.int16: (-255, 256),
    DType.int32: (-255, 256),
    DType.int64: (-255, 256),
}


@functools.cache
def is_long(primitive: Primitive) -> bool:
    """Whether machine code of a composite takes seconds: a series of many terms."""
    if not isinstance(primitive, Composite):
        return False
    example = examples_of(primitive)[0]
    body = inline_composites(primitive.body(example.types, example.attrs))
    return len(body.nodes) > LONG


def parse_type(text: str, dtype: DType | None = None) -> ArrayType:
    """``"f[3,4]"`` as a type, with ``dtype`` for the letter ``f``."""
    found = re.fullmatch(r"(\w+)\[((?:\d+(?:,\d+)*)?)\]", text)
    assert found, f"{text!r} is not a type"
    short, sizes = found.groups()
    if short == "f":
        assert dtype is not None
    else:
        dtype = as_dtype(short)
    return ArrayType(tuple(int(size) for size in sizes.split(",") if size), dtype)


def interval(primitive: Primitive, case: Case, i: int) -> tuple[float, float] | None:
    """Where the numbers of input ``i`` come from; None where nothing is declared."""
    if i < len(case.ranges) and case.ranges[i] is not None:
        return case.ranges[i]
    if i < len(primitive.domain):
        low, high = primitive.domain[i]
        return (
            -FAR if math.isinf(low) else low + MARGIN,
            FAR if math.isinf(high) else high - MARGIN,
        )
    return None


def materialise(
    primitive: Primitive,
    case: Case,
    dtype: DType | None,
    rng: np.random.Generator,
    *,
    types: Sequence[ArrayType] | None = None,
    ties: bool = False,
) -> list[Array]:
    """Arrays for one case: within its ranges, else within the primitive's domain.

    Floats come from [−2, 2], integers from 0…255 (uint32: all of its values; signed
    ones: −255…255), booleans at random, where nothing else is declared. The ends of a
    range of integers are its first value and the one behind its last.

    Args:
        types: other types than the case's, to see what happens.
        ties: draw few different numbers, so that zeros and equal elements occur.
    """
    if types is None:
        types = [parse_type(text, dtype) for text in case.inputs]
    arrays: list[Array] = []
    for i, t in enumerate(types):
        bounds = interval(primitive, case, i)
        shape = tuple(int(size) for size in t.shape)
        if not t.dtype.is_float:
            low, high = bounds or ((0, 3) if ties else _INTEGERS[t.dtype])
            low = math.ceil(low)
            array = rng.integers(low, max(math.ceil(high), low + 1), shape)
        else:
            low, high = bounds or (-FAR, FAR)
            if ties:
                steps = math.ceil(low / TIE), math.floor(high / TIE) + 1
                array = rng.integers(*steps, shape) * TIE
            else:
                array = rng.uniform(low, high, shape)
        arrays.append(np.asarray(array, t.dtype.numpy))
    return arrays


@dataclass(frozen=True)
class Example:
    """One case of one primitive in one floating type (None: the case names its own)."""

    primitive: Primitive
    case: Case
    dtype: DType | None

    @functools.cached_property
    def types(self) -> list[ArrayType]:
        """The types of the inputs."""
        return [parse_type(text, self.dtype) for text in self.case.inputs]

    @property
    def attrs(self) -> dict[str, Any]:
        """The attributes."""
        return self.case.attrs

    @functools.cached_property
    def out_types(self) -> tuple[ArrayType, ...]:
        """The types of the outputs, from the rule."""
        return self.primitive.output_types(self.types, self.attrs)

    @property
    def empty(self) -> bool:
        """Whether some input has no elements."""
        return any(0 in t.shape for t in self.types)

    def draw(self, rng: np.random.Generator, *, ties: bool = False) -> list[Array]:
        """Input arrays."""
        return materialise(self.primitive, self.case, self.dtype, rng, ties=ties)

    def reference(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        """What the primitive's reference computes, always as a tuple."""
        made = REFERENCES[self.primitive](*arrays, **self.attrs)
        return made if isinstance(made, tuple) else (made,)

    def apply(self, *values: Any) -> tuple[Any, ...]:
        """The primitive applied to values, always as a tuple."""
        made = apply(self.primitive, values, self.attrs)
        return made if isinstance(made, tuple) else (made,)

    def __str__(self) -> str:
        parts = [self.primitive.name, ",".join(self.case.inputs) or "none"]
        parts += [f"{key}={_short(item)}" for key, item in self.attrs.items()]
        if self.dtype is not None:
            parts.append(self.dtype.short)
        return "-".join(parts)


def _short(item: Any) -> str:
    if isinstance(item, tuple):
        return "(" + ",".join(map(_short, item)) + ")"
    if isinstance(item, DType):
        return item.short
    if isinstance(item, Graph):
        return item.name
    return str(item)


def examples(
    dtypes: Iterable[DType] = FLOATS,
    only: Callable[[Example], bool] = lambda example: True,
) -> list[Example]:
    """Every case of every primitive, in each floating type that it leaves open."""
    kinds = tuple(dtypes)
    made = [e for p in registered().values() for e in examples_of(p, kinds)]
    return [example for example in made if only(example)]


@functools.cache
def examples_of(
    primitive: Primitive, dtypes: tuple[DType, ...] = FLOATS
) -> Sequence[Example]:
    """Every case of one primitive, in each floating type that it leaves open."""
    return tuple(
        Example(primitive, case, dtype)
        for case in primitive.examples()
        for dtype in (
            dtypes if any(t.startswith("f[") for t in case.inputs) else (None,)
        )
    )


def all_cases(
    dtypes: Iterable[DType] = FLOATS,
    only: Callable[[Example], bool] = lambda example: True,
) -> list[Any]:
    """:func:`examples` as parameters for ``pytest.mark.parametrize``."""
    return [pytest.param(e, id=str(e)) for e in examples(tuple(dtypes), only)]


def every(cases: Iterable[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The decorated test for some primitives at a time, with each of their cases.

    The fast suite has each case in one floating type, by turns, the slow tests in all.
    Long composites are tested with the slow tests; test_special_functions.py has exact
    numbers of each, and test_engines.py an example in machine code.

    An error names the case; the other primitives of the group are tested all the same.

    Args:
        cases: parameters whose first value is an :class:`Example`; the test takes the
            values and then ``rng``.
    """
    groups: dict[str, list[Any]] = {}
    for param in cases:
        groups.setdefault(param.values[0].primitive.name, []).append(param.values)

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        def run(
            names: list[str], some: dict[str, list[Any]], rng: np.random.Generator
        ) -> None:
            errors: list[Exception] = []
            for name in names:
                for values in some[name]:
                    try:
                        test(*values, rng)
                    except Exception as error:
                        error.add_note(f"the case was {values[0]}")
                        errors.append(error)
                        break
            if errors:
                raise ExceptionGroup("these cases failed", errors)

        run.__name__, run.__doc__ = test.__name__, test.__doc__
        run.__module__ = test.__module__
        turns = {name: _one_type_each(cases) for name, cases in groups.items()}
        quick = [n for n, cases in groups.items() if not _is_of_long(cases)]
        params: list[Any] = []
        for some, mine, what, marks in (
            (turns, quick, "", ()),
            (groups, list(groups), "all of ", pytest.mark.slow),
        ):
            for i in range(0, len(mine), TOGETHER):
                names = mine[i : i + TOGETHER]
                name = what + ",".join(names)
                params.append(pytest.param(names, some, id=name, marks=marks))
        return pytest.mark.parametrize(("names", "some"), params)(run)

    return decorate


def every_primitive(test: Callable[[Primitive], None]) -> Callable[..., None]:
    """The decorated test for some primitives at a time; ``-k`` finds each by its name.

    An error names the primitive; the others are tested all the same.
    """
    primitives = list(registered().values())
    groups = [primitives[i : i + TOGETHER] for i in range(0, len(primitives), TOGETHER)]

    def run(group: list[Primitive]) -> None:
        table("primitive", group, ids=lambda p: p.name)(test)()

    functools.update_wrapper(run, test)
    del run.__wrapped__  # pyright: ignore  # its parameters are others
    names = [",".join(p.name for p in group) for group in groups]
    return pytest.mark.parametrize("group", groups, ids=names)(run)


def _one_type_each(cases: list[Any]) -> list[Any]:
    """Of the examples of each case one: in the first type, in the last, by turns."""
    groups: dict[int, list[Any]] = {}
    for values in cases:
        groups.setdefault(id(values[0].case), []).append(values)
    return [mine[-(i % 2)] for i, mine in enumerate(groups.values(), 1)]


def _is_of_long(cases: list[Any]) -> bool:
    return is_long(cases[0][0].primitive)


@contextmanager
def replaced(
    primitive: Primitive,
    *,
    vjp: tuple[Any, ...] | None = None,
    joint_vjp: Any = None,
    **fields: Any,
) -> Iterator[None]:
    """The primitive with other fields for a while: a fault, planted on purpose."""
    kept = {name: getattr(primitive, name) for name in fields}
    rule = DERIVATIVES.get(primitive)
    try:
        for name, item in fields.items():
            object.__setattr__(primitive, name, item)
        if vjp is not None or joint_vjp is not None:
            DERIVATIVES[primitive] = joint_vjp or by_input(vjp or ())
        yield
    finally:
        for name, item in kept.items():
            object.__setattr__(primitive, name, item)
        if rule is not None:
            DERIVATIVES[primitive] = rule


def with_batch(example: Example, n: int) -> tuple[list[ArrayType], dict[str, Any]]:
    """The example's types and attributes with N in place of each leading size ``n``."""

    def lead(sizes: tuple[Any, ...]) -> tuple[Any, ...]:
        return (SymbolicDim("N"), *sizes[1:]) if sizes and sizes[0] == n else sizes

    types = [ArrayType(lead(t.shape), t.dtype) for t in example.types]
    attrs = {
        key: lead(item) if isinstance(item, tuple) else item
        for key, item in example.attrs.items()
    }
    return types, attrs

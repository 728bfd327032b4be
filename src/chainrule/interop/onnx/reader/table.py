"""The table of operators: one row a name and a version, filled by ``@operator``.

The signature of a row's function is the row. Positional arguments are the inputs of a
node, None where an optional one is left out; keywords are its attributes, with the
defaults of the standard. How an input comes is said by its annotation:

================  ====================================================================
``Tensor``        a tensor; what is known already becomes a constant
``Known``         a NumPy array: the numbers decide about shapes (axes, repeats, depth),
                  so they must be known while a function is traced
``Sizes``         a tuple of sizes, of which some may have names
``Any``           whatever it is, a tensor or an array
================  ====================================================================

The keyword ``node`` is the :class:`~.graph.Node` itself: its name, the outputs that are
asked for.
"""

from __future__ import annotations

import inspect
import operator as builtin_operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, DTypeError
from chainrule.graph.context import context, no_grad, within
from chainrule.graph.types import Dim, SymbolicDim
from chainrule.tensor import Tensor, as_tensor
from chainrule.tensor import tensor as new_tensor
from chainrule.text import _

#: Numbers that are known while a function is traced.
Known = np.ndarray[Any, Any]
#: Sizes, some of which may have names.
Sizes = tuple[Dim, ...]

#: Constants of at most so many elements become part of a traced graph.
SMALL = 64


@dataclass(frozen=True)
class Operator:
    """A row of the table: an operator from a version of its standard on.

    Attributes:
        name, domain, since: which.
        function: what computes it.
        kinds: how each positional input comes; the last one's holds for all further
            ones where ``variadic``.
        variadic: whether there may be any number of inputs.
        required: how many inputs must be there.
        attributes: the names of attributes that it knows.
        needed: those without a default.
        folds: whether its outputs are known where all inputs are.
        one_dtype: whether all inputs have the same dtype.
        symbolic: its form for shapes with named sizes, on NumPy arrays of objects.
        states: positions of inputs that are statistics, which are not trained.
        node: whether the function is given the node.
    """

    name: str
    domain: str
    since: int
    function: Callable[..., Any]
    kinds: tuple[str, ...]
    variadic: bool
    required: int
    attributes: frozenset[str]
    needed: frozenset[str]
    folds: bool = True
    one_dtype: bool = False
    symbolic: Callable[..., Any] | None = None
    states: tuple[int, ...] = ()
    node: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        return row, (self.domain, self.name, self.since)

    def kind(self, position: int) -> str:
        """Return how the input at a position comes."""
        return self.kinds[min(position, len(self.kinds) - 1)]

    def accepts(self, count: int) -> bool:
        """Return whether a node may have so many inputs."""
        return self.variadic or count <= len(self.kinds)

    def __call__(self, node: Any, values: list[Any], attributes: Any) -> Any:
        """Apply the operator to a node's inputs.

        Raises:
            ChainruleError: they do not fit.
            UnknownSizeError: it needs the number of a named size.
        """
        keywords = attributes | {"node": node} if self.node else attributes
        present = [v for v in values if v is not None]
        if self.folds and all(isinstance(v, np.ndarray) for v in present):
            return self._folded(values, keywords, present)
        return self.function(*self._converted(values), **keywords)

    def _folded(self, values: list[Any], keywords: Any, present: list[Any]) -> Any:
        """Compute outputs that are known from known inputs, outside of any trace."""
        if self.symbolic is not None and any(v.dtype.hasobject for v in present):
            return self.symbolic(*values, **keywords)
        with within("trace", None), no_grad():
            results = self.function(*self._converted(values), **keywords)
            if isinstance(results, tuple):
                return tuple(map(known, results))
            return known(results)

    def _converted(self, values: list[Any]) -> list[Any]:
        """Return inputs as the function takes them."""
        arguments = [
            v if v is None else CONVERSIONS[self.kind(i)](v)
            for i, v in enumerate(values)
        ]
        arguments += [None] * (self.required - len(arguments))
        if self.one_dtype:
            dtypes = {a.dtype for a in arguments if a is not None}
            if len(dtypes) > 1:
                raise DTypeError(
                    _("The inputs of {name} have one dtype.", name=self.name),
                    expected=_("all alike"),
                    got=", ".join(sorted(d.name for d in dtypes)),
                    fix=_("the file is wrong: a Cast is missing"),
                )
        return arguments


def known(value: Any) -> Any:
    """Return a value as a NumPy array: of a tensor its numbers, read now.

    Raises:
        ChainruleError: a function is traced, and they depend on its arguments.
    """
    if isinstance(value, Tensor):
        return value.detach().numpy()
    return value


def constant(value: Any) -> Tensor:
    """Return a value as a tensor; a small known one is part of the traced graph."""
    if isinstance(value, Tensor):
        return value
    array = numbers(value)
    return new_tensor(array) if array.size <= SMALL else as_tensor(array)


def numbers(value: Any) -> Known:
    """Return a value as an array of plain numbers.

    Raises:
        UnknownSizeError: it has a size that is a name.
    """
    array = known(value)
    if array.dtype.hasobject:
        flat = [builtin_operator.index(item) for item in array.reshape(-1)]
        return np.array(flat, np.int64).reshape(array.shape)
    return array


def sizes(value: Any) -> Sizes:
    """Return a value of one axis as a tuple of sizes, with names or without."""
    array = known(value)
    if array.dtype.kind not in "iuO":
        raise DTypeError(
            _("Sizes are integers."), expected="int64", got=array.dtype.name
        )
    return tuple(d if isinstance(d, SymbolicDim) else int(d) for d in array.reshape(-1))


CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "Tensor": constant,
    "Known": numbers,
    "Sizes": sizes,
    "Any": lambda value: value,
}

#: (domain, name) → its rows, the latest first.
TABLE: dict[tuple[str, str], list[Operator]] = {}
#: Operators that are known and not supported, each with the reason.
UNSUPPORTED: dict[tuple[str, str], str] = {}

Function = Callable[..., Any]


def operator(
    *names: str,
    since: int = 1,
    domain: str = "",
    folds: bool = True,
    one_dtype: bool = False,
    symbolic: Callable[..., Any] | None = None,
    states: tuple[int, ...] = (),
) -> Callable[[Function], Function]:
    """Return a decorator that makes a function a row of the table of operators.

    Args:
        names: of the operator; several where they differ by name alone, which the
            function gets from ``node``.
        since: the first version of the standard whose meaning it has.
        domain: the operator set; "" is the standard's own.
        folds, one_dtype, symbolic, states: see :class:`Operator`.
    """

    def add(function: Function) -> Function:
        for name in names:
            rows = TABLE.setdefault((domain, name), [])
            assert since not in {r.since for r in rows}
            rows.append(
                replace(
                    _row(name, domain, since, function),
                    folds=folds,
                    one_dtype=one_dtype,
                    symbolic=symbolic,
                    states=states,
                )
            )
            rows.sort(key=lambda r: -r.since)
        return function

    return add


def _row(name: str, domain: str, since: int, function: Function) -> Operator:
    """Read a row off the signature of its function."""
    parameters = inspect.signature(function).parameters.values()
    inputs = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
    keywords = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "node"]
    return Operator(
        name,
        domain,
        since,
        function,
        tuple(str(p.annotation).removesuffix(" | None") for p in inputs),
        any(p.kind is p.VAR_POSITIONAL for p in inputs),
        sum(p.default is p.empty and p.kind is not p.VAR_POSITIONAL for p in inputs),
        frozenset(p.name for p in keywords),
        frozenset(p.name for p in keywords if p.default is p.empty),
        node=any(p.name == "node" for p in parameters),
    )


def row(domain: str, name: str, opset: int) -> Operator | None:
    """Return the row of an operator in an opset; None where there is none."""
    for candidate in TABLE.get((domain, name), ()):
        if candidate.since <= opset:
            return candidate
    return None


def axis_of(axis: int, rank: int) -> int:
    """Return a node's axis, which may count from the end, as one from the front."""
    if not -rank <= axis < max(rank, 1):
        raise ArgumentError(
            _("There is no axis {axis}.", axis=axis),
            expected=_("an axis of {rank}", rank=rank),
            got=str(axis),
        )
    return axis % rank if rank else 0


def in_trace() -> bool:
    """Return whether a function is being traced."""
    return context.trace is not None

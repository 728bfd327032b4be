"""Type rules and argument checks that several primitives share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.graph.declare import DerivativeRule, Operation, declare
from chainrule.graph.primitive import Case, Formula
from chainrule.graph.types import ArrayType, DType, Shape
from chainrule.text import _

Rule = Callable[..., ArrayType]


def show(shape: Shape) -> str:
    """Return a shape as text for error messages: ``(N, 784)``."""
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


#: What a rule may ask of a dtype: which fit, the values meant, and a remedy.
_KINDS: dict[str, tuple[Callable[[DType], bool], str, str]] = {
    "floats": (lambda d: d.is_float, _("floating-point values"), "float32"),
    "numbers": (
        lambda d: d.kind != "bool",
        _("numbers, not for truth values"),
        "float32",
    ),
    "integers": (lambda d: d.is_integer, _("integers"), "int32"),
    "bits": (lambda d: not d.is_float, _("integers and truth values"), "int64"),
}


def wrong_count(name: str, inputs: int, got: int) -> ArgumentError:
    """Return the error for a primitive that is given a wrong number of inputs."""
    return ArgumentError(
        _(
            "{name} takes {inputs} value{plural}.",
            name=name,
            inputs=inputs,
            plural="s" if inputs > 1 else "",
        ),
        expected=str(inputs),
        got=str(got),
    )


def same(
    name: str, inputs: int, only: str | None = None, result: DType | None = None
) -> Rule:
    """Return the type rule of a primitive whose inputs have one shape and dtype.

    ``only`` "floats", "numbers", "integers" or "bits" (all but floats) are allowed.
    """

    def rule(*types: ArrayType) -> ArrayType:
        if len(types) != inputs:
            raise wrong_count(name, inputs, len(types))
        first = types[0]
        for other in types[1:]:
            if other.shape != first.shape:
                raise ShapeError(
                    _("{name} takes values of one shape.", name=name),
                    expected=show(first.shape),
                    got=show(other.shape),
                    fix=_("broadcast_to the common shape first (tensors do it)"),
                )
            need_dtype(name, first.dtype, other.dtype)
        if only is not None:
            fits, values, remedy = _KINDS[only]
            if not fits(first.dtype):
                raise DTypeError(
                    _("{name} is defined for {values}.", name=name, values=values),
                    expected=" or ".join(d.name for d in DType if fits(d)),
                    got=first.dtype.name,
                    fix=_("convert first: x.astype('{remedy}')", remedy=remedy),
                )
        return ArrayType(first.shape, result or first.dtype)

    return rule


def elementwise(
    reference: Any,
    *vjp: DerivativeRule | None,
    name: str = "",
    inputs: int = 0,
    only: str | None = "floats",
    result: DType | None = None,
    rule: Rule | None = None,
    source: str = "Abramowitz & Stegun, Handbook of Mathematical Functions, ch. 3–4",
    cases: tuple[Case, ...] = (),
    formula: Formula | None = None,
    shown: Formula | None = None,
    **traits: Any,
) -> Operation:
    """Declare a primitive that computes element by element, with NumPy code and rules.

    Args:
        reference: a function that computes it with NumPy.
        vjp: the derivative rules of its inputs.
        name, inputs: by default those of ``reference``, a function of NumPy's.
        only, result: as for :func:`same`.
        rule: instead of what these make.
        source: where the definition can be looked up.
        cases: examples; by default floats of several shapes.
        formula, shown, traits: as for :func:`chainrule.graph.declare.declare`.
    """
    name, inputs = name or reference.__name__, inputs or reference.nin
    decorate = declare(
        name=name,
        rule=rule or same(name, inputs, only, result),
        vjp=vjp,
        source=source,
        elementwise=True,
        cases=cases or examples(inputs),
        formula=formula,
        shown=shown,
        **traits,
    )
    return decorate(reference)


def examples(inputs: int) -> tuple[Case, ...]:
    """Return test cases of an elementwise primitive: float inputs of several shapes."""
    shapes = ("", "0", "1", "7", "2,3", "5,1,4", "1031")
    return tuple(Case((f"f[{s}]",) * inputs) for s in shapes)


def need_dtype(name: str, expected: DType, got: DType) -> None:
    """Raise an error if a primitive's inputs differ in dtype."""
    if got is not expected:
        raise DTypeError(
            _("{name} takes values of one dtype.", name=name),
            expected=expected.name,
            got=got.name,
            fix=_("convert one of them: x.astype(y.dtype)"),
        )


def need_type(
    name: str, what: str, expected: ArrayType, got: ArrayType, fix: str | None = None
) -> None:
    """Raise an error if an input of a primitive is not of the expected type."""
    if got.dtype is not expected.dtype:
        problem, want, came = (
            _("{name} takes {what}.", name=name, what=what),
            str(expected),
            str(got),
        )
        raise DTypeError(problem, expected=want, got=came, fix=fix)
    need_types(_("{name} takes {what}.", name=name, what=what), [expected], [got], fix)


def need_types(
    problem: str,
    expected: Sequence[ArrayType],
    got: Sequence[ArrayType],
    fix: str | None = None,
) -> None:
    """Raise an error if the input types of a primitive differ from those expected."""
    if list(expected) != list(got):
        want, came = (", ".join(map(str, types)) for types in (expected, got))
        raise ShapeError(problem, expected=want, got=came, fix=fix)


def need_integer(name: str, what: str, dtype: DType) -> None:
    """Raise an error if an input of a primitive has no integer dtype."""
    if not dtype.is_integer:
        raise DTypeError(
            _("{name} needs integers for its {what}.", name=name, what=what),
            expected=_("an integer dtype"),
            got=dtype.name,
            fix=_("convert: x.astype('int32')"),
        )


def need_axes(name: str, axes: tuple[int, ...], rank: int) -> None:
    """Raise an error if a primitive's axes are repeated or outside 0…rank−1."""
    if any(not 0 <= a < rank for a in axes) or len(set(axes)) != len(axes):
        raise ShapeError(
            _("{name} got axes that do not exist, or one twice.", name=name),
            expected=_("distinct axes from 0 to {rank}", rank=rank - 1)
            if rank
            else _("no axis"),
            got=str(axes),
        )


def need_some(name: str, axes: tuple[int, ...], shape: Shape) -> None:
    """Raise an error if an axis that a primitive reduces has no elements."""
    if any(shape[a] == 0 for a in axes):
        raise ShapeError(
            _("{name} of no elements does not exist.", name=name),
            expected=_(
                "at least one element along each of the axes {axes}", axes=show(axes)
            ),
            got=show(shape),
        )

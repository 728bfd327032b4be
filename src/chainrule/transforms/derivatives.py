"""Derivatives as function transforms: gradients, vjp, jvp, Jacobian, Hessian.

>>> import chainrule as cr
>>> cr.grad(lambda x: (x * x).sum())(cr.tensor([1.0, 2.0]))
tensor([2., 4.])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, overload

import numpy as np

from chainrule.autodiff import cotangents
from chainrule.errors import ArgumentError, GradientError, ShapeError
from chainrule.functions import arange
from chainrule.graph.apply import constant
from chainrule.graph.context import context, no_grad, recording
from chainrule.graph.graph import ancestors
from chainrule.graph.hooks import gradient_hooks
from chainrule.graph.node import Value
from chainrule.operations.accepted import TensorLike
from chainrule.primitives.elementwise import add, convert
from chainrule.primitives.indexing import one_hot_mask
from chainrule.primitives.movement import full_like, reshape
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _, ngettext
from chainrule.transforms import forward_mode
from chainrule.transforms.signatures import Gradient, Jacobian, ValueAndGradient
from chainrule.transforms.vectorization import vmap
from chainrule.util.blocks import settled
from chainrule.util.pytree import flatten, unflatten

__all__ = [
    "grad",
    "gradients",
    "hessian",
    "jacobian",
    "jvp",
    "value_and_grad",
    "vjp",
]

Position = int | str
P = ParamSpec("P")
R = TypeVar("R")

#: Numbers in the cotangents of a Jacobian's rows that are walked back at once.
SEEDS = 1 << 22

# -- what a derivative is taken with respect to ----------------------------------------


class _Point:
    """The arguments at which a function is differentiated, some of them inputs.

    An argument may be a tensor, a nest of them, or a module, which stands for its
    parameters by name.

    Attributes:
        inputs: the values that derivatives are taken with respect to.
    """

    def __init__(
        self,
        positions: Sequence[Position],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self.args, self.kwargs = list(args), dict(kwargs)
        self.inputs: list[Value] = []
        self.structures: list[Any] = []
        for position in positions:
            argument = self._get(position)
            if hasattr(argument, "named_parameters"):
                parameters = {
                    n: p for n, p in argument.named_parameters() if p.requires_grad
                }
                self.structures.append(self._add(parameters, position, view=False)[1])
                continue
            rebuilt, structure = self._add(argument, position, view=True)
            self.structures.append(structure)
            self._set(position, rebuilt)

    def _get(self, position: Position) -> Any:
        try:
            if isinstance(position, str):
                return self.kwargs[position]
            return self.args[position]
        except (KeyError, IndexError):
            raise ArgumentError(
                _("grad was asked for an argument that the call does not have."),
                expected=_(
                    "0 … {last}, or a keyword of {names}",
                    last=len(self.args) - 1,
                    names=", ".join(self.kwargs) or _("none"),
                ),
                got=repr(position),
                fix=_("pass it by that position, or by that keyword"),
            ) from None

    def _set(self, position: Position, item: Any) -> None:
        if isinstance(position, str):
            self.kwargs[position] = item
        else:
            self.args[position] = item

    def _add(self, argument: Any, position: Position, *, view: bool) -> tuple[Any, Any]:
        """Make an argument's tensors inputs for the derivative; return both."""
        leaves, structure = flatten(argument)
        values: list[Value] = []
        for leaf in leaves:
            if type(leaf) is int:  # a number has no dtype of its own
                leaf = as_tensor(leaf, dtype="float32")
            value = as_tensor(leaf).value
            if not value.dtype.is_float:
                raise GradientError(
                    _("grad differentiates with respect to floating-point arguments."),
                    expected=_("float32 or float64"),
                    got=_(
                        "argument {position} of dtype {name}",
                        position=position,
                        name=value.dtype.name,
                    ),
                    fix="x.astype('float32')",
                )
            values.append(_fresh(value) if view else _here(value))
        start = len(self.inputs)
        self.inputs += values
        places = unflatten(structure, range(start, len(self.inputs)))
        return unflatten(structure, [wrap(v) for v in values]), places

    def gradients(self, gradients: Sequence[Tensor]) -> list[Any]:
        """Return gradients in the nested structure of the arguments they belong to."""
        return [_at(places, gradients) for places in self.structures]


def _at(places: Any, gradients: Sequence[Tensor]) -> Any:
    leaves, structure = flatten(places)
    return unflatten(structure, [gradients[i] for i in leaves])


def _fresh(value: Value) -> Value:
    """Return a graph value that tracks derivatives, with the same numbers.

    Where it is tracked already it is a view, so that a loss does not look behind it for
    a softmax's scores, and derivatives of derivatives go on to what it was made of.
    """
    if value.tracked and context.grad:
        return reshape(value, shape=value.shape)
    if value.array is not None and context.trace is None:
        return Value(value.array, tracked=True)
    copy = reshape(value, shape=value.shape)
    copy.tracked = True
    return copy


def _here(value: Value) -> Value:
    """Return a value as an operand of the trace in progress; without one as it is."""
    return value if context.trace is None else context.trace.operand(value)


def _depends_on_more(roots: Sequence[Value], inputs: Sequence[Value]) -> bool:
    """Return whether a result depends on tracked values other than the inputs."""
    own = {id(v) for v in inputs}
    if any(v.node is not None and v.node.inputs and v.tracked for v in inputs):
        return True
    return any(
        v.tracked and (v.node is None or v.owner) and id(v) not in own
        for node in ancestors(roots, inputs)
        for v in node.inputs
    )


def _walk(
    roots: dict[Value, Value], inputs: Sequence[Value], *, record: bool
) -> list[Tensor]:
    """Return the derivative to each input; 0 where the results do not depend on it."""
    with recording() if record else no_grad():
        known = cotangents(roots, stop=inputs, keep=set(inputs).__contains__)
        return [wrap(known[v] if v in known else full_like(v, 0.0)) for v in inputs]


def _scalar(result: Any) -> Value:
    if not isinstance(result, Tensor) or result.shape != ():
        raise GradientError(
            _("grad needs a function that returns a scalar tensor."),
            expected=_("shape ()"),
            got=show(result.shape) if isinstance(result, Tensor) else repr(result)[:80],
            fix=_("reduce it: .sum() or .mean()"),
        )
    return result.value


# -- gradients -------------------------------------------------------------------------


@overload
def value_and_grad(
    function: Callable[P, R],
    argnums: Literal[0] = 0,
    has_aux: Literal[False] = False,
) -> ValueAndGradient[P, R]: ...
@overload
def value_and_grad(
    function: Callable[P, R],
    argnums: Position | Sequence[Position] = 0,
    has_aux: bool = False,
) -> Callable[P, tuple[R, Any]]: ...
def value_and_grad(
    function: Callable[P, Any],
    argnums: Position | Sequence[Position] = 0,
    has_aux: bool = False,
) -> Callable[P, tuple[Any, Any]]:
    """Return a function that computes the value and the gradient of ``function``.

    Args:
        function: returns a scalar tensor; with ``has_aux`` a pair of that and anything.
        argnums: with respect to which arguments: a position, a keyword, or several. An
            argument is a tensor, a tuple, list or dictionary of them, or a module: then
            the gradient is a dictionary of its parameters' gradients by name.
        has_aux: whether the function returns something beside its value.

    Returns:
        A function of the same arguments; the gradient has the structure of the argument
        (a tuple of gradients where ``argnums`` is a sequence). It can be differentiated
        again, with respect to parameters that the function uses too.

    >>> import chainrule as cr
    >>> value, slope = cr.value_and_grad(lambda w: (w * w * w).sum())(cr.tensor([2.0]))
    >>> value.item(), slope
    (8.0, tensor([12.]))
    """
    one = isinstance(argnums, int | str)
    positions: list[Position] = [argnums] if one else list(argnums)  # type: ignore
    call: Callable[..., Any] = function

    @settled
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        remembered = context.grad
        point = _Point(positions, args, kwargs)
        with recording():
            output = call(*point.args, **point.kwargs)
        result, aux = output if has_aux else (output, None)
        root = _scalar(result)
        more = remembered and _depends_on_more([root], point.inputs)
        roots = {root: constant(1.0, root.dtype)} if root.tracked else {}
        derivatives = _walk(roots, point.inputs, record=more)
        gradients = point.gradients(derivatives)
        gradient = gradients[0] if one else tuple(gradients)
        value = result if more else result.detach()
        return ((value, aux) if has_aux else value), gradient

    return differentiated


@overload
def grad(
    function: Callable[P, Any],
    argnums: Literal[0] = 0,
    has_aux: Literal[False] = False,
) -> Gradient[P]: ...
@overload
def grad(
    function: Callable[P, Any],
    argnums: Position | Sequence[Position] = 0,
    has_aux: bool = False,
) -> Callable[P, Any]: ...
def grad(
    function: Callable[P, Any],
    argnums: Position | Sequence[Position] = 0,
    has_aux: bool = False,
) -> Callable[P, Any]:
    """Return a function that computes the gradient of ``function``.

    See :func:`value_and_grad`.

    >>> import chainrule as cr
    >>> cube = lambda x: x * x * x
    >>> cr.grad(cr.grad(cube))(cr.tensor(2.0))
    tensor(12.)
    >>> layer = cr.nn.Linear(2, 1)
    >>> sorted(cr.grad(lambda m, x: m(x).sum())(layer, cr.tensor([[1.0, 2.0]])))
    ['bias', 'weight']
    """
    with_value = value_and_grad(function, argnums, has_aux=has_aux)

    @settled
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        value, gradient = with_value(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return differentiated


@overload
def gradients(
    loss: Tensor | Sequence[Tensor],
    tensors: Tensor | Sequence[Tensor],
    *,
    gradient: Any = None,
    create_graph: bool = False,
    retain_graph: bool | None = None,
    allow_unused: Literal[False] = False,
) -> tuple[Tensor, ...]: ...
@overload
def gradients(
    loss: Tensor | Sequence[Tensor],
    tensors: Tensor | Sequence[Tensor],
    *,
    gradient: Any = None,
    create_graph: bool = False,
    retain_graph: bool | None = None,
    allow_unused: bool,
) -> tuple[Tensor | None, ...]: ...
@settled
def gradients(
    loss: Tensor | Sequence[Tensor],
    tensors: Tensor | Sequence[Tensor],
    *,
    gradient: Any = None,
    create_graph: bool = False,
    retain_graph: bool | None = None,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """Return ∂loss/∂t for some tensors t, leaves or not; ``.grad`` is not changed.

    PyTorch's ``torch.autograd.grad``; :func:`chainrule.autograd.grad` has its names of
    arguments.

    Args:
        loss: a scalar, or anything with ``gradient``, its cotangent; or several, for
            the derivative of the sum of ⟨cotangent, loss⟩.
        tensors: what it was computed from.
        gradient: the cotangent of ``loss``, or a list of one for each; 1 for a scalar.
        create_graph: record the derivatives, so that they can be differentiated.
        retain_graph: keep the recorded nodes; by default as ``create_graph``.
        allow_unused: give None for a tensor that the loss does not depend on.

    Raises:
        GradientError: a tensor that the loss does not depend on, or without a record.

    >>> import chainrule as cr
    >>> x = cr.tensor(3.0, requires_grad=True)
    >>> y = x * x
    >>> cr.gradients(y * y, [x, y])
    (tensor(108.), tensor(18.))
    """
    wanted = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    one = isinstance(loss, Tensor)
    losses, seeds = ([loss], [gradient]) if one else (loss, gradient)
    roots: dict[Value, Value] = {}
    for part, seed in zip(losses, seeds or [None] * len(losses), strict=True):
        root = part.value
        if not root.tracked:
            raise GradientError(
                _("gradients found nothing to differentiate."),
                expected=_("a loss computed from tensors with requires_grad=True"),
                got=repr(part)[:80],
                fix=_("cr.tensor(…, requires_grad=True), and not within no_grad()"),
            )
        start = _seed(part, seed)
        roots[root] = add(roots[root], start) if root in roots else start
    if context.trace is not None:
        context.trace.note_read(lambda: gradient_hooks.version)
    keep = (create_graph if retain_graph is None else retain_graph) or (
        context.trace is not None
    )
    values = [_here(t.value) for t in wanted]
    with recording() if create_graph else no_grad():
        # Every way to the wanted values is walked: some may lead through others.
        known = cotangents(roots, keep=set(values).__contains__, free=not keep)
    missing = [i for i, v in enumerate(values) if v not in known]
    if missing and not allow_unused:
        raise GradientError(
            _("The loss does not depend on a tensor that gradients was asked for."),
            expected=_("tensors that it was computed from"),
            got=_(
                "number {missing}: {wanted!r:.80}",
                missing=missing[0],
                wanted=wanted[missing[0]],
            ),
            fix=_("allow_unused=True gives None for it"),
        )
    return tuple([wrap(known[v]) if v in known else None for v in values])


def _seed(loss: Tensor, gradient: Any) -> Value:
    root = loss.value
    if gradient is None:
        if root.shape != ():
            raise GradientError(
                _("A derivative without a cotangent starts from a scalar."),
                expected=_("shape ()"),
                got=show(root.shape),
                fix=_("reduce it first, loss.mean(), or pass gradient="),
            )
        return constant(1.0, root.dtype)
    return _like(gradient, root, _("The gradient")).value


def _like(data: Any, value: Value, what: str) -> Tensor:
    tensor = as_tensor(data, dtype=value.dtype)
    if tensor.shape != value.shape:
        raise ShapeError(
            _("{what} must fit what it belongs to.", what=what),
            expected=show(value.shape),
            got=show(tensor.shape),
        )
    return tensor


# -- products with Jacobians, and Jacobians --------------------------------------------


@overload
def vjp(
    function: Callable[[Tensor], R], x: TensorLike, /
) -> tuple[R, Callable[[Any], tuple[Tensor]]]: ...
@overload
def vjp(
    function: Callable[[Tensor, Tensor], R], x: TensorLike, y: TensorLike, /
) -> tuple[R, Callable[[Any], tuple[Tensor, Tensor]]]: ...
@overload
def vjp(
    function: Callable[..., R], *args: Any
) -> tuple[R, Callable[[Any], tuple[Any, ...]]]: ...
@settled
def vjp(
    function: Callable[..., Any], *args: Any
) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Return y = f(x) and the function u ↦ uᵀ ∂y/∂x, the vector-Jacobian product.

    Args:
        function: of tensors; returns a tensor or a nest of them.
        args: the point, tensors or nests of them.

    Returns:
        y, and a function of cotangents like y that gives one for each argument. It may
        be called more than once.

    >>> import chainrule as cr
    >>> y, back = cr.vjp(lambda x: x * x, cr.tensor([1.0, 3.0]))
    >>> back(cr.tensor([1.0, 10.0]))
    (tensor([ 2., 60.]),)
    """
    remembered = context.grad
    point = _Point(range(len(args)), args, {})
    with recording():
        output = function(*point.args)
    leaves, structure = flatten(output)
    outputs = [as_tensor(leaf) for leaf in leaves]
    values = [t.value for t in outputs]
    more = remembered and _depends_on_more(values, point.inputs)

    @settled
    def pull(cotangent: Any) -> tuple[Any, ...]:
        parts, shape = flatten(cotangent)
        if shape != structure:
            raise ArgumentError(
                _("A cotangent has the structure of the function's value."),
                expected=ngettext(
                    "{n} tensor as the function returns it",
                    "{n} tensors as the function returns them",
                    n=len(leaves),
                ),
                got=_("{parts} in another structure", parts=len(parts)),
            )
        seeds = [_like(part, v, _("A cotangent")) for part, v in zip(parts, values)]
        record = context.grad and (more or any(t.requires_grad for t in seeds))
        roots: dict[Value, Value] = {}
        with recording() if record else no_grad():
            for v, seed in zip(values, seeds):
                if v.tracked:
                    known = roots.get(v)
                    total = seed if known is None else wrap(known) + seed
                    roots[v] = total.value
        return tuple(point.gradients(_walk(roots, point.inputs, record=record)))

    shown = outputs if more else [t.detach() for t in outputs]
    return unflatten(structure, shown), pull


@overload
def jvp(
    function: Callable[[Tensor], R], primals: Sequence[Any], tangents: Sequence[Any]
) -> tuple[R, R]: ...
@overload
def jvp(
    function: Callable[..., R], primals: Sequence[Any], tangents: Sequence[Any]
) -> tuple[R, R]: ...
@settled
def jvp(
    function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]
) -> tuple[Any, Any]:
    """Return y = f(x) and the Jacobian-vector product ∂y/∂x · t.

    By forward mode: one way through what the function computes, beside it.

    Args:
        function: of tensors; returns a tensor or a nest of them.
        primals: the point x, a sequence of arguments.
        tangents: the direction t, one for each argument.

    >>> import chainrule as cr
    >>> cr.jvp(lambda x: x * x, [cr.tensor([1.0, 3.0])], [cr.tensor([1.0, 0.5])])
    (tensor([1., 9.]), tensor([2., 3.]))
    """
    if len(primals) != len(tangents):
        raise ArgumentError(
            _("jvp takes one direction for each argument."),
            expected=str(len(primals)),
            got=str(len(tangents)),
        )
    remembered = context.grad
    point = _Point(range(len(primals)), tuple(primals), {})
    with recording():
        output = function(*point.args)
    leaves, structure = flatten(output)
    outputs = [as_tensor(leaf) for leaf in leaves]
    values = [t.value for t in outputs]
    given, shape = flatten(tuple(tangents))
    if shape != flatten(tuple(point.structures))[1]:
        raise ArgumentError(
            _("Directions have the structure of the arguments."),
            expected=ngettext(
                "{n} tensor as in primals",
                "{n} tensors as in primals",
                n=len(point.inputs),
            ),
            got=_("{parts} in another structure", parts=len(given)),
        )
    directions = [
        _like(t, v, _("A direction")) for t, v in zip(given, point.inputs, strict=True)
    ]
    more = remembered and _depends_on_more(values, point.inputs)
    record = remembered and (more or any(t.requires_grad for t in directions))
    seeds = {v: t.value for v, t in zip(point.inputs, directions)}
    with recording() if record else no_grad():
        known = forward_mode.tangents(values, seeds)
        slopes = [wrap(known[v] if v in known else full_like(v, 0)) for v in values]
    shown = outputs if more else [t.detach() for t in outputs]
    return unflatten(structure, shown), unflatten(structure, slopes)


@overload
def jacobian(
    function: Callable[Concatenate[Tensor, P], Tensor], argnums: int = 0
) -> Jacobian[Concatenate[Tensor, P], Tensor]: ...
@overload
def jacobian(
    function: Callable[P, Tensor], argnums: int = 0
) -> Jacobian[P, Tensor]: ...
@overload
def jacobian(
    function: Callable[P, Tensor], argnums: Sequence[int]
) -> Jacobian[P, tuple[Tensor, ...]]: ...
def jacobian(
    function: Callable[P, Tensor], argnums: int | Sequence[int] = 0
) -> Callable[P, Any]:
    """Return a function that computes the Jacobian ∂yᵢ/∂xⱼ of a function.

    A backward step for each element of y, all of them at once by :func:`vmap`.

    >>> import chainrule as cr
    >>> w = cr.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> cr.jacobian(lambda x: w @ x)(cr.tensor([1.0, 1.0])).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    positions = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    call: Callable[..., Tensor] = function

    @settled
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        def partial(*chosen: Any) -> Tensor:
            arguments = list(args)
            for i, x in zip(positions, chosen):
                arguments[i] = x
            return as_tensor(call(*arguments, **kwargs))

        y, back = vjp(partial, *[as_tensor(args[i]) for i in positions])
        count = int(np.prod(y.shape))

        def row(i: Tensor) -> tuple[Any, ...]:
            mask = convert(one_hot_mask(i.value, count), dtype=y.dtype)
            return back(wrap(reshape(mask, shape=y.shape)))

        at_once = max(1, SEEDS // max(count, 1))
        rows = vmap(row, chunk_size=at_once)(arange(count))
        blocks = [
            part.reshape((*y.shape, *as_tensor(args[i]).shape))
            for part, i in zip(rows, positions)
        ]
        return blocks[0] if isinstance(argnums, int) else tuple(blocks)

    return differentiated


@overload
def hessian(
    function: Callable[Concatenate[Tensor, P], Tensor], argnums: int = 0
) -> Jacobian[Concatenate[Tensor, P], Tensor]: ...
@overload
def hessian(function: Callable[P, Tensor], argnums: int = 0) -> Jacobian[P, Tensor]: ...
def hessian(function: Callable[..., Tensor], argnums: int = 0) -> Callable[..., Tensor]:
    """Return a function that computes the Hessian ∂²y/∂xᵢ∂xⱼ of a scalar function y.

    >>> import chainrule as cr
    >>> cr.hessian(lambda x: (x * x * x).sum())(cr.tensor([1.0, 2.0])).tolist()
    [[6.0, 0.0], [0.0, 12.0]]
    """
    return jacobian(grad(function, argnums), argnums)

"""Functions with a derivative of one's own: :class:`Function`.

What ``forward`` computes is recorded without derivatives. A node of the composite
``custom_derivative`` then stands between it and the result. Its body is the identity,
so engines have nothing to do for it, and its derivative rule calls ``backward``:

    (results…, arguments…, saved…) ↦ results…

What ``backward`` needs is among the node's inputs: so a graph that is copied, compiled
or differentiated later gives it the values of that graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, Protocol, TypeVar, overload

import numpy as np

from chainrule.composites.composite import Composite
from chainrule.errors import ArgumentError, GradientError, ShapeError
from chainrule.graph.batching import Samples
from chainrule.graph.context import context, no_grad, within
from chainrule.graph.emit import emit, trace
from chainrule.graph.graph import Graph
from chainrule.graph.node import Array, Cotangent, Node, Value
from chainrule.graph.primitive import BATCHING, BODIES, DERIVATIVES, REFERENCES
from chainrule.graph.types import ArrayType
from chainrule.primitives.movement import full_like, reshape
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, tensor, wrap
from chainrule.text import _
from chainrule.transforms.vectorization import vmap
from chainrule.util.blocks import settled

P = ParamSpec("P")
R = TypeVar("R", covariant=True)


class FunctionCtx:
    """The context of a Function: values that ``forward`` stores for ``backward``.

    Any attribute may be set.

    Attributes:
        needs_input_grad: for each argument whether its gradient is asked for.
        saved_tensors: what :meth:`save_for_backward` was called with.
    """

    def __init__(self, needs: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs
        self.saved_tensors: tuple[Any, ...] = ()
        self._without: tuple[Tensor, ...] = ()
        self._zeros = True

    if TYPE_CHECKING:  # any attribute may be set

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Save tensors, arguments or results or others, for ``backward``."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise ArgumentError(
                    _("save_for_backward takes tensors."),
                    expected=_("tensors, or None"),
                    got=f"{t!r:.80}",
                    fix=_("ctx.name = … for anything else"),
                )
        self.saved_tensors = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Say which results have no derivative."""
        self._without = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Say whether ``backward`` gets zeros, or None, for unused results."""
        self._zeros = value

    def mark_dirty(self, *tensors: Tensor) -> NoReturn:
        """Raise an error: a function does not change its arguments in place."""
        raise ArgumentError(
            _("A function with its own derivative does not change its arguments."),
            expected=_("new tensors as results"),
            got="ctx.mark_dirty(…)",
            fix=_("return the result, and x.copy_(F.apply(x)) where it is called"),
        )


class WithContext(Protocol[P, R]):
    """A function whose ``forward`` gets the context, for type checkers."""

    @staticmethod
    def forward(ctx: FunctionCtx, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Compute the results."""
        ...


class WithoutContext(Protocol[P, R]):
    """A function with ``setup_context`` beside ``forward``, for type checkers."""

    @staticmethod
    def forward(*args: P.args, **kwargs: P.kwargs) -> R:
        """Compute the results."""
        ...


class Function:
    """A function with its own derivative, written as in PyTorch.

    ``forward(ctx, *args)`` computes the result, ``backward(ctx, *gs)`` the gradients of
    the arguments from those of the results: one for each argument of ``forward``, None
    for what has none. Instead of using ``ctx`` in it, ``forward(*args)`` may be beside
    ``setup_context(ctx, inputs, output)``. It is called by :meth:`apply`.

    >>> import chainrule as cr
    >>> class ReverseGradient(cr.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x, scale):
    ...         ctx.scale = scale
    ...         return x.view_as(x)
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         return -ctx.scale * g, None
    >>> x = cr.tensor([1.0, 2.0], requires_grad=True)
    >>> ReverseGradient.apply(x, 0.5).sum().backward()
    >>> x.grad
    tensor([-0.5, -0.5])
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the results; every function defines this."""
        raise _undefined("forward")

    @staticmethod
    def setup_context(*args: Any, **kwargs: Any) -> Any:
        """Save what ``backward`` needs, where ``forward`` has no ``ctx``."""

    @staticmethod
    def backward(*args: Any, **kwargs: Any) -> Any:
        """Compute the arguments' gradients from the results'; see :class:`Function`."""
        raise _undefined("backward")

    @overload
    @classmethod
    def apply(cls: type[WithContext[P, R]], *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    @classmethod
    def apply(
        cls: type[WithoutContext[P, R]], *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @classmethod
    @settled
    def apply(cls, *args: Any) -> Any:
        """Call the function.

        Raises:
            ArgumentError: results that are no tensors.
            GradientError, ShapeError: on the way back, gradients that do not fit.
        """
        needs = tuple(isinstance(a, Tensor) and a.requires_grad for a in args)
        ctx = FunctionCtx(needs)
        with no_grad():
            if cls.setup_context is Function.setup_context:
                result = cls.forward(ctx, *args)
            else:
                result = cls.forward(*args)
                cls.setup_context(ctx, args, result)
        several = isinstance(result, tuple)
        outputs: tuple[Any, ...] = result if several else (result,)
        for t in outputs:
            if not isinstance(t, Tensor):
                raise ArgumentError(
                    _("{name}.forward returns tensors.", name=cls.__name__),
                    expected=_("a tensor, or a tuple of tensors"),
                    got=f"{t!r:.80}",
                )
        if not (context.grad and any(needs)):
            return result
        call = _Call(cls, ctx, args, outputs)
        wrapped = tuple(map(wrap, call.recorded()))
        for i, t in enumerate(outputs):
            if any(t is other for other in ctx._without):
                wrapped = (*wrapped[:i], t.detach(), *wrapped[i + 1 :])
        return wrapped if several else wrapped[0]


class _Call:
    """A call of a function with its own derivative, as its graph node knows it.

    Attributes:
        count: the number of results.
    """

    def __init__(
        self,
        function: type[Function],
        ctx: FunctionCtx,
        args: Sequence[Any],
        outputs: Sequence[Tensor],
    ) -> None:
        self.function, self.count = function, len(outputs)
        self.name = function.__name__
        self.options = dict(vars(ctx))
        self.places = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        self.args = [None if isinstance(a, Tensor) else a for a in args]
        #: Where each saved tensor is among the node's inputs; None for None.
        self.saved: list[int | None] = []
        tensors = (*outputs, *(args[i] for i in self.places))
        self.values: list[Value] = [t.value for t in tensors]
        known = {id(t): i for i, t in enumerate(outputs)}
        known |= {id(args[i]): self.count + k for k, i in enumerate(self.places)}
        for t in ctx.saved_tensors:
            if t is not None and id(t) not in known:
                known[id(t)] = len(self.values)
                self.values.append(t.value)
            self.saved.append(None if t is None else known[id(t)])
        self.options.pop("saved_tensors")

    def recorded(self) -> tuple[Value, ...]:
        """Record the node, and return the results as its outputs."""
        inputs, attrs = tuple(self.values), {"call": self}
        self.values = []  # the node has them, until it is freed
        if context.trace is not None:
            return emit(CUSTOM, inputs, attrs)
        node = Node(CUSTOM, inputs, attrs, context.scope, context.role)
        outputs = [Value(v.array, tracked=True) for v in inputs[: self.count]]
        for i, value in enumerate(outputs):
            value.node, value.index = node, i
        node.set_outputs(tuple(outputs), weakly=True)
        return tuple(outputs)

    def computed(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Compute the results anew from the arrays of the node's inputs."""
        args = list(self.args)
        for k, i in enumerate(self.places):
            args[i] = tensor(inputs[self.count + k])
        with no_grad():
            result = self.function.apply(*args)
        several = result if isinstance(result, tuple) else (result,)
        return tuple([t.numpy() for t in several])

    def cotangents(
        self,
        gs: Sequence[Cotangent],
        ys: Sequence[Value | None],
        inputs: Sequence[Value],
    ) -> list[Cotangent]:
        """Call ``backward``; return the cotangents of the node's inputs."""
        ctx = FunctionCtx(())
        vars(ctx).update(self.options)
        # A result that was saved is this node's: its own derivative goes through it.
        known = [y or v for y, v in zip(ys, inputs)] + list(inputs[self.count :])
        saved = [None if i is None else wrap(known[i]) for i in self.saved]
        ctx.saved_tensors = tuple(saved)
        wrapped = [
            wrap(full_like(v, 0.0) if g is None else g) if g or ctx._zeros else None
            for g, v in zip(gs, inputs)
        ]
        with within("derived", None):  # it is written out, in lines of its own
            result = self.function.backward(ctx, *wrapped)
        found: tuple[Any, ...] = result if isinstance(result, tuple) else (result,)
        name = self.name
        if len(found) != len(self.args):
            raise GradientError(
                _("{name}.backward returns a gradient for each argument.", name=name),
                expected=str(len(self.args)),
                got=str(len(found)),
                fix=_("None for an argument that has no gradient"),
            )
        results: list[Cotangent] = [None] * len(inputs)
        for k, i in enumerate(self.places):
            g, v = found[i], inputs[self.count + k]
            if g is None or not v.dtype.is_float:
                continue
            if not isinstance(g, Tensor) or g.shape != v.shape:
                got = show(g.shape) if isinstance(g, Tensor) else repr(g)[:80]
                raise ShapeError(
                    _(
                        "{name}.backward returns a gradient of another shape.",
                        name=name,
                    ),
                    expected=_("a tensor of shape {shape}", shape=show(v.shape)),
                    got=got,
                )
            results[self.count + k] = g.astype(v.dtype).value
        return results


class _SampleCalls:
    """A call for each of many samples, as the graph node of all of them knows it.

    Its ``backward`` is written for one sample, so it is vectorised too.
    """

    def __init__(self, call: _Call | _SampleCalls) -> None:
        self.call, self.count, self.name = call, call.count, call.name

    def computed(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Compute the results anew from the arrays of the node's inputs."""
        each = [self.call.computed(sample) for sample in zip(*inputs, strict=True)]
        return tuple(map(np.stack, zip(*each)))

    def cotangents(
        self,
        gs: Sequence[Cotangent],
        ys: Sequence[Value | None],
        inputs: Sequence[Value],
    ) -> list[Cotangent]:
        """Call ``backward`` for all samples; return the cotangents of the inputs."""

        def one(*nests: Any) -> list[Tensor | None]:
            values: Any = (
                [None if t is None else t.value for t in nest] for nest in nests
            )
            found = self.call.cotangents(*values)
            return [None if g is None else wrap(g) for g in found]

        every = (gs, ys, inputs)
        nests = [[None if v is None else wrap(v) for v in values] for values in every]
        return [None if g is None else g.value for g in vmap(one)(*nests)]


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a ``backward`` as one without a derivative: asking for it is an error."""

    def call(ctx: Any, *gs: Any) -> Any:
        with no_grad():
            results = backward(ctx, *gs)
        if not context.grad:
            return results
        several = results if isinstance(results, tuple) else (results,)
        sources = [t for t in (*gs, *ctx.saved_tensors) if isinstance(t, Tensor)]
        refused = tuple(
            [_Once.apply(t, *sources) if isinstance(t, Tensor) else t for t in several]
        )
        return refused if isinstance(results, tuple) else refused[0]

    return call


class _Once(Function):
    """A result that has no derivative, and says so, to what it was computed from."""

    @staticmethod
    def forward(ctx: FunctionCtx, result: Tensor, *sources: Tensor) -> Tensor:
        return result.clone()

    @staticmethod
    def backward(ctx: FunctionCtx, *gs: Tensor) -> Any:
        raise GradientError(
            _("A backward that is once_differentiable has no derivative."),
            expected=_("one derivative"),
            got=_("a second one, or one along a direction"),
            fix=_("write backward with tensors' operations, and leave the mark out"),
        )


def _undefined(name: str) -> ArgumentError:
    return ArgumentError(
        _("The function has no {name}.", name=name),
        expected=_("a static method {name}(ctx, …)", name=name),
        fix=_("define it in the class, with @staticmethod"),
    )


# -- the composite ---------------------------------------------------------------------


def _results(*inputs: Value, call: _Call | _SampleCalls) -> tuple[Value, ...]:
    return tuple([reshape(v, shape=v.shape) for v in inputs[: call.count]])


def _rule(*types: ArrayType, call: _Call | _SampleCalls) -> tuple[ArrayType, ...]:
    return types[: call.count]


def _reference(*arrays: Array, call: _Call | _SampleCalls) -> Any:
    return arrays[: call.count] if call.count > 1 else arrays[0]


def _body(types: Sequence[ArrayType], attrs: dict[str, Any]) -> Graph:
    return trace(_results, types, name=CUSTOM.name, attrs=attrs)


def _derivative(
    gs: tuple[Value | None, ...],
    ys: tuple[Value | None, ...],
    inputs: tuple[Value, ...],
    needed: Sequence[bool],
    *,
    call: _Call | _SampleCalls,
) -> Sequence[Cotangent]:
    return call.cotangents(gs, ys, inputs)


def _samples(s: Samples) -> Any:
    return s.apply(*s.all_whole, call=_SampleCalls(s.attrs["call"]))


CUSTOM = Composite(
    name="custom_derivative",
    moves=True,
    rule=_rule,
    function=_results,
    own_vjp=True,
    internal=True,
)
REFERENCES[CUSTOM], BODIES[CUSTOM], DERIVATIVES[CUSTOM] = _reference, _body, _derivative
BATCHING[CUSTOM] = _samples

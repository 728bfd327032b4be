"""Recomputation: less memory for the way back, for a second way forwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from chainrule.composites.checkpoint import checkpoint as composite
from chainrule.errors import ArgumentError
from chainrule.graph.apply import apply
from chainrule.graph.body import BodyTrace, refuse_escaped
from chainrule.graph.context import absolute_scope, context, within
from chainrule.graph.graph import Graph
from chainrule.graph.node import Value
from chainrule.graph.primitive import as_tuple
from chainrule.methods.views import detached
from chainrule.tensor import Tensor, wrap
from chainrule.text import _
from chainrule.util import validation
from chainrule.util.pytree import flatten, unflatten

R = TypeVar("R")


class _Region(BodyTrace):
    """The trace of a checkpointed function, which may draw and change outside tensors.

    What it assigns to a tensor is read within the function from then on. The tensor
    itself is changed once, behind the function.
    """

    def __init__(self, inputs: Sequence[Value]) -> None:
        super().__init__(inputs)
        self.assigned: dict[int, tuple[Tensor, Value]] = {}

    def constant(self, value: Value) -> Value:
        return self._outside(value)

    def lift(self, tensor: Tensor, value: Value) -> Value:
        known = self.assigned.get(id(tensor))
        return super().lift(tensor, value) if known is None else known[1]

    def assign(self, tensor: Tensor, value: Value) -> bool:
        if id(tensor._value) in self.own:
            return False  # a tensor of the function itself
        if tensor.requires_grad:
            return super().assign(tensor, value)
        self.assigned[id(tensor)] = tensor, self.operand(value)
        return True


def checkpoint(
    function: Callable[..., R],
    /,
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> R:
    """Call a function, and compute it anew for its derivative: nothing in it is kept.

    Between the way forwards and the way back only the tensors that go in and those that
    come out stay in memory. A network of L blocks, each of them checkpointed, keeps L
    values and those of one block, for one more way forwards.

    The function is traced. Random numbers are the same both times, and tensors that it
    changes, such as the averages of a batch normalisation, are changed once.

    Args:
        function: of tensors and nests of them, such as a module; also of other objects,
            which are passed on. It may read tensors from outside.
        args, kwargs: its arguments.
        use_reentrant, preserve_rng_state: as in PyTorch. There is one way here, and it
            is right for either value.

    Returns:
        What the function returns.

    Raises:
        GraphError: a function that calls ``backward()`` or steps an optimiser, or that
            keeps a tensor of its own somewhere outside.

    Source: Chen, Xu, Zhang & Guestrin 2016; PyTorch's ``torch.utils.checkpoint``.

    >>> import chainrule as cr
    >>> x = cr.tensor([1.0, 2.0], requires_grad=True)
    >>> y = cr.checkpoint(lambda x: (x * x).sin().sum(), x)
    >>> y.backward(); x.grad == 2 * x * (x * x).cos()
    tensor([ True,  True])
    """
    if not context.grad:
        return function(*args, **kwargs)
    leaves, structure = flatten((args, kwargs))
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    values: list[Value] = [leaves[i].value for i in places]
    inputs = [Value(None, v.shape, v.dtype, tracked=v.tracked) for v in values]
    region = _Region(inputs)
    with within("trace", region), absolute_scope(context.scope, context.role):
        for i, value in zip(places, inputs):
            leaves[i] = wrap(value)
        new_args, new_kwargs = unflatten(structure, leaves)
        results, result_structure = flatten(function(*new_args, **new_kwargs))
        tensors = [i for i, item in enumerate(results) if isinstance(item, Tensor)]
        outputs = [region.operand(results[i].value) for i in tensors]
        outputs += [value for __, value in region.assigned.values()]
    captured = list(region.outside.values())
    name = getattr(function, "__name__", type(function).__name__).strip("<>")
    graph = Graph(name, [*(v for __, v in captured), *inputs], outputs)
    refuse_escaped(graph)
    made = as_tuple(
        apply(composite, (*(v for v, __ in captured), *values), {"body": graph})
    )
    new = [
        wrap(value if inner.tracked else detached(value))
        for value, inner in zip(made, outputs)
    ]
    for i, tensor in zip(tensors, new):
        results[i] = tensor
    for (tensor, __), value in zip(region.assigned.values(), new[len(tensors) :]):
        tensor.copy_(value)
    return unflatten(result_structure, results)


def checkpoint_sequential(
    functions: Any,
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    *,
    preserve_rng_state: bool = True,
) -> Any:
    """Apply functions one after another, in checkpointed segments.

    Args:
        functions: modules or functions, in a list or :class:`~chainrule.nn.Sequential`.
        segments: how many parts they are cut into, of equal length but for the last.
            That one is not checkpointed: its way back begins at once.
        input: of the first function.
        use_reentrant, preserve_rng_state: as in :func:`checkpoint`.

    >>> import chainrule as cr
    >>> x = cr.tensor([1.0, 2.0], requires_grad=True)
    >>> cr.utils.checkpoint.checkpoint_sequential([cr.sin, cr.cos, cr.exp], 3, x).shape
    (2,)
    """
    each = list(functions)
    count = validation.whole("segments", segments)
    if count > max(len(each), 1):
        raise ArgumentError(
            _("There are fewer functions than segments."),
            expected=_("at most {count} segments", count=len(each)),
            got=str(segments),
        )
    size = len(each) // count

    def run(start: int, stop: int) -> Callable[[Any], Any]:
        def forward(value: Any) -> Any:
            for function in each[start:stop]:
                value = function(value)
            return value

        return forward

    last = size * (count - 1)
    for start in range(0, last, size):
        input = checkpoint(run(start, start + size), input)
    return run(last, len(each))(input)

"""Recomputation: less memory for the way back, for a second way forwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from chainrule.composites.checkpoint import checkpoint as composite
from chainrule.errors import ArgumentError
from chainrule.graph.apply import apply
from chainrule.graph.body import BodyTrace, refuse_escaped
from chainrule.graph.context import absolute_scope, context, within
from chainrule.graph.graph import Graph
from chainrule.graph.node import Value
from chainrule.graph.primitive import as_tuple
from chainrule.graph.types import Shape
from chainrule.methods.views import detached
from chainrule.tensor import Tensor, wrap
from chainrule.text import _, ngettext
from chainrule.transforms.vectorization import SampleTrace
from chainrule.util import validation
from chainrule.util.blocks import settled
from chainrule.util.pytree import flatten, unflatten

R = TypeVar("R")


class _CheckpointTrace(BodyTrace):
    """The trace of a checkpointed function, which may draw and change outside tensors.

    What it assigns to a tensor is read within the function from then on. The tensor
    itself is changed once, behind the function.

    Attributes:
        assigned: tensors with numbers, and what is assigned to them.
        replaced: tensors of the trace around this one, and their values before.
    """

    def __init__(self) -> None:
        super().__init__(())
        self.assigned: dict[int, tuple[Tensor, Value]] = {}
        self.replaced: dict[int, tuple[Tensor, Value]] = {}

    def constant(self, value: Value) -> Value:
        return self._outside(value)

    def lift(self, tensor: Tensor, value: Value) -> Value:
        known = self.assigned.get(id(tensor))
        return super().lift(tensor, value) if known is None else known[1]

    def assign(self, tensor: Tensor, value: Value) -> bool:
        if tensor.requires_grad and tensor.is_leaf:
            return super().assign(tensor, value)
        self.assigned[id(tensor)] = tensor, self.operand(value)
        return True

    def draw(self, shape: Shape, bits: Callable[[Shape], Tensor]) -> Tensor:
        """Draw random bits that the recomputation uses again; one a row within vmap."""
        outer = self.outer
        while isinstance(outer, _CheckpointTrace):
            outer = outer.outer
        if not isinstance(outer, SampleTrace):
            return super().draw(shape, bits)
        with within("trace", self.outer):
            drawn = self.outer.draw(shape, bits).value
        return wrap(self.operand(drawn))

    def note_change(self, tensor: Tensor) -> None:
        old, is_view = tensor._value, tensor._base is not None  # its base is changed
        if old.array is None and id(old) not in self.own and not is_view:
            self.replaced.setdefault(id(tensor), (tensor, old))

    def changed(self) -> list[tuple[Tensor, Value]]:
        """Return the outside tensors that were changed, and what they are then."""
        before = [tensor for tensor, __ in self.replaced.values()]
        now = [(tensor, self.operand(tensor._value)) for tensor in before]
        return [*self.assigned.values(), *now]

    def restore(self) -> None:
        """Give the tensors of the trace around this one their values of before."""
        for tensor, old in self.replaced.values():
            tensor._value = old


@settled
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
    changes, its arguments or the averages of a batch normalisation, are changed once.

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
    region = _CheckpointTrace()
    try:
        with within("trace", region), absolute_scope(context.scope, context.role):
            results, structure = flatten(function(*args, **kwargs))
            places = [i for i, item in enumerate(results) if isinstance(item, Tensor)]
            outputs = [region.operand(results[i].value) for i in places]
            changed = region.changed()
            outputs += [value for __, value in changed]
    finally:
        region.restore()
    captured = list(region.outside.values())
    name = getattr(function, "__name__", type(function).__name__).strip("<>")
    graph = Graph(name, [inner for __, inner in captured], outputs)
    refuse_escaped(graph)
    made = as_tuple(apply(composite, tuple([v for v, __ in captured]), {"body": graph}))
    new = [
        wrap(value if inner.tracked else detached(value))
        for value, inner in zip(made, outputs)
    ]
    for i, tensor in zip(places, new):
        results[i] = tensor
    for (tensor, __), value in zip(changed, new[len(places) :]):
        tensor.copy_(value)
    return unflatten(structure, results)


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
            expected=ngettext(
                "at most {n} segment", "at most {n} segments", n=len(each)
            ),
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

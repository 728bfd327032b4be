"""Arrays whose axes lie in another order than the graph's: channels last.

A convolution gives its result with channels last. What reads it at the same place, sums
over axes, slides windows or convolves again goes on in that order; what needs the order
of the graph gets it. ``order[i]`` is the graph's axis that lies at place i.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.engines.xla.backend import Array, lax
from chainrule.graph.node import Node
from chainrule.graph.primitive import Primitive, as_tuple
from chainrule.primitives import movement, reduce, windows
from chainrule.primitives.conv import conv
from chainrule.primitives.matmul import dot_general, parse_dims

Ints = tuple[int, ...]
#: An array and its order; None is that of the graph.
Laid = tuple[Array, Ints | None]
Compute = Callable[..., Any]


def plain(laid: Laid) -> Array:
    """Return an array in the order of the graph."""
    array, order = laid
    return array if order is None else lax.transpose(array, _inverse(order))


def _inverse(order: Ints) -> Ints:
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def _in_order(laid: Laid, order: Ints) -> Array:
    array, mine = laid
    return array if mine == order else lax.transpose(plain(laid), order)


def _or_none(order: Ints) -> Ints | None:
    return None if order == tuple(range(len(order))) else order


def _first(inputs: Sequence[Laid]) -> Ints:
    return next(order for __, order in inputs if order is not None)


def _alike(node: Node, inputs: Sequence[Laid], compute: Compute) -> Any:
    """Compute what is elementwise, in the order of the first operand that has one."""
    order = _first(inputs)
    operands = [_in_order(laid, order) for laid in inputs]
    return compute(*operands, **node.attrs), order


def _axes(node: Node, inputs: Sequence[Laid], compute: Compute) -> Any:
    """Compute what keeps the axes and names some of them."""
    order = _first(inputs)
    operands = [_in_order(laid, order) for laid in inputs]
    axes = tuple(map(order.index, node.attrs["axes"]))
    return compute(*operands, **node.attrs | {"axes": axes}), order


def _reduced(node: Node, inputs: Sequence[Laid], compute: Compute) -> Any:
    ((x, order),), axes = inputs, node.attrs["axes"]
    assert order is not None
    left = [a for a in order if a not in axes]
    made = compute(x, axes=tuple(map(order.index, axes)))
    return made, _or_none(tuple(sorted(left).index(a) for a in left))


def _each(node: Node, inputs: Sequence[Laid], compute: Compute) -> Any:
    """Compute what has attributes with a number for each axis."""
    ((x, order),) = inputs
    assert order is not None
    attrs = {k: tuple(items[a] for a in order) for k, items in node.attrs.items()}
    return compute(x, **attrs), order


def _turned(node: Node, inputs: Sequence[Laid], compute: Compute) -> Any:
    ((x, order),), axes = inputs, node.attrs["axes"]
    assert order is not None
    return x, _or_none(tuple(axes.index(a) for a in order))


def _joined(node: Node, inputs: Sequence[Laid], compute: Compute) -> Any:
    order = _first(inputs)
    operands = [_in_order(laid, order) for laid in inputs]
    return compute(*operands, axis=order.index(node.attrs["axis"])), order


def _product(node: Node, inputs: Sequence[Laid], compute: Compute) -> Any:
    """Compute a product; only a convolution's result lies in another order."""
    d, letters = parse_dims(node.attrs["dims"]), list[str]()
    for (__, order), names in zip(inputs, (d.lhs, d.rhs), strict=True):
        letters.append(names if order is None else "".join(names[a] for a in order))
    out, lies = d.out, None
    if node.primitive is conv:
        shared = "".join(c for c in d.batch if not c.isdigit())
        left, right = (
            "".join(c for c in p if not c.isdigit()) for p in (d.left, d.right)
        )
        if d.out == left + shared + right + d.window:
            out = left + d.window + shared + right
            lies = _or_none(tuple(map(d.out.index, out)))
    dims = f"{letters[0]},{letters[1]}->{out}"
    made = compute(*(x for x, __ in inputs), **node.attrs | {"dims": dims})
    return made, lies


#: How nodes are computed on arrays in other orders: (node, inputs, what computes it)
#: gives the result and its order. What is elementwise needs no row.
LAID: dict[Primitive, Callable[[Node, Sequence[Laid], Compute], Any]] = {
    movement.reduce_sum: _reduced,
    reduce.reduce_max: _reduced,
    reduce.reduce_prod: _reduced,
    movement.transpose: _turned,
    movement.pad: _each,
    movement.slice_: _each,
    movement.flip: _axes,
    movement.concatenate: _joined,
    movement.copy: _alike,
    windows.window_sum: _axes,
    windows.window_max: _axes,
    windows.window_argmax: _axes,
    windows.window_best: _axes,
    windows.window_max_pullback: _axes,
    dot_general: _product,
    conv: _product,
}


def laid_results(node: Node, inputs: Sequence[Laid], compute: Compute) -> list[Laid]:
    """Return a node's results, each with its order."""
    rule = LAID.get(node.primitive)
    if rule is None and node.primitive.elementwise:
        rule = _alike
    if all(order is None for __, order in inputs) and node.primitive is not conv:
        rule = None
    if rule is None:
        made, order = compute(*map(plain, inputs), **node.attrs), None
    else:
        made, order = rule(node, inputs, compute)
    results: Sequence[Array] = as_tuple(made)
    return [(array, order) for array in results]

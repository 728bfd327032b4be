"""Recognition of attention's Q, K and V among a graph's batched matrix products.

Their factors are seen on their own: Q, K and V where they meet in softmax(Q Kᵀ) V.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from chainrule.composites import activations
from chainrule.graph.node import Node, Value
from chainrule.primitives import creation, elementwise, matmul, movement
from chainrule.primitives.matmul import parse_dims

#: Nodes that change how numbers lie in memory, not what they mean.
VIEWS = (movement.broadcast_to, elementwise.convert, movement.reshape, movement.copy)


def is_view(node: Node) -> bool:
    """Return whether a node changes no number: not a conversion that cuts digits."""
    if node.primitive is elementwise.convert:
        before, after = node.inputs[0].dtype, node.attrs["dtype"]
        return (
            after.is_float
            or before.kind == "bool"
            or (before.is_integer and after.is_integer)
        )
    return node.primitive in VIEWS


@dataclass(frozen=True, eq=False)
class Attention:
    """Attention in a graph: softmax(Q Kᵀ) V.

    Attributes:
        factors: Q, K and V, as they are before scaling and views.
        scores, softmax, mixed: the nodes of Q Kᵀ, of its softmax A, and of A V.
        scaling: nodes that multiply Q, or the scores, with a constant, and whose
            results nothing else reads.
    """

    factors: tuple[Value, Value, Value]
    scores: Node
    softmax: Node
    mixed: Node
    scaling: tuple[Node, ...]


def factors(nodes: Iterable[Node]) -> frozenset[Value]:
    """Return the values that batched matrix products multiply, unscaled: Q, K, V."""
    values: set[Value] = set()
    for node in nodes:
        if _multiplies_matrices(node):
            values.update(map(_unscaled, node.inputs))
    return frozenset(values)


def attentions(
    nodes: Collection[Node], outputs: Iterable[Value] = ()
) -> Iterator[Attention]:
    """Yield where a graph's nodes compute attention, and give some outputs."""
    readers = Counter(v for node in nodes for v in {*node.inputs})
    readers.update(outputs)
    for node in nodes:
        if not _multiplies_matrices(node):
            continue
        for shares, values in (node.inputs, node.inputs[::-1]):
            softmax = _behind(shares, _is_softmax)
            scores = softmax and _behind(softmax.inputs[0], _multiplies_matrices)
            if softmax and scores:
                q, k = map(_unscaled, scores.inputs)
                factors = q, k, _unscaled(values)
                scaling = [
                    *_scales(scores.inputs[0], readers, None),
                    *_scales(softmax.inputs[0], readers, scores),
                ]
                yield Attention(factors, scores, softmax, node, tuple(scaling))


def attention(nodes: Collection[Node]) -> dict[Value, str]:
    """Return the letters Q, K and V by graph value, where attention is computed."""
    letters: dict[Value, str] = {}
    for each in attentions(nodes):
        for letter, value in zip("QKV", each.factors):
            letters.setdefault(value, letter)
    return letters


def _scales(
    value: Value, readers: Mapping[Value, int], start: Node | None
) -> list[Node]:
    """Return the nodes right behind a value that multiply it with a constant.

    Where a start is given, nothing but them may lie between it and the value.
    """
    found: list[Node] = []
    while (node := value.node) is not None and readers[value] == 1:
        if node is start:
            return found
        scaled = _scaled(node)
        if scaled is not None:
            found.append(node)
        elif not is_view(node) and not _turns(node):
            break
        value = scaled or node.inputs[0]
    return found if start is None else []


def _scaled(node: Node) -> Value | None:
    """Return what a node multiplies with a constant; None for other nodes."""
    if node.primitive is not elementwise.mul:
        return None
    value, factor = node.inputs
    if _is_constant(value):
        value, factor = factor, value
    return value if _is_constant(factor) else None


def _is_constant(value: Value) -> bool:
    while value.node is not None and is_view(value.node):
        value = value.node.inputs[0]
    return value.node is not None and value.node.primitive is creation.constant


def _multiplies_matrices(node: Node) -> bool:
    """Return whether a graph node is a forward matrix product with batch axes."""
    if node.primitive is not matmul.dot_general or node.role != "forward":
        return False
    return bool(parse_dims(node.attrs["dims"]).batch)


def _is_softmax(node: Node) -> bool:
    return node.primitive is activations.softmax


def _behind(value: Value, wanted: Callable[[Node], bool]) -> Node | None:
    """Return the graph node behind a value's scaling, masks and views."""
    waiting, seen = [value], set[Value]()
    while waiting:
        at = waiting.pop()
        node = at.node
        if node is None or at in seen:
            continue
        if wanted(node):
            return node
        seen.add(at)
        if node.primitive.elementwise or is_view(node) or _turns(node):
            waiting += reversed(node.inputs)
    return None


def _unscaled(value: Value) -> Value:
    """Return a graph value before scaling, views and exchanges of its last two axes."""
    while (node := value.node) is not None:
        scaled = _scaled(node)
        if scaled is None and not is_view(node) and not _turns(node):
            break
        value = scaled or node.inputs[0]
    return value


def _turns(node: Node) -> bool:
    """Return whether a graph node transposes the last two axes of three or more."""
    axes = tuple(node.attrs.get("axes", ()))
    if node.primitive is not movement.transpose or len(axes) < 3:
        return False
    last = len(axes) - 1
    return axes == (*range(last - 1), last, last - 1)


def matrices(nodes: Iterable[Node]) -> frozenset[Value]:
    """Return the graph values that are batched matrices, one per sample or head."""
    members: set[Value] = set()
    for node in nodes:
        if node.primitive is matmul.dot_general:
            d = parse_dims(node.attrs["dims"])
            if d.batch and all(len(v.shape) >= 3 for v in node.inputs):
                members.update(
                    v for v in (*node.inputs, *node.outputs) if v is not None
                )
    grown = True
    while grown:
        before = len(members)
        for node in nodes:
            alike = node.primitive.elementwise or _turns(node)
            if alike or node.primitive is activations.softmax:
                values = [v for v in (*node.inputs, *node.outputs) if v is not None]
                if any(v in members for v in values):
                    members.update(v for v in values if len(v.shape) >= 3)
        grown = len(members) > before
    return frozenset(members)

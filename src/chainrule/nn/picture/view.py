"""The view of a network in its picture: a layer is one box, a loop shows one step."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from chainrule.composites import activations, control
from chainrule.diagrams.reading import LoopStep, View, order_of
from chainrule.graph.calls import Call
from chainrule.graph.graph import Graph, ancestors, users
from chainrule.graph.node import Node, Value
from chainrule.graph.types import SymbolicDim, size_of
from chainrule.nn.picture.attention import Attention, attentions, is_view
from chainrule.nn.picture.gates import gates
from chainrule.nn.picture.heads import heads
from chainrule.notation.expressions import Atom, Expr, Number
from chainrule.primitives import conv, creation, elementwise, matmul, movement
from chainrule.primitives.checks import require
from chainrule.primitives.random import random_bits
from chainrule.text import tr
from chainrule.text.numbers import number

#: A longer formula is not a title.
LONGEST = 26
#: What has no box beside views: it moves all of its numbers, and changes none.
HIDDEN = (movement.transpose, require)
#: Letters of operands in titles.
OPERANDS = "xyzuvw"


class NetworkView(View):
    """The view of a network: layers, operations between them, and steps of loops.

    Args:
        graph: of the network.
        inputs: its data; what depends on none of them is no box of its own.
        depth: modules that lie deeper are one box with all that they contain; None:
            only layers without others inside are.
    """

    all_inputs = False

    def __init__(
        self, graph: Graph, inputs: Collection[Value], depth: int | None = None
    ) -> None:
        super().__init__(depth)
        self.moving: set[Value] = set(inputs)
        self.fixed: set[Value] = set()
        self.letters: dict[Value, str] = {}
        self.steps: dict[Node, LoopStep] = {}
        self.inner: set[Node] = set()
        self.leaders: dict[Node, Node] = {}
        self.titles: dict[Node, str] = {}
        self._read(graph)

    def _read(self, graph: Graph) -> None:
        """Note of a graph, and of its loops' steps, what moves and what has a name."""
        readers = users(graph)
        for node in graph.nodes:
            if node.primitive is control.scan:
                self._step(node)
            outputs = [v for v in node.outputs if v is not None]
            if self.fixed.issuperset(node.inputs):
                self.fixed.update(outputs)
            elif not self.moving.isdisjoint(node.inputs) or self._in_layer(node):
                self.moving.update(outputs)
        for each in attentions(graph.nodes, graph.outputs):
            shown = [self._behind_moves(value) for value in each.factors]
            for letter, value in zip("QKV", shown):
                if shown.count(value) == 1:  # else it is not Q, but Q, K and V
                    self.letters.setdefault(value, letter)
            self._attention(each)
        for node in graph.nodes:
            self._join_bias(node, readers)

    def _in_layer(self, node: Node) -> bool:
        """Return whether a node is drawn as a part of a layer, whatever it reads."""
        scope = node.scope
        while isinstance(scope, Call):
            if scope.whole:
                return True
            scope = scope.outer
        return False

    def _attention(self, found: Attention) -> None:
        for node in found.scaling:
            self.leaders[node] = found.scores
        shares = "Q Kᵀ"
        for node in found.scaling:
            scale = _constant(node.inputs)
            shares += f" · {number(scale)}" if scale is not None else ""
        self.titles[found.scores] = shares
        many = heads(found.scores)
        self.titles[found.softmax] = (
            tr("A = softmax, {n} heads", n=many) if many != 1 else "A = softmax"
        )
        self.titles[found.mixed] = "A V"

    def _behind_moves(self, value: Value) -> Value:
        """Return what has a box behind nodes that move numbers alone."""
        while value.node is not None and _moves(value.node):
            value = value.node.inputs[0]
        return value

    def _step(self, node: Node) -> None:
        a = node.attrs
        body, constants, carries = a["body"], a["constants"], a["carries"]
        for inside, outside in zip(body.inputs[:constants], node.inputs):
            if outside in self.moving:
                self.moving.add(inside)
            elif outside in self.fixed:
                self.fixed.add(inside)
        self.moving.update(body.inputs[constants:])
        self.moving.update(v for v in node.outputs if v is not None)
        before = "ₜ₊₁" if a["reverse"] else "ₜ₋₁"
        letters = gates(body, constants, carries)
        sequences = len(body.inputs) - constants - carries
        self.steps[node] = LoopStep(
            body=body,
            constants=constants,
            carries=carries,
            before=_states(body.outputs[:carries], letters, before),
            each=["xₜ" if i == 0 else f"xₜ, {i + 1}" for i in range(sequences)],
            title=order_of(a["length"], reverse=a["reverse"]),
        )
        self.inner.update(body.nodes)
        self.letters |= {v: f"{letter}ₜ" for v, letter in letters.items()}
        self._read(body)

    def _join_bias(self, node: Node, readers: Mapping[Value, list[Node]]) -> None:
        """Draw a bias in the box of the product to which it is added."""
        if node.primitive is not elementwise.add:
            return
        moving = [v for v in node.inputs if v in self.moving]
        if len(moving) != 1:
            return
        value = moving[0]
        while len(readers.get(value, ())) == 1 and value.node is not None:
            if value.node.primitive in (matmul.dot_general, conv.conv):
                if value.node.scope is node.scope and value.node not in self.titles:
                    self.leaders[node] = value.node
                return
            if not is_view(value.node):
                return
            value = value.node.inputs[0]

    # -- what is drawn -----------------------------------------------------------------

    def closed(self, call: Call, depth: int) -> bool:
        """Return whether a call is one box: a layer, or one below the depth asked."""
        return call.whole or super().closed(call, depth)

    def hidden(self, node: Node) -> bool:
        """Return whether a node moves numbers alone, or does not depend on the data."""
        if node.primitive is movement.slice_ and node in self.inner:
            return True
        return _moves(node) or self.moving.isdisjoint(node.inputs)

    def leader(self, node: Node) -> Node:
        """Return the product to which a bias or a scale belongs."""
        return self.leaders.get(node, node)

    def loop(self, node: Node) -> LoopStep | None:
        """Return the step of a scan over data."""
        return self.steps.get(node) if node.outputs[0] in self.moving else None

    def symbol(self, value: Value) -> str:
        """Return the letter of a part of attention, or of a gate."""
        return self.letters.get(value, "")

    def shape(self, value: Value) -> str:
        """Return the shape of one sample's part of a value."""
        dims: list[Any] = []
        for dim in value.shape:
            if isinstance(dim, SymbolicDim):
                rest = [name for name in dim.names if name != "N"]
                dim = SymbolicDim(*rest, factor=dim.factor) if rest else dim.factor
                if dim == 1:
                    continue
            dims.append(dim)
        return "×".join(map(str, dims)) or "1"

    def title(self, node: Node) -> str:
        """Return an operation's formula, or its name where that is long."""
        if node in self.titles:
            return self.titles[node]
        kind = node.primitive
        if kind in (matmul.dot_general, conv.conv):
            return self._product(node)
        if kind is movement.slice_:
            return _sliced(node)
        if kind is elementwise.convert:
            return f"{node.attrs['dtype'].name}(x)"
        if kind is elementwise.where and self._masks(node):
            return tr("mask")
        if kind is elementwise.maximum and _constant(node.inputs) == 0:
            return "ReLU"
        if kind.elementwise and kind.formula is not None:
            text = kind.formula(*self._operands(node), **node.attrs).text()
            if len(text) <= LONGEST:
                return text
        return _NAMES.get(kind, kind.name.replace("_", " "))

    def _masks(self, node: Node) -> bool:
        """Return whether a choice is the same for all data, and one side is fixed."""
        chosen, *sides = (v in self.moving for v in node.inputs)
        return not chosen and sum(sides) == 1

    def _product(self, node: Node) -> str:
        both = all(v in self.moving for v in node.inputs)
        name = "W ∗ x" if node.primitive is conv.conv else "W x"
        if both:
            conv_ = node.primitive is conv.conv
            return "x ∗ y" if conv_ else tr("matrix product")
        biased = any(leader is node for leader in self.leaders.values())
        return f"{name} + b" if biased else name

    def _operands(self, node: Node) -> Iterator[Expr]:
        """Yield what an operation's operands are called in its title."""
        names: dict[Value, str] = {}
        for value in node.inputs:
            constant = _constant([value])
            if value in self.moving:
                letter = OPERANDS[len(names) % len(OPERANDS)]
                yield Atom(names.setdefault(value, letter))
            elif constant is not None:
                yield Number(constant)
            else:
                drawn = any(n.primitive is random_bits for n in ancestors([value]))
                yield Atom("ε" if drawn else "c")


#: Names of operations that are shorter than their own, or clearer.
_NAMES = {
    movement.reduce_sum: "∑",
    movement.concatenate: "concatenate",
    activations.softmax: "softmax",
}


def _states(
    after: Sequence[Value], letters: Mapping[Value, str], before: str
) -> list[str]:
    """Return what the states are called that a step begins with.

    Of several which are not those of an LSTM nothing says which is h.
    """
    if len(after) == 1:
        return [f"h{before}"]
    return [
        f"{letters[v]}{before}" if v in letters else f"s{before}, {i}"
        for i, v in enumerate(after, 1)
    ]


def _moves(node: Node) -> bool:
    """Return whether a node has no box: all its numbers are moved, none is changed."""
    return node.primitive in HIDDEN or is_view(node)


def _constant(values: Collection[Value]) -> float | int | None:
    """Return the number of the one scalar constant among some values."""
    for value in values:
        while value.node is not None and is_view(value.node):
            value = value.node.inputs[0]
        node = value.node
        if node is None or node.primitive is not creation.constant:
            continue
        if size_of(node.attrs["shape"]) == 1:
            return float(node.attrs["value"][0])
    return None


def _sliced(node: Node) -> str:
    """Return a slice as Python writes it: ``[:, -1]`` without the axis of samples."""
    a, shape = node.attrs, node.inputs[0].shape
    parts: list[str] = []
    for start, stop, stride, dim in zip(a["starts"], a["stops"], a["strides"], shape):
        whole = start == 0 and stop == dim and stride == 1
        first = "" if start == 0 else str(start)
        last = "" if stop == dim else str(stop)
        step = "" if stride == 1 else f":{stride}"
        if isinstance(dim, SymbolicDim) and whole:
            continue
        parts.append(":" if whole else f"{first}:{last}{step}")
    while len(parts) > 1 and parts[-1] == ":":
        parts.pop()
    return f"[{', '.join(parts)}]"

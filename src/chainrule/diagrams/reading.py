"""Reading of a graph as a diagram: which node has which box, and the arrows between.

A :class:`View` says what is drawn: here every operation of the graph, in frames for
the modules. Networks are read with a view of their own, in which a layer is one box.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chainrule.diagrams.diagram import Diagram
from chainrule.diagrams.parts import NEXT_STEP, VALUE, Arrow, Box, Frame
from chainrule.graph.calls import Call
from chainrule.graph.node import Node, Value
from chainrule.graph.text_writer import Graph
from chainrule.text import tr

#: So many boxes of operations are legible; of more, modules are closed.
MOST_OPERATIONS = 200
#: Where a value comes from: boxes, each with the value that it computes.
Origins = tuple[tuple[Box, Value], ...]


@dataclass(frozen=True, eq=False)
class LoopStep:
    """A loop's body, of which one step is drawn.

    Attributes:
        body: the graph of a step.
        constants, carries: how many inputs are constants, and how many are states.
        before: what the states are called that a step begins with.
        each: what the parts of the sequences are called that a step reads.
        title: of the frame.
    """

    body: Graph
    constants: int
    carries: int
    before: Sequence[str]
    each: Sequence[str]
    title: str


class View:
    """A view of a graph: every operation is a box, and nothing but constants is hidden.

    Subclasses say what else is hidden, and what is drawn as one box.

    Args:
        depth: modules that lie deeper are one box with all that they contain; None:
            all of them are open.
    """

    #: Whether graph inputs that are not data have boxes too.
    all_inputs = True

    def __init__(self, depth: int | None = None) -> None:
        self.depth = depth

    def closed(self, call: Call, depth: int) -> bool:
        """Return whether a module's call is one box, at its depth (the root's is 0)."""
        return self.depth is not None and depth > self.depth

    def hidden(self, node: Node) -> bool:
        """Return whether a node has no box, and arrows pass through it."""
        return False

    def leader(self, node: Node) -> Node:
        """Return the node whose box a node is drawn in; itself for most."""
        return node

    def loop(self, node: Node) -> LoopStep | None:
        """Return the step of a loop that is drawn open; None for other nodes."""
        a = node.attrs
        if not {"body", "constants", "carries", "length", "reverse"} <= a.keys():
            return None
        sequences = len(a["body"].inputs) - a["constants"] - a["carries"]
        return LoopStep(
            body=a["body"],
            constants=a["constants"],
            carries=a["carries"],
            before=[tr("state {n}", n=i + 1) for i in range(a["carries"])],
            each=[tr("part {n}", n=i + 1) for i in range(sequences)],
            title=order_of(a["length"], reverse=a["reverse"]),
        )

    def title(self, node: Node) -> str:
        """Return what is written in the box of an operation."""
        return node.primitive.name

    def symbol(self, value: Value) -> str:
        """Return the letter of a value, such as Q; "" for none."""
        return ""

    def shape(self, value: Value) -> str:
        """Return the shape of a value as an arrow shows it."""
        return " × ".join(map(str, value.shape)) or "1"


def order_of(length: object, *, reverse: bool) -> str:
    """Return the title of a loop's step: which steps there are, in their order."""
    if reverse:
        return tr("one step, t = {n} … 1", n=length)
    return tr("one step, t = 1 … {n}", n=length)


class Reader:
    """A reader of a graph as a diagram.

    Args:
        view: what is drawn.
        parameters: the graph inputs that are trained, which are counted.
    """

    def __init__(self, view: View, parameters: Iterable[Value] = ()) -> None:
        self.view, self.parameters = view, {*parameters}
        self.boxes: list[Box] = []
        self.frames: list[Frame] = []
        self.arrows: dict[tuple[int, int, str], Arrow] = {}
        self.origins: dict[Value, Origins] = {}
        self.constants: set[Value] = set()
        self.behind: dict[Value, tuple[Value, ...]] = {}
        self._calls: dict[tuple[int, int], tuple[Box, Call]] = {}
        self._operations: dict[Node, Box] = {}
        self._framed: dict[tuple[int, int], Frame] = {}
        self._runs: list[tuple[str, Call]] = []
        self._roles: dict[tuple[int, str], tuple[Call, Call | None]] = {}
        self._counted: set[Value] = set()

    def read(
        self,
        graph: Graph,
        inputs: Sequence[tuple[Value, str]],
        outputs: Sequence[tuple[Value, str]],
    ) -> Diagram:
        """Return the diagram of a graph, from data inputs to outputs with titles."""
        for value, title in inputs:
            box = self._box(Box(title, "input", value=value))
            self.origins[value] = ((box, value),)
        for value in graph.inputs:
            if value not in self.origins and self.view.all_inputs:
                box = self._box(Box(value.name or "", "input", value=value))
                self.origins[value] = ((box, value),)
        self._nodes(graph, None, ())
        for value, title in outputs:
            box = self._box(Box(title, "output", value=value))
            self._arrows(value, box)
        drawn = {id(a.source) for a in self.arrows.values()}
        drawn |= {id(a.target) for a in self.arrows.values()}
        boxes = [b for b in self.boxes if b.kind != "input" or id(b) in drawn]
        return Diagram(graph.name, boxes, list(self.arrows.values()), self.frames)

    # -- nodes -----------------------------------------------------------------------

    def _nodes(self, graph: Graph, frame: Frame | None, around: Sequence[Call]) -> None:
        self._runs = []
        for node in graph.nodes:
            if all(v in self.constants for v in node.inputs):
                self.constants.update(v for v in node.outputs if v is not None)
                continue
            calls = [c for c in self._chain(node) if c not in _Same(around)]
            closed = next(
                (
                    i
                    for i, call in enumerate(calls)
                    if self.view.closed(call, len(around) + i)
                ),
                None,
            )
            if closed is not None:
                inner = self._frame(calls[:closed], frame)
                self._in_box(node, self._call_box(calls[closed], inner, frame))
                continue
            step = self.view.loop(node)
            if step is not None:
                inner = self._frame(calls, frame)
                self._loop(node, step, inner, (*around, *calls))
            elif self.view.hidden(node):
                self._through(node)
            else:
                leader = self.view.leader(node)
                box = self._operations.get(leader)
                if box is None:
                    inner = self._frame(calls, frame)
                    box = self._box(Box(self.view.title(leader), "operation"))
                    box.frame = inner
                    self._operations[leader] = box
                self._in_box(node, box)

    def _chain(self, node: Node) -> list[Call]:
        """Return the calls that a node is of, the outermost first.

        The same calls behind the loss, and of the optimiser, are others.
        """
        calls = self._forward(node)
        if node.role == "forward":
            return calls
        return [self._again(call, node.role) for call in (None, *calls)]

    def _again(self, call: Call | None, role: str) -> Call:
        """Return what stands for a call, or for all, in another part of a step."""
        key = id(call), role
        if key not in self._roles:
            path, kind = (role, "") if call is None else (str(call), call.kind)
            whole = call is not None and call.whole
            self._roles[key] = Call(path, "", kind, whole), call
        return self._roles[key][0]

    def _forward(self, node: Node) -> list[Call]:
        scope = node.scope
        if isinstance(scope, Call):
            calls: list[Call] = []
            while isinstance(scope, Call):
                calls.append(scope)
                scope = scope.outer
            return calls[::-1]
        parts = scope.split(".") if scope else []
        runs: list[tuple[str, Call]] = []
        for i, part in enumerate(parts):
            if i < len(self._runs) and self._runs[i][0] == part:
                runs.append(self._runs[i])
                continue
            self._runs = self._runs[:i]
            path = ".".join(parts[: i + 1])
            runs.append((part, Call(path, ".".join(parts[:i]), "", False)))
        self._runs = runs
        return [call for __, call in runs]

    def _in_box(self, node: Node, box: Box) -> None:
        box.nodes.append(node)
        box.constants += [v for v in node.inputs if v in self.constants]
        for value in node.inputs:
            self._arrows(value, box)
            for parameter in self.behind.get(value, _own(value)):
                self._count(parameter, box)
        for value in node.outputs:
            if value is not None:
                self.origins[value] = ((box, value),)
                self.behind[value] = ()
                box.value = value
                box.symbol = self.view.symbol(value) or box.symbol

    def _count(self, parameter: Value, box: Box) -> None:
        if parameter not in self.parameters or parameter in box.reads:
            return
        box.reads.append(parameter)
        shape = ", ".join(map(str, parameter.shape))
        box.about += f"{parameter.name} ({shape})\n"
        if parameter not in self._counted:
            self._counted.add(parameter)
            box.parameters += _size(parameter)

    def _through(self, node: Node) -> None:
        """Let arrows pass through a node without a box."""
        met = dict.fromkeys(o for v in node.inputs for o in self.origins.get(v, ()))
        behind = dict.fromkeys(
            p for v in node.inputs for p in self.behind.get(v, _own(v))
        )
        for value in node.outputs:
            if value is not None:
                self.origins[value], self.behind[value] = tuple(met), tuple(behind)

    def _arrows(self, value: Value, target: Box, kind: str = VALUE) -> None:
        for source, computed in self.origins.get(value, ()):
            if source is target and kind == VALUE:
                continue
            label = self.view.shape(value)
            before = self.view.shape(computed)
            if before != label:
                label = f"{before} → {label}"
            key = id(source), id(target), kind
            arrow = self.arrows.get(key)
            if arrow is None:
                self.arrows[key] = Arrow(source, target, label, kind, [value])
            elif value not in arrow.values:
                arrow.values.append(value)
                if label not in arrow.label.split(", "):
                    arrow.label += f", {label}"

    # -- loops -----------------------------------------------------------------------

    def _loop(
        self, node: Node, step: LoopStep, frame: Frame | None, around: Sequence[Call]
    ) -> None:
        """Draw one step of a loop in a frame, with arrows into the next step."""
        inner = Frame(step.title, frame, key=node)
        self.frames.append(inner)
        body, first = step.body, step.constants
        for value, outer in zip(body.inputs[:first], node.inputs):
            self.origins[value] = self.origins.get(outer, ())
            self.behind[value] = self.behind.get(outer, _own(outer))
            if outer in self.constants:
                self.constants.add(value)
        names = [*step.before, *step.each]
        states: list[Box] = []
        for value, outer, name in zip(body.inputs[first:], node.inputs[first:], names):
            box = self._box(Box(name, "state", frame=inner, value=value))
            self.origins[value] = ((box, value),)
            self._arrows(outer, box)
            for parameter in self.behind.get(outer, _own(outer)):
                self._count(parameter, box)
            states.append(box)
        self._nodes(body, inner, around)
        for value, box in zip(body.outputs[: step.carries], states):
            self._arrows(value, box, NEXT_STEP)
        for value, inside in zip(node.outputs, body.outputs):
            if value is not None:
                self.origins[value] = self.origins.get(inside, ())
        for box in states:
            box.nodes.append(node)

    # -- boxes and frames --------------------------------------------------------------

    def _box(self, box: Box) -> Box:
        self.boxes.append(box)
        return box

    def _call_box(self, call: Call, inner: Frame | None, base: Frame | None) -> Box:
        key = id(call), id(base)
        if key not in self._calls:
            box = Box(call.kind or call.rpartition(".")[2], "layer", str(call))
            box.frame = inner
            # The call is kept, so that its identity stays its own.
            self._calls[key] = self._box(box), call
        return self._calls[key][0]

    def _frame(self, calls: Sequence[Call], base: Frame | None) -> Frame | None:
        """Return the frame of the innermost of some calls."""
        frame = base
        for call in calls:
            key = id(call), id(base)
            if key not in self._framed:
                words = [w for w in (str(call), call.kind) if w]
                made = Frame(" · ".join(words), frame, key=call, calls=[call])
                self._framed[key] = made
                self.frames.append(made)
            frame = self._framed[key]
        return frame


class _Same:
    """A collection that knows its members by identity."""

    def __init__(self, items: Iterable[object]) -> None:
        self.ids = {id(item) for item in items}

    def __contains__(self, item: object) -> bool:
        return id(item) in self.ids


def _own(value: Value) -> tuple[Value, ...]:
    return (value,) if value.node is None else ()


def _size(value: Value) -> int:
    size = 1
    for dim in value.shape:
        size *= int(dim) if isinstance(dim, int) else 1
    return size


# -- frames ----------------------------------------------------------------------------


def without_bare_frames(diagram: Diagram) -> None:
    """Remove the frames of a diagram that tell nothing: of one box, and of all.

    The box takes the name of its frame.
    """
    inner = [b for b in diagram.boxes if b.kind not in ("input", "output")]
    for frame in reversed(diagram.frames):
        within = [b for b in inner if b.frame and frame in b.frame.all_outer()]
        bare = isinstance(frame.key, Call) and frame.times == 1 and len(within) < 2
        whole = isinstance(frame.key, Call) and frame.outer is None
        whole = whole and len(within) == len(inner)
        if whole and frame.key.kind:
            diagram.title = frame.key.kind
        if bare or whole:
            for box in diagram.boxes:
                if box.frame is frame:
                    box.frame = frame.outer
                    box.name = box.name or str(frame.key)
            for other in diagram.frames:
                if other.outer is frame:
                    other.outer = frame.outer
            diagram.frames.remove(frame)


def depth_note(depth: int) -> str:
    """Return the sentence that says that deeper modules are closed."""
    return tr("Modules deeper than level {n} are one box each.", n=depth)


def of_graph(graph: Graph) -> Diagram:
    """Return the diagram of a graph: its operations, in frames for the modules.

    Of a large graph the deeper modules are one box each.
    """
    outputs = [(v, tr("output")) for v in graph.outputs]
    if len(outputs) > 1:
        outputs = [(v, f"{title} {i}") for i, (v, title) in enumerate(outputs, 1)]
    diagram = Reader(View()).read(graph, [], outputs)
    depth = max((len(f.all_outer()) for f in diagram.frames), default=0)
    while len(diagram.boxes) > MOST_OPERATIONS and depth >= 0:
        smaller = Reader(View(depth)).read(graph, [], outputs)
        if len(smaller.boxes) < len(diagram.boxes):
            diagram = smaller
            diagram.notes = [depth_note(depth)]
        depth -= 1
    without_bare_frames(diagram)
    return diagram

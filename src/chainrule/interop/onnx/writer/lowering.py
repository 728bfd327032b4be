"""The walk over a graph that writes its nodes by the rows of the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.graph.graph import Graph, users
from chainrule.graph.node import Node, Value
from chainrule.graph.types import Dim, Shape
from chainrule.interop.onnx.writer import rows
from chainrule.interop.onnx.writer.emitter import Emitter, Ref
from chainrule.interop.onnx.writer.kernels import Refusal
from chainrule.interop.onnx.writer.rows.regions import region
from chainrule.interop.onnx.writer.table import Call
from chainrule.passes import inline_composites, merge_common, simplify
from chainrule.primitives.movement import broadcast_to
from chainrule.text import _

ROWS, REFUSED = rows.ROWS, rows.REFUSED


@dataclass(frozen=True)
class Refused:
    """A node that cannot be written.

    Attributes:
        name: its primitive's.
        dtype: of its first input.
        scope: the module that it comes from.
        reason: why.
    """

    name: str
    dtype: str
    scope: str
    reason: str


def prepared(graph: Graph, opset: int) -> Graph:
    """Return a graph with the composites opened that have no row in an opset.

    The others stay whole. Repeated nodes are merged, as for the engines.
    """

    def keep(node: Node) -> bool:
        row = ROWS.get(node.primitive)
        return row is not None and row.fits(opset, node)

    return merge_common(simplify(inline_composites(graph, keep)))


class Lowering:
    """The writing of one graph, or of a loop's body, into an emitter.

    Args:
        emitter: of the graph in the file.
        graph: ours.
        inputs: what stands for its inputs.
        refused: takes what cannot be written.
    """

    def __init__(
        self,
        emitter: Emitter,
        graph: Graph,
        inputs: Sequence[Ref],
        refused: list[Refused],
    ) -> None:
        self.emitter, self.refused = emitter, refused
        self.graph = prepared(graph, emitter.opset)
        self._readers = users(self.graph)
        own = [emitter.own_ref(ref) for ref in inputs]
        self._refs: dict[Value, Ref] = dict(zip(self.graph.inputs, own, strict=True))

    def run(self) -> list[Ref]:
        """Write all nodes; return what stands for the outputs."""
        for node in self.graph.nodes:
            if node.primitive is not broadcast_to:  # written where it is needed
                self._write(node)
        return [self.ref(v) for v in self.graph.outputs]

    def readers(self, value: Value) -> Sequence[Node]:
        """Return the nodes of the graph that read a value."""
        return self._readers.get(value, ())

    def inner(self, emitter: Emitter, graph: Graph, inputs: Sequence[Ref]) -> list[Ref]:
        """Write the body of a loop or branch into the emitter of a subgraph."""
        return Lowering(emitter, graph, inputs, self.refused).run()

    def ref(self, value: Value) -> Ref:
        """Return the reference to a value in the ONNX file; write its node first."""
        known = self._refs.get(value)
        if known is None:
            assert value.node is not None
            self._write(value.node)
            known = self._refs[value]
        return known

    def _write(self, node: Node) -> None:
        emitter, row = self.emitter, ROWS.get(node.primitive)
        outer, emitter.scope = emitter.scope, node.scope or emitter.scope
        outputs = [v for v in node.outputs if v is not None]
        try:
            if row is None:
                default = _("ONNX has no operator for it")
                raise Refusal(REFUSED.get(node.primitive, default))
            if emitter.opset < row.since:
                raise Refusal(_("opset {since} is the first with it", since=row.since))
            inputs = self._unrepeated(node) if row.broadcasts else None
            call = Call(self, node, inputs or [self.ref(v) for v in node.inputs])
            made = region(call) or row.function(call)
            results = [made] if isinstance(made, Ref) else list(made)
        except Refusal as refusal:
            kind = node.inputs[0].dtype.name if node.inputs else ""
            reason, scope = str(refusal), emitter.scope
            self.refused.append(Refused(node.primitive.name, kind, scope, reason))
            results = [Ref(emitter, emitter.name("refused"), v.dtype) for v in outputs]
        finally:
            emitter.scope = outer
        self._refs.update(zip(outputs, results, strict=True))

    def _unrepeated(self, node: Node) -> list[Ref] | None:
        """Return an elementwise node's inputs without repetition, where ONNX repeats.

        None where that would give a smaller result.
        """
        (out, *__) = node.outputs
        assert out is not None
        sources = [_source(v) for v in node.inputs]
        if not _gives(out.shape, [s.shape for s in sources]):
            return None
        return [self.ref(s) for s in sources]


def _source(value: Value) -> Value:
    """Return the array that is repeated to a value, or the value."""
    while value.node is not None and value.node.primitive is broadcast_to:
        (value,) = value.node.inputs
    return value


def _gives(shape: Shape, parts: Sequence[Shape]) -> bool:
    """Return whether arrays of these shapes broadcast to a shape, whatever N is."""

    def has(part: Shape, axis: int, dim: Dim) -> bool:
        return len(part) >= axis and part[-axis] == dim

    return all(
        any(has(part, axis, shape[-axis]) for part in parts)
        for axis in range(1, len(shape) + 1)
    )

"""A graph as an ONNX model: inputs, weights, nodes, outputs, metadata; its saving."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from chainrule.compilation.portable.function import Portable
from chainrule.errors import ArgumentError
from chainrule.graph.node import Value
from chainrule.graph.types import ArrayType, DType, SymbolicDim
from chainrule.interop.onnx.writer.emitter import Emitter, Ref, read_within
from chainrule.interop.onnx.writer.kernels import element_type
from chainrule.interop.onnx.writer.lowering import Lowering, Refused
from chainrule.interop.onnx.writer.rows.indexing import passed
from chainrule.text import _
from chainrule.util.atomic_files import replace
from chainrule.version import __version__

#: Bytes of weights from which on they are kept in a file beside: a model is a protobuf
#: message, which ends at 2 GiB.
MESSAGE = (2 << 30) - (64 << 20)
#: The domain of operators on texts and tables.
ML = "ai.onnx.ml"


def model_of(parts: Portable, opset: int) -> onnx.ModelProto:
    """Return a graph as an ONNX model.

    Raises:
        ArgumentError: what ONNX cannot say, each with the reason.
    """
    emitter, graph = Emitter(opset), parts.graph
    for name in (*parts.inputs, *parts.outputs):
        emitter.name(name)
    refs = [
        _coded(emitter, name, *parts.codes[name])
        if name in parts.codes
        else Ref(emitter, name, value.dtype)
        for name, value in zip(parts.inputs, graph.inputs)
    ]
    refs = [_find_sizes(emitter, v, ref) for v, ref in zip(graph.inputs, refs)]
    refs += [emitter.initializer(emitter.name(k), a) for k, a in parts.weights.items()]
    refused: list[Refused] = []
    results = Lowering(emitter, graph, refs, refused).run()
    if refused:
        raise refusal(refused, opset)
    for name, ref in zip(parts.outputs, results, strict=True):
        emitter.nodes.append(helper.make_node("Identity", [ref.name], [name]))
    emitter.prune(parts.outputs)
    _shorten(emitter.nodes, parts.outputs, {r.name for r in refs})
    proto = helper.make_graph(
        emitter.nodes,
        graph.name,
        [
            declared(n, v.type, text=n in parts.codes)
            for n, v in zip(parts.inputs, graph.inputs)
        ],
        [declared(n, v.type) for n, v in zip(parts.outputs, graph.outputs)],
        _used(emitter),
    )
    opsets = [helper.make_opsetid("", opset)]
    if parts.codes:
        opsets.append(helper.make_opsetid(ML, 3))
    model = helper.make_model(
        proto,
        opset_imports=opsets,
        ir_version=helper.find_min_ir_version_for(opsets, ignore_unknown=True),
        producer_name="chainrule",
        producer_version=__version__,
    )
    said = {
        k: v if isinstance(v, str) else json.dumps(v) for k, v in parts.metadata.items()
    }
    helper.set_model_props(model, {"chainrule_version": __version__, **said})
    return model


def declared(name: str, type: ArrayType, *, text: bool = False) -> onnx.ValueInfoProto:
    """Return the declaration of an input or output, whose sizes may have names."""
    shape = [d if isinstance(d, int) else repr(d) for d in type.shape]
    kind = TensorProto.STRING if text else element_type(type.dtype)
    return helper.make_tensor_value_info(name, kind, shape)


def _coded(emitter: Emitter, name: str, codes: Mapping[str, int], other: int) -> Ref:
    """Return the codes of an input of texts."""
    return emitter.node(
        "LabelEncoder",
        [Ref(emitter, name, DType.int64)],
        [DType.int64],
        domain=ML,
        keys_strings=list(codes),
        values_int64s=list(codes.values()),
        default_int64=other,
    )[0]


def _find_sizes(emitter: Emitter, value: Value, ref: Ref) -> Ref:
    """Note which axes of an input are named sizes; return what stands for it.

    Where a size is known from another axis, a runtime refuses another one: else an
    operator might repeat it, if it is 1, or take two sizes for each other. One axis is
    held by the number of elements, of a reshape; several by each.
    """
    known: list[int] = []
    for axis, dim in enumerate(value.shape):
        if isinstance(dim, SymbolicDim):
            (name,) = dim.names
            if name in emitter.sizes:
                known.append(axis)
            emitter.sizes.setdefault(name, (ref, axis))
    if not known:
        return ref
    if len(known) == 1:
        shape = emitter.shape(value.shape)
        return emitter.node("Reshape", [ref, shape], [ref.dtype])[0]
    (shape,) = emitter.node("Shape", [ref], [DType.int64])
    given = emitter.gather(shape, emitter.ints(known), 0)
    wanted = emitter.shape(tuple(value.shape[axis] for axis in known))
    other = emitter.reduce("ReduceSum", (given - wanted).op("Abs"), [0])
    return passed(emitter, ref, other.equals(0))


def _shorten(
    nodes: list[onnx.NodeProto], outputs: Sequence[str], fixed: set[str]
) -> None:
    """Give the nodes that compute outputs these names, where nothing hinders."""
    made = {name: node for node in nodes for name in node.output}
    read = Counter(name for node in nodes for name in node.input)
    inner = {name for node in nodes for name in read_within(node)}
    for copy in nodes[-len(outputs) :]:
        source, name = copy.input[0], copy.output[0]
        node = made.get(source)
        if node is None or read[source] > 1 or source in inner | fixed:
            continue
        node.output[list(node.output).index(source)] = name
        nodes.remove(copy)


def _used(emitter: Emitter) -> list[TensorProto]:
    """Return the arrays that a node reads."""
    read = {name for node in emitter.nodes for name in node.input}
    read |= {name for node in emitter.nodes for name in read_within(node)}
    return [proto for name, proto in emitter.initializers.items() if name in read]


def refusal(refused: Sequence[Refused], opset: int) -> ArgumentError:
    """Return the error that names what cannot be written, where, how often and why."""
    kinds: dict[tuple[str, str, str], list[str]] = {}
    for r in refused:
        kinds.setdefault((r.name, r.dtype, r.reason), []).append(r.scope)
    lines: list[str] = []
    for (name, dtype, reason), scopes in kinds.items():
        places = sorted({s for s in scopes if s})
        where = _(" in {places}", places=", ".join(places[:5])) if places else ""
        times = _("{n} × ", n=len(scopes)) if len(scopes) > 1 else ""
        kind = f" ({dtype})" if dtype else ""
        lines.append(f"{times}{name}{kind}{where}: {reason}")
    return ArgumentError(
        _("The model has operations that cannot be written for opset {n}.", n=opset),
        expected=_("primitives of which docs/how-to/onnx.md says that they go"),
        got="; ".join(lines),
        fix=_("leave them out of what is exported, or compute them before or after"),
    )


def save(model: onnx.ModelProto, path: Path) -> list[Path]:
    """Save an ONNX model atomically; return its files, of which there may be two.

    Weights beyond 2 GiB go into a file beside it, ``NAME.DIGEST.data``: those of a
    model that is replaced stay whole until it is.

    Raises:
        SaveError: where the file system refuses.
    """
    arrays = model.graph.initializer
    if sum(len(a.raw_data) for a in arrays) < MESSAGE:
        onnx.checker.check_model(model, full_check=True)
        replace(path, model.SerializeToString(), _("ONNX file"))
        _remove_weights(path)
        return [path]
    data, outside = io.BytesIO(), [a for a in arrays if len(a.raw_data) >= 1024]
    places: list[dict[str, int]] = []
    for array in outside:
        places.append({"offset": data.tell(), "length": data.write(array.raw_data)})
        array.ClearField("raw_data")
        data.write(bytes(-data.tell() % 4096))  # maps begin at pages
    digest = hashlib.sha256(data.getbuffer()).hexdigest()[:8]
    weights = path.with_name(f"{path.name}.{digest}.data")
    for array, place in zip(outside, places, strict=True):
        array.data_location = TensorProto.EXTERNAL
        for key, value in {"location": weights.name, **place}.items():
            array.external_data.add(key=key, value=str(value))
    replace(weights, data, _("file of weights"))
    replace(path, model.SerializeToString(), _("ONNX file"))
    onnx.checker.check_model(str(path))
    _remove_weights(path, but=weights)
    return [path, weights]


def _remove_weights(path: Path, but: Path | None = None) -> None:
    """Remove the files of weights of models that were under a path before."""
    mine = re.compile(rf"{re.escape(path.name)}\.[0-9a-f]{{8}}\.data")
    with contextlib.suppress(OSError):
        for file in path.parent.iterdir():
            if mine.fullmatch(file.name) and file != but:
                file.unlink()

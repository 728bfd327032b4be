"""Parsing: a ``ModelProto`` to a :class:`Graph`, with all that is wrong in one error.

Names are looked up and nodes put into an order here, so that a walk through the graph
never meets a name without a value. Nothing is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.errors import DataError
from chainrule.interop.onnx.reader import operators  # noqa: F401 - fills the table
from chainrule.interop.onnx.reader.faults import Problems, wrong
from chainrule.interop.onnx.reader.graph import Graph, Input, Node
from chainrule.interop.onnx.reader.numbers import (
    DTYPES,
    UnsupportedDTypeError,
    array_of,
    dtype_name,
)
from chainrule.interop.onnx.reader.order import (
    DEEPEST,
    Ordered,
    captured,
    with_last,
)
from chainrule.interop.onnx.reader.table import TABLE, UNSUPPORTED, row
from chainrule.text import _, ngettext

#: Versions of the standard's operator set that are read.
OLDEST, NEWEST = 1, 28
#: Calls of the file's functions within each other.
DEEPEST_CALLS = 40
#: Nodes that a file's functions may come to, one within another.
LONGEST_CALLS = 1_000_000
#: Attributes that are dtypes, by the file's numbers.
KINDS = {"to", "dtype", "output_dtype", "output_datatype", "softmax_precision"}
#: Attributes that say nothing about what is computed.
IGNORED = {"", "consumed_inputs"}


@dataclass
class Contents:
    """The contents of an ONNX file: its graph, its tensors, its texts.

    Attributes:
        graph: its graph.
        tensors: the numbers that it and graphs within use, by a name of their own.
        inline: the names of those that stand in nodes instead of among initializers.
        metadata: texts by name, the producer's among them.
    """

    graph: Graph
    tensors: dict[str, np.ndarray[Any, Any]]
    inline: set[str]
    metadata: dict[str, str]


def parse(model: Any, folder: Path | None) -> Contents:
    """Return the contents of a ``ModelProto``.

    Args:
        model: the ``ModelProto``.
        folder: where external data may lie.

    Raises:
        DataError: what the file says is wrong, or not supported.
    """
    parser = _Parser(model, folder)
    graph = parser.graph(model.graph, "", {}, frozenset(), top=True)
    parser.problems.raise_any()
    metadata = {str(entry.key): str(entry.value) for entry in model.metadata_props}
    if model.producer_name:
        metadata.setdefault("producer", str(model.producer_name))
    tensors = {key: t for key, t in parser.tensors.items() if key in parser.used}
    return Contents(graph, tensors, parser.inline, metadata)


class _Parser:
    """The parser of one file: its operator sets, functions and numbers."""

    def __init__(self, model: Any, folder: Path | None) -> None:
        self.folder = folder
        self.opsets = _opsets(model.opset_import)
        texts = [o.domain for o in model.opset_import]
        for f in model.functions:
            texts += [f.domain, f.name, *(o.domain for o in f.opset_import)]
        if not all(isinstance(text, str) for text in texts):
            raise wrong(_("a name that is not UTF-8"), repr(texts)[:80])
        self.functions = {
            (_domain(f.domain), f.name, getattr(f, "overload", "")): f
            for f in model.functions
        }
        self.bodies: dict[Any, tuple[Graph, int]] = {}
        self.calling: list[Any] = []
        self.calls = 0
        self.tensors: dict[str, np.ndarray[Any, Any]] = {}
        self.copies: dict[str, int] = {}
        self.foreign: dict[str, str] = {}
        self.used: set[str] = set()
        self.depth = 0
        self.inline: set[str] = set()
        self.problems = Problems()

    # -- graphs ------------------------------------------------------------------------

    def graph(
        self,
        proto: Any,
        prefix: str,
        references: Mapping[str, Any],
        outside: frozenset[str],
        top: bool = False,
        opsets: Mapping[str, int] | None = None,
    ) -> Graph:
        """Parse a graph: the file's own, or one within a node.

        Args:
            proto: a ``GraphProto``, or a ``FunctionProto``.
            prefix: of the names of its numbers.
            references: attributes of the function that it stands in.
            outside: names of values that it may read from around it.
            top: whether it is the file's own.
            opsets: the operator sets, if they are not the file's.
        """
        self.depth += 1
        if self.depth > DEEPEST:
            raise wrong(
                _("graphs within graphs, more than {n} deep", n=DEEPEST), prefix
            )
        for text in _texts(proto):
            if not isinstance(text, str):  # what is not UTF-8 comes as bytes
                raise wrong(_("a name that is not UTF-8"), repr(text)[:80])
        initial = self._initializers(proto, prefix)
        infos = [_name(info) for info in proto.input]
        given = [name for name in infos if name not in initial]
        if len(set(infos)) < len(infos) or "" in infos:
            raise wrong(_("inputs of one name, or without one"), str(infos))
        outputs = [_name(info) for info in proto.output]
        made = self._constants(proto, prefix, references, initial)
        rest = Ordered(
            [n for i, n in enumerate(proto.node) if i not in made],
            {*given, *initial},
            outside,
            outputs,
        )
        around, opsets = outside | rest.names, opsets or self.opsets
        nodes = [self._node(n, prefix, references, around, opsets) for n in rest.nodes]
        needed = {name for node in nodes for name in node.read()} | {*outputs}
        kept = {name: key for name, key in initial.items() if name in needed}
        self._use(kept)
        inputs = [self._input(i, top) for i in proto.input if _name(i) in given]
        self.depth -= 1
        return Graph(
            _name(proto),
            tuple(inputs),
            tuple(outputs),
            with_last(nodes, outputs),
            kept,
        )

    def _initializers(self, proto: Any, prefix: str) -> dict[str, str]:
        """Store the numbers of a graph; return their keys by name."""
        initial: dict[str, str] = {}
        for tensor in getattr(proto, "initializer", ()):
            if tensor.name in initial:
                raise wrong(_("two initializers of one name"), tensor.name)
            initial[tensor.name] = self._tensor(tensor, prefix, tensor.name)
        for sparse in getattr(proto, "sparse_initializer", ()):
            what, name = _("sparse initializer"), sparse.values.name
            self.problems.add(what, _("it does not stand in full"), name)
            initial.setdefault(name, name)
        return initial

    def _use(self, kept: Mapping[str, str]) -> None:
        """Note that a graph uses numbers, which must be of a dtype of ours then."""
        self.used.update(kept.values())
        for name, key in kept.items():
            if key in self.foreign:
                what = _("dtype {dtype}", dtype=self.foreign[key])
                self.problems.add(_("numbers"), what, name)

    def _input(self, info: Any, top: bool) -> Input:
        """Return the declaration of an input; its type matters for the file's own."""
        if isinstance(info, str):
            return Input(info, "", None)
        kind = info.type.WhichOneof("value")
        if kind not in (None, "tensor_type"):
            self.problems.add(
                _("input"), _("{kind} instead of a tensor", kind=kind), info.name
            )
            return Input(info.name, "", None)
        tensor = info.type.tensor_type
        dtype = dtype_name(tensor.elem_type) if tensor.elem_type else ""
        if top and dtype and dtype not in DTYPES.values():
            self.problems.add(_("input"), _("dtype {dtype}", dtype=dtype), info.name)
        if not tensor.HasField("shape"):
            return Input(info.name, dtype, None)
        shape = tuple(
            (d.dim_value if d.dim_value >= 0 else None)
            if d.HasField("dim_value")
            else d.dim_param or None
            for d in tensor.shape.dim
        )
        return Input(info.name, dtype, shape)

    def _key(self, prefix: str, name: str) -> str:
        """Return a key for numbers: their name, or more where another has it."""
        if name not in self.tensors:
            return name
        key = free = prefix + name
        while free in self.tensors:
            self.copies[key] = self.copies.get(key, 0) + 1
            free = f"{key}:{self.copies[key]}"
        return free

    def _tensor(self, tensor: Any, prefix: str, name: str, inline: bool = False) -> str:
        """Store a tensor's numbers, and return the key that they have."""
        key = self._key(prefix, name)
        try:
            self.tensors[key] = array_of(tensor, self.folder)
        except UnsupportedDTypeError as error:
            self.foreign[key] = str(error)
            self.tensors[key] = np.zeros(0, np.float32)
        if inline:
            self.inline.add(key)
        return key

    def _constants(
        self, proto: Any, prefix: str, references: Any, initial: dict[str, str]
    ) -> set[int]:
        """Take Constant nodes as initializers; return which nodes they are."""
        made = set()
        for i, node in enumerate(proto.node):
            if node.op_type != "Constant" or _domain(node.domain):
                continue
            if len(node.output) != 1 or not node.output[0] or node.output[0] in initial:
                raise wrong(_("a Constant without a name of its own"), node.name)
            name = node.output[0]
            made.add(i)
            attributes = [_referred(a, references) for a in node.attribute]
            if len(attributes) != 1 or attributes[0] is None:
                raise wrong(_("a Constant has one value"), name)
            (attribute,) = attributes
            if attribute.name == "value" and attribute.HasField("t"):
                initial[name] = self._tensor(attribute.t, prefix, name, inline=True)
                continue
            values = {
                "value_float": lambda a: np.float32(a.f),
                "value_floats": lambda a: np.array(a.floats, np.float32),
                "value_int": lambda a: np.int64(a.i),
                "value_ints": lambda a: np.array(a.ints, np.int64),
            }
            if attribute.name not in values:
                self.problems.add("Constant", _("its {a}", a=attribute.name), name)
            read = values.get(attribute.name, lambda a: np.float32(0))
            key = self._key(prefix, name)
            self.tensors[key] = np.asarray(read(attribute))
            self.inline.add(key)
            initial[name] = key
        return made

    # -- nodes -------------------------------------------------------------------------

    def _node(
        self,
        proto: Any,
        prefix: str,
        references: Mapping[str, Any],
        outside: frozenset[str],
        opsets: Mapping[str, int],
    ) -> Node:
        """Parse a node: find its row, and read its attributes."""
        domain, name = _domain(proto.domain), proto.name or next(iter(proto.output), "")
        label = f"{domain}.{proto.op_type}" if domain else proto.op_type
        opset = opsets.get(domain, 0)
        key = (domain, proto.op_type, getattr(proto, "overload", ""))
        attributes = {}
        for raw in proto.attribute:
            attribute = _referred(raw, references)
            if attribute is None:
                continue
            try:
                value = self._value(
                    attribute, f"{prefix}{name}/", references, outside, opsets
                )
            except UnsupportedDTypeError as error:
                what = _("dtype {dtype}", dtype=str(error))
                self.problems.add(_("{op} (opset {n})", op=label, n=opset), what, name)
                continue
            attributes[raw.name] = value
        made = Node(
            name,
            proto.op_type,
            domain,
            opset,
            None,
            tuple(proto.input),
            tuple(proto.output),
            attributes,
            tuple(captured(attributes.values())),
        )
        if key in self.functions:
            protos = {a.name: _referred(a, references) for a in proto.attribute}
            body = self._function(self.functions[key], key, protos)
            if len(proto.input) > len(body.inputs):
                raise wrong(_("a call with too many inputs"), name)
            return replace(made, attributes={"body": body})
        found = row(domain, proto.op_type, opset)
        reason = self._unsupported(made, found)
        if reason:
            what = _("{op} (opset {n})", op=label, n=opset)
            self.problems.add(what, reason, name)
        return replace(made, operator=found)

    @staticmethod
    def _unsupported(node: Node, found: Any) -> str:
        """Return why a node is not supported; "" where it is."""
        if found is None:
            reason = UNSUPPORTED.get((node.domain, node.op_type))
            if reason:
                return reason
            if (node.domain, node.op_type) in TABLE:
                return _("not in this opset")
            return _("an operator that is not known")
        unknown = set(node.attributes) - found.attributes - IGNORED
        if unknown:
            return _("the attribute {a}", a=", ".join(sorted(unknown)))
        for key in KINDS & set(node.attributes):
            number = node.attributes[key]
            if number and number not in DTYPES:
                return _("dtype {dtype}", dtype=dtype_name(number))
        missing = found.needed - set(node.attributes)
        if missing:
            return _("without the attribute {a}", a=", ".join(sorted(missing)))
        count = sum(map(bool, node.inputs[: found.required]))
        if count < found.required or not found.accepts(len(node.inputs)):
            return ngettext("{n} input", "{n} inputs", n=len(node.inputs))
        return ""

    def _value(
        self,
        a: Any,
        prefix: str,
        references: Mapping[str, Any],
        outside: frozenset[str],
        opsets: Mapping[str, int],
    ) -> Any:
        """Return the value of an attribute in Python's types."""
        if a.type == 1:
            return a.f
        if a.type == 2:
            return a.i
        if a.type == 3:
            return _text(a.s)
        if a.type == 4:
            return array_of(a.t, self.folder)
        if a.type == 5:
            return self.graph(a.g, prefix, references, outside, opsets=opsets)
        if a.type == 6:
            return tuple(a.floats)
        if a.type == 7:
            return tuple(a.ints)
        if a.type == 8:
            return tuple(map(_text, a.strings))
        raise UnsupportedDTypeError(f"{a.name!r:.40}")

    def _function(self, proto: Any, key: Any, attributes: Mapping[str, Any]) -> Graph:
        """Parse a function of the file for the attributes of one call."""
        references = {a.name: a for a in proto.attribute_proto} | {
            name: a for name, a in attributes.items() if a is not None
        }
        known = (
            key,
            *sorted((n, a.SerializeToString()) for n, a in references.items()),
        )
        if known not in self.bodies:
            if key in self.calling:
                raise wrong(_("a function that calls itself"), key[1])
            if len(self.calling) >= DEEPEST_CALLS:
                raise wrong(
                    _("calls within calls, more than {n} deep", n=DEEPEST_CALLS), key[1]
                )
            self.calling.append(key)
            before, depth = self.calls, self.depth
            self.calls = self.depth = 0
            prefix = f"{key[0]}.{key[1]}/{len(self.bodies) or ''}"
            opsets = self.opsets | _opsets(proto.opset_import)
            body = self.graph(proto, prefix, references, frozenset(), opsets=opsets)
            self.calling.pop()
            self.bodies[known] = body, self.calls + len(body.nodes)
            self.calls, self.depth = before, depth
        body, cost = self.bodies[known]
        self.calls += cost
        if self.calls > LONGEST_CALLS:
            raise wrong(_("functions of more than a million nodes"), key[1])
        return body


def _texts(proto: Any) -> Iterator[Any]:
    """Yield all names in a graph or a function, but those of graphs within."""
    yield proto.name
    for item in (*proto.input, *proto.output):
        yield item if isinstance(item, str | bytes) else item.name
        for dim in () if isinstance(item, str | bytes) else _dims(item):
            yield dim.dim_param
    for tensor in getattr(proto, "initializer", ()):
        yield tensor.name
        for entry in tensor.external_data:
            yield entry.key
            yield entry.value
    for node in proto.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        for attribute in node.attribute:
            yield from (attribute.name, attribute.ref_attr_name, attribute.t.name)


def _dims(info: Any) -> Any:
    """Return the axes that the declaration of an input says."""
    return info.type.tensor_type.shape.dim


def _referred(attribute: Any, references: Mapping[str, Any]) -> Any:
    """Return an attribute, or the one of the function's call that it stands for."""
    if not attribute.ref_attr_name:
        return attribute
    found = references.get(attribute.ref_attr_name)
    if found is None:
        return None
    result = type(attribute)()
    result.CopyFrom(found)
    result.name = attribute.name
    return result


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise wrong(_("a text that is not UTF-8"), repr(data[:40])) from None


def _name(item: Any) -> str:
    return item if isinstance(item, str) else item.name


def _domain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _opsets(imports: Any) -> dict[str, int]:
    """Return the operator sets that a file imports: domain → version."""
    opsets = {_domain(entry.domain): entry.version for entry in imports}
    version = opsets.get("", NEWEST)
    if not OLDEST <= version <= NEWEST:
        raise DataError(
            _("The ONNX file is of another version of the standard."),
            expected=_("opset {first} to {last}", first=OLDEST, last=NEWEST),
            got=_("opset {n}", n=version),
            fix=_("onnx.version_converter.convert_version(model, 17)"),
        )
    return opsets

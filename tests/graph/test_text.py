"""The text form: what it looks like, what round-trips, what is refused and how."""

from __future__ import annotations

import math
import re
import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chainrule.autodiff import cotangents
from chainrule.composites.activations import relu
from chainrule.composites.control import scan
from chainrule.composites.losses import cross_entropy
from chainrule.errors import ChainruleError, GraphError, ParseError
from chainrule.graph.apply import constant
from chainrule.graph.context import role, scope
from chainrule.graph.emit import trace
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Node, Value
from chainrule.graph.primitive import lookup
from chainrule.graph.text import parse, to_text
from chainrule.graph.types import ArrayType, DType, SymbolicDim
from chainrule.graph.verify import verify
from chainrule.primitives.elementwise import add, mul, sub
from chainrule.primitives.matmul import dot
from chainrule.primitives.movement import reduce_sum
from tests.rows import table

N = SymbolicDim("N")
F32 = DType.float32

LAYER = """\
graph layer(%x: f32[N,3], %0.weight: f32[2,3]) {
  %1: f32[N,2] = dot_general(%x, %0.weight) {dims="ni,oi->no", accumulate=f32} ; \
scope=0 at model.py:12
  %2: f32[] = constant() {value=(0.0,), shape=(), dtype=f32} ; scope=1
  %3: f32[N,2] = broadcast_to(%2) {shape=(N, 2)} ; scope=1
  %4: f32[N,2] = maximum(%1, %3) ; scope=1 role=backward at "my model.py, line 3"
  return %4, %x
}"""

LOOP = """\
graph main(%w: f64[2], %h: f64[2], %xs: f64[3,2]) {
  %1: f64[2], %2: f64[3,2] = scan(%w, %h, %xs) {body=@step, length=3, constants=1, \
carries=1, reverse=false}
  return %1, %2
}

graph step(%1: f64[2], %2: f64[2], %3: f64[2]) {
  %4: f64[2] = mul(%1, %2)
  %5: f64[2] = add(%4, %3)
  return %5, %4
}"""


def given_value(name: str | None, *shape: int, dtype: DType = F32) -> Value:
    return Value(None, shape, dtype, name=name)


def node(primitive: str, *inputs: Value, **attrs: object) -> tuple[Value, ...]:
    made = Node(lookup(primitive), inputs, attrs)
    types = made.primitive.output_types([v.type for v in inputs], attrs)
    outputs = tuple(
        Value(None, t.shape, t.dtype, node=made, index=i) for i, t in enumerate(types)
    )
    made.set_outputs(outputs)
    return outputs


def training_step() -> Graph:
    """A step with a layer, a loss, gradients and an update, over N samples."""

    def step(x: Value, y: Value, w: Value, lr: Value) -> tuple[Value, Value]:
        with scope("0.attention"):
            z = relu(dot(x, w, "ni,oi->no"))
        loss = reduce_sum(cross_entropy(z, y), axes=(0,))
        slope = cotangents({loss: constant(1.0, "float32")})[w]
        with role("update"), scope("0.attention"):
            new = sub(w, mul(lr, slope))
        return loss, new

    types = [ArrayType((N, 5), F32), ArrayType((N,), DType.int32)]
    types += [ArrayType((3, 5), F32), ArrayType((3, 5), F32)]
    names = ["x", "y", "0.attention.weight", "η"]
    return trace(step, types, name="train step", names=names, tracked=True)


def loop_with_derivative() -> Graph:
    """A scan and its derivative: three bodies, one of them used twice."""
    body = parse(LOOP).nodes[0].attrs["body"]

    def function(w: Value, h: Value, xs: Value) -> tuple[Value, ...]:
        attrs = {"body": body, "length": 3, "constants": 1, "carries": 1}
        last, ys = scan(w, h, xs, reverse=False, **attrs)
        again, _ = scan(w, last, ys, reverse=True, **attrs)
        known = cotangents({again: again})
        return again, known[w], known[xs]

    types = [ArrayType(s, DType.float64) for s in ((2,), (2,), (3, 2))]
    return trace(function, types, name="main", tracked=True)


@pytest.mark.parametrize("text", [LAYER, LOOP])
def test_text_is_what_it_parses_to(text: str) -> None:
    graph = parse(text)
    verify(graph)
    assert to_text(graph) == text == str(graph)


@pytest.mark.parametrize("make", [training_step, loop_with_derivative])
def test_whole_steps_round_trip(make) -> None:
    graph = make()
    verify(graph)
    text = to_text(graph)
    again = parse(text)
    verify(again)
    assert to_text(again) == text
    for old, new in zip(graph.nodes, again.nodes, strict=True):
        assert (old.scope, old.role, old.source) == (new.scope, new.role, new.source)
    shapes = [v.type.at({"N": 4}).shape for v in graph.inputs]
    arrays = [
        np.arange(np.prod(shape)).reshape(shape) % 3 / 4
        if v.dtype.is_float
        else np.array([0, 2, 1, 2], np.int32)
        for v, shape in zip(graph.inputs, shapes, strict=True)
    ]
    for old, new in zip(evaluate(graph, arrays), evaluate(again, arrays), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_long_first_line_is_broken() -> None:
    inputs = [given_value(f"layer{i}.weight", 100, 100) for i in range(4)]
    text = to_text(Graph("wide", inputs, inputs[:1]))
    assert text.splitlines()[:3] == [
        "graph wide(",
        "  %layer0.weight: f32[100,100],",
        "  %layer1.weight: f32[100,100],",
    ]
    assert to_text(parse(text)) == text


def test_bodies_are_printed_once_and_after_the_main_graph() -> None:
    text = to_text(loop_with_derivative())
    names = re.findall(r"^graph ([^(]+)\(", text, re.M)
    assert names[:2] == ["main", "step"]
    assert len(names) == len(set(names))
    assert text.count("body=@step,") == 2


def test_equal_bodies_are_one_and_different_ones_get_names_of_their_own() -> None:
    """Two scans over two objects of the same text share a block."""
    w, h, xs = (
        given_value(n, *s) for n, s in (("w", (2,)), ("h", (2,)), ("xs", (3, 2)))
    )

    def body(swap: bool) -> Graph:
        a, b, c = (given_value(None, 2) for _ in range(3))
        (product,) = node("mul", a, b)
        (new,) = node("add", c, product) if swap else node("add", product, c)
        return Graph("step", [a, b, c], [new, product])

    attrs = {"length": 3, "constants": 1, "carries": 1, "reverse": False}
    one, ys = node("scan", w, h, xs, body=body(False), **attrs)
    two, ys = node("scan", w, one, ys, body=body(False), **attrs)
    out, _ = node("scan", w, two, ys, body=body(True), **attrs)
    text = to_text(Graph("step", [w, h, xs], [out]))
    names = re.findall(r"^graph ([^(]+)\(", text, re.M)
    assert names == ["step", '"step~2"', '"step~3"']
    assert text.count('@"step~2"') == 2
    assert to_text(parse(text)) == text


def test_inputs_of_one_name_or_none_stay_apart() -> None:
    inputs = [given_value(name, 2) for name in ("x", "x", None, "1", None)]
    text = to_text(Graph("g", inputs, list(reversed(inputs))))
    assert text == (
        'graph g(%x: f32[2], %"x~2": f32[2], %1: f32[2], %"1": f32[2], %2: f32[2]) {\n'
        '  return %2, %"1", %1, %"x~2", %x\n}'
    )
    again = parse(text)
    assert [v.name for v in again.inputs] == ["x", "x~2", None, "1", None]
    assert to_text(again) == text


def test_what_no_graph_may_hold_still_prints() -> None:
    """Printing is how one finds out what is wrong, so it may not fail on it."""
    stray = given_value(None, 2)
    (out,) = node("neg", stray)
    assert "neg(%?0)" in to_text(Graph("g", [], [out]))
    eager = Value(np.ones(2, np.float32), tracked=True)
    kept = add(eager, eager)
    assert "add(%x0, %x0)" in to_text(
        Graph("g", [Value(eager.array, name="x0")], [kept])
    ) or "add(%?0, %?0)" in to_text(Graph("g", [], [kept]))


def test_an_attribute_without_text_form_is_named() -> None:
    (out,) = node("reduce_sum", given_value("x", 2, 3), axes=(0,))
    assert out.node is not None
    out.node.attrs["axes"] = (np.int64(0),)
    with pytest.raises(GraphError, match=r"attribute of reduce_sum.*") as error:
        to_text(Graph("g", [out.node.inputs[0]], [out]))
    assert "int64" in str(error.value)


# Round trips of names, origins and attributes, with hypothesis


def quiet(examples: int) -> settings:
    return settings(
        max_examples=examples, deadline=None, derandomize=True, database=None
    )


texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["0.weight", "a-b", "layers[0]", "", "7", "N", "graph", "x\n", "é"]
    ),
    st.sampled_from(['"', "\\", "#", "; scope=", "\u2028", "\ud800", "return", "~2"]),
)

literals = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(),
        st.floats(),
        texts,
        st.sampled_from(DType),
        st.integers(1, 9).map(lambda n: SymbolicDim("N", "T", factor=n)),
    ),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
    max_leaves=8,
)


def bits(item: object) -> object:
    """The item with floats as their bits, so that nan equals itself and 0 ≠ −0."""
    if isinstance(item, tuple):
        return tuple(map(bits, item))
    if isinstance(item, float):
        return "nan" if math.isnan(item) else struct.pack("d", item)
    return type(item), item


@quiet(40)
@given(st.dictionaries(st.from_regex(r"[a-z_]\w{0,5}", fullmatch=True), literals))
@example({"f": (1e16, 1e-5, 5e-324, -0.0, math.inf, -math.inf, math.nan, 0.1)})
@example({"i": (0, -1, 2**70, True, False), "t": ((), ((),), (1,), (1, (2, 3)))})
@example(
    {
        "s": ("N", '"', "\\", "\x00", "é", "f32"),
        "d": DType.bool,
        "n": SymbolicDim("N", factor=-4),
    }
)
def test_attributes_round_trip_exactly(attrs: dict[str, object]) -> None:
    # constant's rule looks at three attributes only when they are all that is given,
    # so the text of a node with others is read by the reader alone.
    from chainrule.graph.text_reader import _Reader

    x = given_value("x", 2)
    made = Node(lookup("neg"), (x,), attrs)
    out = Value(None, (2,), F32, node=made)
    made.set_outputs((out,))
    (block,) = _Reader(to_text(Graph("g", [x], [out]))).blocks()
    read = block.lines[0].attrs
    assert list(read) == list(attrs)
    assert bits(tuple(read.values())) == bits(tuple(attrs.values()))


@quiet(100)
@given(texts, st.lists(texts, max_size=4), texts, texts, st.none() | texts)
def test_names_and_origins_round_trip(
    name: str, inputs: list[str], module: str, part: str, source: str | None
) -> None:
    x = given_value("x", 2)
    values = [given_value(n, 2) for n in inputs]
    made = Node(lookup("neg"), (x,), {}, scope=module, role=part, source=source)
    out = Value(None, (2,), F32, node=made)
    made.set_outputs((out,))
    text = to_text(Graph(name, [x, *values], [out, *values]))
    again = parse(text)
    assert to_text(again) == text
    assert again.name == name
    if len({"x", *inputs}) == len(inputs) + 1:
        assert [v.name for v in again.inputs] == ["x", *inputs]
    (back,) = again.nodes
    assert (back.scope, back.role, back.source) == (module, part, source)


def test_text_can_be_stored_and_shown_whatever_the_names() -> None:
    inputs = [given_value(name, 2) for name in ("η", "\ud800", "\u2028", "a\x1bb")]
    text = to_text(Graph("層", inputs, inputs))
    assert text.encode()
    assert all(line.isprintable() for line in text.splitlines())
    assert "graph 層(%η: f32[2]" in text
    assert to_text(parse(text)) == text


# Errors: where, what was expected, what came, how to fix it

ERRORS = {
    "empty": ("", "1, column 1", "Here a graph should begin"),
    "no graph": ("hello", "1, column 1", "Here a graph should begin"),
    "no name": ("graph (", "1, column 7", "the graph's name is missing"),
    "no end": ("graph g() {\n  return", "2, column 9", "Here a value is missing"),
    "no return": ("graph g() {\n}", "2, column 1", "Here a value is missing"),
    "dtype": ("graph g(%x: f23[2]) {return}", "1, column 13", "no element type"),
    "size": ("graph g(%x: f32[2,n]) {return}", "1, column 19", "no size"),
    "negative size": ("graph g(%x: f32[-2]) {return}", "1, column 17", "no size"),
    "open shape": ("graph g(%x: f32[2) {return}", "1, column 18", "shape does not end"),
    "unnamed": ("graph g(%: f32[2]) {return}", "1, column 9", "has no name"),
    "twice": (
        "graph g(%x: f32[], %x: f32[]) {return}",
        "1, column 20",
        "defined twice",
    ),
    "two graphs": (
        "graph g() {return}\ngraph g() {return}",
        "2, column 1",
        "Two graphs are called 'g'",
    ),
    "unused": (
        "graph g() {return}\ngraph h() {return}",
        "2, column 1",
        "Nothing uses the graph 'h'",
    ),
    "string": ('graph g(%"x: f32[2]) {return}', "1, column 10", "name does not end"),
    "escape": (r'graph "\q"() {return}', "1, column 7", "unknown escape"),
}

LINES = {
    "unknown primitive": ("%1: f32[2] = multiply(%x, %x)", 16, "No primitive"),
    "use before definition": ("%1: f32[2] = neg(%2)", 20, "%2 is not defined"),
    "itself": ("%1: f32[2] = neg(%1)", 20, "%1 is not defined"),
    "wrong type": ("%1: f32[3] = neg(%x)", 3, "types are not those of neg"),
    "wrong count": ("%1: f32[2], %2: f32[2] = neg(%x)", 3, "types are not those"),
    "rule": ("%1: bool[2] = less(%x, %i)", 17, "less takes values of one dtype"),
    "attribute": ("%1: f32[2] = neg(%x) {axes=(1,)}", 16, "does not take these"),
    "missing attribute": ("%1: f32[] = reduce_sum(%x)", 15, "does not take these"),
    "wrong kind": ("%1: f32[] = reduce_sum(%x) {axes=1}", 15, "does not take"),
    "shape of True": ("%1: f32[1] = reshape(%y) {shape=(true,)}", 3, "declared types"),
    "shape of 1.0": ("%1: f32[1] = reshape(%y) {shape=(1.0,)}", 3, "declared types"),
    "no value": ("%1: f32[2] = neg(%x) {a=}", 27, "This is no attribute"),
    "bare word": ("%1: f32[2] = neg(%x) {a=yes}", 27, "This is no attribute"),
    "given twice": ("%1: f32[2] = neg(%x) {a=1, a=2}", 31, "given twice"),
    "parenthesis": ("%1: f32[2] = neg(%x) {a=(1)}", 29, "tuple does not end"),
    "open tuple": ("%1: f32[2] = neg(%x) {a=(1, 2", 0, "tuple does not end"),
    "deep": (f"%1: f32[2] = neg(%x) {{a={'(' * 99}", 77, "nested too deep"),
    "digits": (f"%1: f32[2] = neg(%x) {{a={'9' * 9999}}}", 0, "number is too long"),
    "no graph": ("%1: f32[2] = neg(%x) {a=@h}", 27, "No graph is called 'h'"),
    "itself as body": ("%1: f32[2] = neg(%x) {a=@g}", 27, "contains itself"),
    "empty tail": ("%1: f32[2] = neg(%x) ;", 0, "Nothing follows"),
    "no source": ("%1: f32[2] = neg(%x) ; at", 0, "source is missing"),
    "no equals": ("%1: f32[2] neg(%x)", 14, "node is not complete"),
    "no type": ("%1 = neg(%x)", 6, "declaration of %1 is not complete"),
}


@pytest.mark.parametrize(("text", "place", "what"), ERRORS.values(), ids=ERRORS)
def test_errors_say_where_and_what(text: str, place: str, what: str) -> None:
    with pytest.raises(ParseError) as error:
        parse(text)
    assert what in error.value.what
    assert error.value.what.startswith(f"Line {place}:")
    assert error.value.expected
    assert error.value.got
    assert error.value.fix


@table(("line", "column", "what"), LINES.values(), ids=LINES)
def test_errors_in_a_line(line: str, column: int, what: str) -> None:
    head = "graph g(%x: f32[2], %i: i32[2], %y: f32[1]) {"
    with pytest.raises(ParseError) as error:
        parse(f"{head}\n  {line}\n  return %x\n}}")
    assert what in error.value.what
    if column:
        assert error.value.what.startswith(f"Line 2, column {column}:")
    assert error.value.expected
    assert error.value.got
    assert error.value.fix


def test_bodies_nest_only_so_deep() -> None:
    def nested(levels: int) -> str:
        blocks = [
            f"graph g{i}(%x: f32[2]) {{\n  %1: f32[2] = scan(%x) {{body=@g{i + 1},"
            " length=1, constants=0, carries=1, reverse=false}\n  return %1\n}"
            for i in range(levels)
        ]
        return "\n\n".join(
            [*blocks, f"graph g{levels}(%x: f32[2]) {{\n  return %x\n}}"]
        )

    assert to_text(parse(nested(49))) == nested(49)
    verify(parse(nested(49)))
    with pytest.raises(ParseError, match="Bodies nest too deep"):
        parse(nested(50))


def test_the_nearest_name_is_offered() -> None:
    for wrong, right in (("sofmax", "softmax"), ("dot_generl", "dot_general")):
        with pytest.raises(ParseError, match=f"did you mean '{right}'"):
            parse(f"graph g(%x: f32[2]) {{\n  %1: f32[2] = {wrong}(%x)\n  return\n}}")
    with pytest.raises(ParseError, match="did you mean 'weight'"):
        parse("graph g(%weight: f32[2]) {\n  return %wieght\n}")


def test_comments_and_line_breaks_are_free() -> None:
    graph = parse("# a graph\ngraph g(%x:f32[2])# so\n{%z:f32[2]=neg(\n%x)return %z}")
    assert to_text(graph) == (
        "graph g(%x: f32[2]) {\n  %1: f32[2] = neg(%x)\n  return %1\n}"
    )


def test_nodes_for_no_output_are_checked_and_dropped() -> None:
    text = "graph g(%x: f32[2]) {{\n  %1: f32[{}] = neg(%x)\n  return %x\n}}"
    assert not parse(text.format(2)).nodes
    with pytest.raises(ParseError):
        parse(text.format(3))


# Fuzz: whatever the text, a graph that verifies or an error of the family

CORPUS = [LAYER, LOOP]
PIECES = [*'%@{}()[],:;=->"#\\ \n0123456789N.', "graph ", "return ", "f32", "i64"]
PIECES += ["scope=", "role=", " at ", "true", "nan", "inf", "@step", "%1", "4*N", "-1"]
PIECES += ["scan", "neg", "add", "shape=(", "body=", "length=", "\x00", "é", "(2,)"]

edits = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 12),
        st.sampled_from(PIECES) | st.text(max_size=3),
    ),
    min_size=1,
    max_size=4,
)


def survives(text: str) -> None:
    try:
        graph = parse(text)
    except ChainruleError as error:
        assert isinstance(error, GraphError)  # noqa: PT017
        return
    verify(graph)
    again = to_text(graph)
    assert to_text(parse(again)) == again


@quiet(250)
@given(st.sampled_from(CORPUS), edits)
def test_mutated_text_is_a_graph_or_a_parse_error(
    text: str, changes: list[tuple[float, int, str]]
) -> None:
    for where, length, piece in changes:
        start = int(where * len(text))
        text = text[:start] + piece + text[start + length :]
    survives(text)


@pytest.mark.parametrize("text", [LAYER, LOOP])
def test_every_prefix_and_every_deletion_survives(text: str) -> None:
    for i in range(len(text)):
        survives(text[:i])
        survives(text[:i] + text[i + 1 :])

"""ONNX files that lie: clear errors, nothing read outside, memory bounded."""

from __future__ import annotations

import itertools
import os
import random
import tracemalloc
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ChainruleError, DataError
from chainrule.graph import room

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'chainrule[onnx]'")

from onnx import TensorProto, helper, numpy_helper, parser  # noqa: E402

HEAD = '<ir_version: 10, opset_import: ["": 18]>'


def model(body: str) -> Any:
    return parser.parse_model(HEAD + body)


def linear() -> Any:
    return model(
        """g (float[N, 2] x) => (float[N, 1] y)
        <float[2, 1] w = {2.0, -1.0}> { y = MatMul(x, w) }"""
    )


def refused(source: Any, *words: str) -> str:
    """The message of the error that a file is refused with."""
    with pytest.raises(DataError) as caught:
        cr.load_onnx(source)
    message = str(caught.value)
    assert caught.value.expected
    for word in words:
        assert word in message
    return message


# -- external data ---------------------------------------------------------------------


def with_external(location: str, **entries: str) -> bytes:
    proto = linear()
    tensor = proto.graph.initializer[0]
    tensor.CopyFrom(numpy_helper.from_array(np.ones((2, 1), np.float32), "w"))
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in ({"location": location} | entries).items():
        tensor.external_data.add(key=key, value=value)
    return proto.SerializeToString()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a model, beside a file that it must not read."""
    (tmp_path / "secret").write_bytes(np.float32([7, 7]).tobytes())
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "w.bin").write_bytes(np.float32([0, 0, 3, 4]).tobytes())
    return inside


def test_external_data_beside_the_model(folder: Path) -> None:
    path = folder / "model.onnx"
    path.write_bytes(with_external("w.bin", offset="8", length="8"))
    assert cr.load_onnx(path)([[1.0, 1.0]]).item() == 7


@pytest.mark.parametrize(
    "location",
    [
        "../secret",
        "a/../../secret",
        "..\\secret",
        "",
        ".",
        "nowhere.bin",
        "w.bin\0",
        "C:\\secret",
        "out/secret",
        "link",
    ],
)
def test_external_data_elsewhere(folder: Path, location: str) -> None:
    os.symlink(folder.parent, folder / "out")
    os.symlink(folder.parent / "secret", folder / "link")
    path = folder / "model.onnx"
    path.write_bytes(with_external(location))
    refused(path, "in the folder of the model")


def test_external_data_by_an_absolute_path(folder: Path) -> None:
    path = folder / "model.onnx"
    for location in (folder.parent / "secret", folder / "w.bin"):
        path.write_bytes(with_external(str(location)))
        refused(path, "in the folder of the model")


def test_external_data_of_bytes(folder: Path) -> None:
    refused(with_external("w.bin"), "a path of the model")


@pytest.mark.parametrize(
    "entries",
    [
        {"offset": "-8"},
        {"offset": "12"},
        {"offset": "9" * 30},
        {"offset": "x"},
        {"length": "4"},
        {"length": str(2**40)},
    ],
)
def test_external_data_of_other_lengths(folder: Path, entries: dict[str, str]) -> None:
    path = folder / "model.onnx"
    path.write_bytes(with_external("w.bin", **entries))
    refused(path)


# -- what is no model ------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"not a model",
        b"\x3a\xff\xff\xff\xff\x07",  # a graph of 2 GiB is announced
        b"\x3a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
        b"\x0b" * 5000,  # groups within groups
    ],
)
def test_bytes_that_are_no_model(data: bytes) -> None:
    refused(data, "not an ONNX file")


def test_announced_sizes_take_no_memory() -> None:
    tracemalloc.start()
    try:
        refused(b"\x3a\xff\xff\xff\xff\x07" + linear().SerializeToString())
        proto = linear()
        proto.graph.initializer[0].dims[0] = 2**60
        refused(proto, "as many numbers")
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_sources_that_are_none(tmp_path: Path) -> None:
    refused(tmp_path / "missing.onnx", "cannot be read")
    refused(tmp_path, "cannot be read")
    if os.path.exists("/dev/zero"):
        refused("/dev/zero", "not an ONNX file")
    for source in (None, 7, ["x"]):
        with pytest.raises(ChainruleError, match="reads an ONNX model"):
            cr.load_onnx(source)


def test_a_file_longer_than_any_model(tmp_path: Path) -> None:
    path = tmp_path / "long.onnx"
    with path.open("wb") as file:
        file.truncate(2**31 + 10)  # which takes no room
    refused(path, "less than 2 GiB")


# -- graphs ----------------------------------------------------------------------------


def test_a_cycle() -> None:
    body = "g (float[N] x) => (float[N] y) { a = Add(x, b)  b = Relu(a)  y = Neg(b) }"
    refused(model(body), "cycle")


def test_names_that_nothing_makes() -> None:
    refused(model("g (float[N] x) => (float[N] y) { y = Add(x, a) }"), "nothing makes")
    refused(model("g (float[N] x) => (float[N] z) { y = Relu(x) }"), "nothing makes")


def test_two_values_of_one_name() -> None:
    body = "g (float[N] x) => (float[N] y) { y = Relu(x)  y = Neg(x) }"
    refused(model(body), "two values of one name", "'y'")


def test_nodes_in_another_order() -> None:
    """The standard wants them sorted; what can be put into an order is."""
    body = "g (float[N] x) => (float[N] y) { y = Neg(a)  a = Exp(x) }"
    assert cr.load_onnx(model(body))([0.0]).item() == -1


def nested(depth: int) -> Any:
    """An If within an If, and so on."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y0"])],
        "leaf",
        [],
        [helper.make_tensor_value_info("y0", 1, None)],
    )
    leaf = graph
    for i in range(1, depth):
        node = helper.make_node(
            "If", ["c"], [f"y{i}"], then_branch=graph, else_branch=leaf
        )
        output = helper.make_tensor_value_info(f"y{i}", 1, None)
        graph = helper.make_graph([node], "level", [], [output])
    top = onnx.GraphProto()
    top.CopyFrom(graph)
    graph = top
    graph.input.append(helper.make_tensor_value_info("x", 1, [1]))
    graph.input.append(helper.make_tensor_value_info("c", 9, []))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def test_deep_nesting() -> None:
    assert cr.load_onnx(nested(5))(cr.ones(1), cr.tensor(True)).item() == 1
    refused(nested(25), "graphs within graphs")


def calls(*pairs: tuple[str, tuple[str, ...]]) -> Any:
    """A model of functions, each of which calls others."""
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("f", 1)]
    functions = []
    for name, called in pairs:
        values = ["x", *(f"v{i}" for i in range(len(called)))]
        nodes = [
            helper.make_node(
                inner,
                [values[i]],
                [values[i + 1]],
                domain="f" if inner[0] == "f" else "",
            )
            for i, inner in enumerate(called)
        ]
        functions.append(
            helper.make_function("f", name, ["x"], [values[-1]], nodes, opsets)
        )
    graph = helper.make_graph(
        [helper.make_node("f0", ["x"], ["y"], domain="f")],
        "g",
        [helper.make_tensor_value_info("x", 1, [1])],
        [helper.make_tensor_value_info("y", 1, [1])],
    )
    return helper.make_model(graph, functions=functions, opset_imports=opsets)


def test_functions_of_the_file() -> None:
    result = cr.load_onnx(calls(("f0", ("f1", "f1")), ("f1", ("Neg", "Exp"))))(
        cr.zeros(1)
    )
    assert result.item() == pytest.approx(np.exp(-1.0))


def test_functions_that_call_themselves() -> None:
    refused(calls(("f0", ("f1",)), ("f1", ("f0",))), "calls itself")


def test_calls_within_calls() -> None:
    levels = [(f"f{i}", (f"f{i + 1}",)) for i in range(50)]
    refused(calls(*levels, ("f50", ("Neg",))), "calls within calls")


def test_functions_that_double() -> None:
    levels = [(f"f{i}", (f"f{i + 1}",) * 2) for i in range(30)]
    refused(calls(*levels, ("f30", ("Neg", "Neg"))), "a million nodes")


def test_sizes_that_no_memory_holds() -> None:
    body = """g (float[1] x) => (float[N] y)
        <int64[1] shape = {4611686018427387904}> {
            big = ConstantOfShape(shape)  y = Add(big, x) }"""
    module = cr.load_onnx(model(body))
    with pytest.raises(ChainruleError, match="larger than this machine's memory"):
        module(cr.ones(1))
    for operator in ("Expand", "Tile"):
        body = f"""g (float[1] x) => (float[N] y)
            <int64[1] n = {{4611686018427387904}}> {{
            a = {operator}(x, n)  y = Exp(a) }}"""
        with pytest.raises(ChainruleError):
            cr.load_onnx(model(body))(cr.ones(1))


def test_pools_add_less_than_a_window() -> None:
    body = """g (float[1, 1, 4] x) => (float[1, 1, N] y) {
        y = MaxPool <kernel_shape = [2], pads = [2147483648, 0]> (x) }"""
    with pytest.raises(ChainruleError, match="less than a window"):
        cr.load_onnx(model(body))(cr.ones(1, 1, 4))


def test_all_that_is_not_supported_at_once() -> None:
    proto = model(
        """g (float[N] x, string[N] s) => (float[N] y) {
            a = Foo <bar = 1> (x)  b = Foo(a)  c = Relu <slope = 1> (b)
            t = StringConcat(s, s)  d = Cast <to = 10> (c)  y = Bar(d, t) }"""
    )
    proto.graph.node[0].name = "first"
    message = refused(proto, "does not support")
    for text in ("Foo (opset 18), 2 ×", "'first'", "Bar", "the attribute slope"):
        assert text in message
    for text in ("StringConcat", "texts", "dtype float16", "dtype string ('s')"):
        assert text in message


def test_a_dead_node_is_not_asked_for() -> None:
    body = "g (float[N] x) => (float[N] y) { a = Foo(x)  y = Neg(x) }"
    assert cr.load_onnx(model(body))([1.0]).item() == -1


# -- fuzzing ---------------------------------------------------------------------------

SEEDS = [
    linear(),
    nested(3),
    calls(("f0", ("f1",)), ("f1", ("Neg", "Exp"))),
    model(
        """g (float[1, 2, 6, 6] x) => (float[1, 3, N] y)
        <float[3, 2, 1, 2] w = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2},
            int64[3] shape = {0, 3, -1}> {
            a = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (x, w)
            b = MaxPool <kernel_shape = [2, 2]> (a)  c = Softmax <axis = 1> (b)
            y = Reshape(c, shape) }"""
    ),
    model(
        """g (float[4, 3] x) => (float[N, M] y)
        <int64[1] zero = {0}, int64[1] two = {2}> {
            s = Shape(x)  n = Gather(s, zero)  r = Slice(x, zero, two)
            a, b = Split <axis = 1, num_outputs = 2> (r)  c = Concat <axis = 1> (a, b)
            d = Transpose <perm = [1, 0]> (c)  e = ReduceMean <keepdims = 1> (d)
            y = Where(f, d, e)  f = Greater(d, e) }"""
    ),
]
#: Numbers that files are wrong with.
NUMBERS = (0, 1, -1, 2, 255, 2**31 - 1, 2**31, 2**62, -(2**63), 2**63 - 1)


def bent(data: bytes, rng: random.Random) -> bytes:
    """Bytes of a model with some of them changed, taken away, added or repeated."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(changed) + 1)
        how = rng.randrange(5)
        if how == 0:
            changed[at : at + 1] = bytes([rng.randrange(256)])
        elif how == 1:
            del changed[at : at + rng.randrange(1, 9)]
        elif how == 2:
            changed[at:at] = rng.randbytes(rng.randrange(1, 9))
        elif how == 3:
            changed[at : at + 1] = b"\xff" * rng.randrange(1, 10)
        else:
            start = rng.randrange(len(changed) + 1)
            changed[at:at] = changed[start : start + rng.randrange(1, 40)]
    return bytes(changed)


def wrong(proto: Any, rng: random.Random) -> bytes:
    """A model of which a number, a name, an operator or a node is another."""
    changed = onnx.ModelProto()
    changed.CopyFrom(proto)
    graph = changed.graph
    node = rng.choice(graph.node)
    how = rng.randrange(8)
    names = [i.name for i in graph.input] + [o for n in graph.node for o in n.output]
    if how == 0 and node.attribute:
        attribute = rng.choice(node.attribute)
        attribute.i = rng.choice(NUMBERS)
        attribute.ints.append(rng.choice(NUMBERS))
    elif how == 1 and node.attribute:
        rng.choice(node.attribute).type = rng.randrange(15)
    elif how == 2:
        node.input[rng.randrange(len(node.input))] = rng.choice([*names, "", "nothing"])
    elif how == 3:
        node.op_type = rng.choice(
            ["Loop", "LSTM", "Resize", "Pad", "TopK", "Gemm", "If"]
        )
    elif how == 4 and graph.initializer:
        tensor = rng.choice(graph.initializer)
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(NUMBERS)
    elif how == 5 and graph.initializer:
        rng.choice(graph.initializer).data_type = rng.randrange(27)
    elif how == 6:
        graph.node.add().CopyFrom(node)
    else:
        changed.opset_import[0].version = rng.choice((-1, 0, 1, 6, 9, 13, 28, 29))
    return changed.SerializeToString()


def inputs_of(module: Any) -> list[Any]:
    """Something of the right dtypes, of few elements."""
    return [
        np.ones(
            [d if isinstance(d, int) and d < 9 else 2 for d in i.shape or ()],
            i.dtype or "f4",
        )
        for i in module._graph.inputs
    ]


def fuzz(count: int, seed: int) -> tuple[int, int]:
    """Read files that are wrong, and run what can be; clear errors alone may come.

    The machine is said to have little memory, so that large results are refused soon.
    """
    rng = random.Random(seed)
    loaded = ran = 0
    protos = list(zip(SEEDS, [proto.SerializeToString() for proto in SEEDS]))
    little = mock.patch.object(room, "memory", return_value=1 << 27)
    with warnings.catch_warnings(), little:
        warnings.simplefilter("ignore", RuntimeWarning)
        for proto, data in itertools.islice(itertools.cycle(protos), count):
            source = bent(data, rng) if rng.random() < 0.5 else wrong(proto, rng)
            message = ""
            try:
                module = cr.load_onnx(source)
                loaded += 1
                module(*inputs_of(module))
                ran += 1
            except ChainruleError as error:
                message = str(error)
            assert len(message) < 4000
    return loaded, ran


def test_some_wrong_files() -> None:
    loaded, ran = fuzz(300, seed=1)
    assert loaded > 30
    assert ran > 5


@pytest.mark.slow
@pytest.mark.parametrize("share", range(10))
def test_many_wrong_files(share: int) -> None:
    fuzz(10_000, seed=100 + share)

"""The module of an ONNX file: names, roles, training, tracing, branches and loops."""

from __future__ import annotations

import copy
import io
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import (
    ArgumentError,
    ChainruleError,
    DataError,
    DTypeError,
    ShapeError,
)

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'chainrule[onnx]'")

from onnx import numpy_helper, parser  # noqa: E402

from chainrule.interop.onnx import reader  # noqa: E402
from chainrule.interop.onnx.reader.evaluation import evaluate  # noqa: E402

ENGINES = ["eager", "numpy", pytest.param("native", marks=pytest.mark.slow)]


def model(body: str, opset: int = 18, **numbers: Any) -> Any:
    """A model from ONNX's text form, with further initializers."""
    proto = parser.parse_model(f'<ir_version: 10, opset_import: ["": {opset}]>' + body)
    for name, value in numbers.items():
        array = np.asarray(value, getattr(value, "dtype", np.float32))
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    return proto


def line() -> Any:
    return model(
        "g (float[N, 2] x) => (float[N, 1] y) { z = MatMul(x, w)  y = Add(z, b) }",
        w=[[2.0], [-1.0]],
        b=[0.5],
    )


def ways(module: nn.Module, engine: str) -> Any:
    """A module, or its compiled form."""
    return module if engine == "eager" else cr.compile(module.forward, engine=engine)


# -- sources and inputs ----------------------------------------------------------------


def test_sources(tmp_path: Path) -> None:
    path, data = tmp_path / "line.onnx", line().SerializeToString()
    path.write_bytes(data)
    for source in (path, str(path), data, bytearray(data), io.BytesIO(data), line()):
        assert cr.load_onnx(source)([[1.0, 3.0]]).item() == -0.5


def test_the_package_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ArgumentError, match=r"pip install 'chainrule\[onnx\]'"):
        cr.load_onnx("line.onnx")


def test_inputs() -> None:
    module = cr.load_onnx(line())
    assert module.input_names == ("x",)
    assert module(x=[[1.0, 3.0]]).item() == -0.5
    for call in (lambda: module(), lambda: module(1, 2), lambda: module(z=1)):
        with pytest.raises(ArgumentError, match="other inputs"):
            call()
    with pytest.raises(DTypeError, match="float32"):
        module(np.zeros((1, 2)))
    with pytest.raises(ShapeError, match="N, 2"):
        module(cr.zeros(1, 3))
    with pytest.raises(ShapeError):
        module(cr.zeros(2))


@pytest.mark.parametrize(
    ("dtype", "number"),
    [("int64", 2.7), ("int64", float("nan")), ("uint8", 300), ("uint8", -1)],
)
def test_numbers_that_a_dtype_lacks_are_refused(dtype: str, number: float) -> None:
    module = cr.load_onnx(model(f"g ({dtype} x) => ({dtype} y) {{ y = Identity(x) }}"))
    assert module(3).item() == module(3.0).item() == 3
    with pytest.raises(DTypeError, match=dtype):
        module(number)


def test_several_outputs() -> None:
    body = "g (float[N] x) => (float[N] a, int64[1] b) { a = Neg(x)  b = Shape(x) }"
    a, b = cr.load_onnx(model(body))([1.0, 2.0])
    assert (a.numpy().tolist(), b.numpy().tolist()) == ([-1, -2], [2])


def test_notes_say_which_node() -> None:
    body = "g (float[N, M] x) => (float[N, K] y) { y = MatMul(x, w) }"
    with pytest.raises(ChainruleError) as caught:
        cr.load_onnx(model(body, w=np.ones((3, 1), "f4")))(cr.zeros(1, 2))
    assert caught.value.__notes__ == ["ONNX node 'y' (MatMul)"]


# -- parameters ------------------------------------------------------------------------


def test_roles() -> None:
    proto = model(
        """g (float[N, 2, 2, 2] x) => (float[N, 2, 4, 4] y) {
            a = BatchNormalization(x, gamma, beta, mean, var)
            b = Pow(a, two)  c = Mul(b, scale)  d = Add(c, inline)
            inline = Constant <value = float[2] {1.0, 2.0}> ()
            half = Constant <value_float = 0.5> ()  e = Mul(d, half)
            m = Add(e, mask)  r = Resize(m, , factors)  y = Add(r, offset) }""",
        gamma=np.ones(2, "f4"),
        beta=np.ones(2, "f4"),
        mean=np.ones(2, "f4"),
        var=np.ones(2, "f4"),
        two=np.full(1, 2, "f4"),
        scale=np.float32(3),
        mask=np.float32([0, -np.inf]),
        factors=np.float32([1, 1, 2, 2]),
        offset=np.ones(4, "f4"),
    )
    module = cr.load_onnx(proto)
    parameters = {n for n, __ in module.named_parameters()}
    buffers = {n for n, __ in module.named_buffers()}
    assert parameters == {"gamma", "beta", "inline", "offset"}
    assert buffers == {"mean", "var", "two", "scale", "mask"}
    assert set(module._constants) == {"half", "factors"}
    assert module(cr.ones(1, 2, 2, 2)).shape == (1, 2, 4, 4)


def test_names_are_paths_and_can_be_reversed() -> None:
    names = [
        "fc.weight",
        "onnx::MatMul_7",
        "fc weight",
        "training",
        "forward.x",
        "fc",
        "1",
    ]
    values = " ".join(f"v{i + 1} = Add(v{i}, n{i})" for i in range(len(names)))
    proto = model(f"g (float[N] v0) => (float[N] v{len(names)}) {{ {values} }}")
    for i, name in enumerate(names):
        proto.graph.initializer.append(numpy_helper.from_array(np.ones(2, "f4"), name))
        proto.graph.node[i].input[1] = name
    module = cr.load_onnx(proto)
    paths = [path for path, __ in module.named_parameters()]
    assert [module.names[path] for path in module.names] == names
    assert set(paths) == set(module.names)
    assert "fc.weight" in paths
    assert module(cr.zeros(2)).numpy().tolist() == [len(names)] * 2


def test_numbers_that_nothing_reads_are_left_out() -> None:
    proto = line()
    proto.graph.initializer.append(numpy_helper.from_array(np.ones(3, "f4"), "spare"))
    half = numpy_helper.from_array(np.ones(3, np.float16), "half")
    proto.graph.initializer.append(half)
    module = cr.load_onnx(proto)
    assert {n for n, __ in module.named_parameters()} == {"w", "b"}
    proto.graph.node[1].input[1] = "half"
    with pytest.raises(DataError, match="dtype float16"):
        cr.load_onnx(proto)


def test_training_moves_the_parameters() -> None:
    module = cr.load_onnx(line())
    optimizer = optim.SGD(module.parameters(), lr=0.1)
    x = cr.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    y = cr.tensor([[1.0], [2.0], [3.0]])

    @cr.compile
    def step(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        loss = nn.functional.mse_loss(module(x), y)
        module.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    losses = [step(x, y).item() for __ in range(200)]
    assert losses[0] > 1
    assert losses[-1] < 0.01
    assert cr.check_gradients(lambda t: module(t).sum(), x).worst.error < 1e-8


def test_copies_and_states() -> None:
    module = cr.load_onnx(line())
    with cr.no_grad():
        module.w.copy_([[1.0], [1.0]])
    for other in (pickle.loads(pickle.dumps(module)), copy.deepcopy(module)):
        assert other([[1.0, 3.0]]).item() == 4.5
    fresh = cr.load_onnx(line())
    fresh.load_state_dict(module.state_dict())
    assert fresh([[1.0, 3.0]]).item() == 4.5


def test_explanation() -> None:
    text = str(cr.explain(cr.load_onnx(line()), [[1.0, 3.0]], [[1.0]], nn.MSELoss()))
    assert "weight" in text or "W" in text
    assert "= -0.5" in text


# -- shapes ----------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_shapes_are_computed_while_tracing(engine: str) -> None:
    """What PyTorch writes for x.reshape(len(x), -1, 2)."""
    proto = model(
        """g (float[N, M] x) => (float[A, B, C] y) {
            s = Shape(x)  n = Gather <axis = 0> (s, zero)  u = Unsqueeze(n, axes)
            shape = Concat <axis = 0> (u, minus, two)  y = Reshape(x, shape) }""",
        zero=np.int64(0),
        axes=np.int64([0]),
        minus=np.int64([-1]),
        two=np.int64([2]),
    )
    function = ways(cr.load_onnx(proto), engine)
    for n in (1, 3, 4, 5):
        assert function(cr.zeros(n, 6)).shape == (n, 3, 2)


def doubled() -> Any:
    """(N, 6) → (2 N, 3)."""
    return model(
        """g (float[N, 6] x) => (float[A, B] y) {
            s = Shape <start = 0, end = 1> (x)  d = Mul(s, two)
            shape = Concat <axis = 0> (d, three)  y = Reshape(x, shape) }""",
        two=np.int64([2]),
        three=np.int64([3]),
    )


def expanded() -> Any:
    """What PyTorch writes for x.expand(2, len(x), -1)[:, : len(x)]."""
    return model(
        """g (float[N, 6] x) => (float[A, B, C] y) {
            s = Shape(x)  n = Gather(s, zero)  u = Unsqueeze(n, axis)
            whole = Div(u, one)  i = Cast <to = 7> (whole)  q = Squeeze(i, axis)
            back = Unsqueeze(q, axis)  shape = Concat <axis = 0> (two, back, less)
            ones = ConstantOfShape <value = int64[1] {1}> (rank)
            same = Equal(shape, less)  chosen = Where(same, ones, shape)
            z = Expand(x, chosen)  y = Slice(z, axis, back, one) }""",
        zero=np.int64(0),
        axis=np.int64([0]),
        one=np.int64([1]),
        two=np.int64([2]),
        rank=np.int64([3]),
        less=np.int64([-1]),
    )


@pytest.mark.parametrize(
    ("proto", "shape"),
    [(doubled(), lambda n: (2 * n, 3)), (expanded(), lambda n: (2, n, 6))],
)
def test_named_sizes_need_one_trace(
    proto: Any, shape: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks = []

    def counted(*args: Any) -> Any:
        walks.append(args)
        return evaluate(*args)

    monkeypatch.setattr(reader.module, "evaluate", counted)
    function = cr.compile(cr.load_onnx(proto).forward, engine="numpy")
    for n in range(4, 12):
        assert function(cr.zeros(n, 6)).shape == shape(n)
    assert len(walks) <= 3  # with numbers, and with a name


def test_shapes_by_data_are_for_eager_code() -> None:
    body = "g (float[N] x, int64[K] s) => (float[A, B] y) { y = Reshape(x, s) }"
    module = cr.load_onnx(model(body))
    x, shape = cr.zeros(6), cr.tensor([2, 3])
    assert module(x, shape).shape == (2, 3)
    with pytest.raises(ArgumentError, match="no numbers yet"):
        cr.compile(module.forward, engine="numpy")(x, shape)


# -- branches and loops ----------------------------------------------------------------

BRANCH = """g (float[N] x, int64 c) => (float[N] y) {{
    t = Equal(c, one)
    y = If (t) <
        then_branch = a () => (float[N] p) {{ p = Mul(x, w) }},
        else_branch = b () => (float[N] q) {{ q = {other} }}> }}"""


def test_names_of_nodes_are_no_depth() -> None:
    """PyTorch's are paths: /encoder/layers.0/…/If."""
    proto = branch()
    proto.graph.node[1].name = "/a" * 40
    assert cr.load_onnx(proto)([1.0, 3.0], 1).numpy().tolist() == [2, 6]


def branch(other: str = "Neg(x)", **numbers: Any) -> Any:
    text = BRANCH.format(other=other)
    return model(text, w=np.float32([2, 2]), one=np.int64(1), **numbers)


@pytest.mark.parametrize("engine", ENGINES)
def test_branches(engine: str) -> None:
    module = cr.load_onnx(branch())
    function, x = ways(module, engine), cr.tensor([1.0, 3.0])
    for c, wanted in ((1, [2, 6]), (0, [-1, -3])):
        assert function(x, cr.tensor(c)).numpy().tolist() == wanted
        assert function(x, c).numpy().tolist() == wanted
    y = module(x, cr.tensor(1))
    y.sum().backward()
    assert module.w.grad.numpy().tolist() == [1, 3]


@pytest.mark.parametrize("engine", ENGINES[1:])
def test_a_branch_that_does_not_fit(engine: str) -> None:
    """Silero's detector has one for each sampling rate."""
    module = cr.load_onnx(branch("MatMul(x, wide)", wide=np.ones((5, 5), "f4")))
    function = ways(module, engine)
    assert function(cr.ones(2), cr.tensor(1)).numpy().tolist() == [2, 2]
    with pytest.raises(ChainruleError, match="does not fit its inputs"):
        function(cr.ones(2), cr.tensor(0))


LOOP = """g (float[N] x, int64 n) => (float[N] y, float[T, N] all) {{
    y, all = Loop (n, yes, x) <body = step (int64 i, bool c, float[N] v)
        => (bool goes, float[N] new, float[N] out) {{
            f = Cast <to = 1> (i)  new = Add(v, f)  out = Mul(new, w)
            {goes} }}> }}"""


def loop(goes: str, **numbers: Any) -> Any:
    return cr.load_onnx(
        model(
            LOOP.format(goes=goes),
            w=np.float32([2, 2]),
            yes=np.bool_(True),
            **numbers,
        )
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("steps", [1, 5, 100])
def test_loops_of_known_length(engine: str, steps: int) -> None:
    """A short one is written out while traced, a long one is a loop in the graph."""
    module = loop("goes = Identity(c)")
    y, every = ways(module, engine)(cr.zeros(2), steps)
    sums = np.cumsum(np.arange(steps, dtype=np.float32))
    assert np.array_equal(y.numpy(), np.full(2, sums[-1]))
    assert np.array_equal(every.numpy(), 2 * np.stack([sums, sums], axis=1))


@pytest.mark.parametrize("engine", ENGINES)
def test_loops_while_a_condition_holds(engine: str) -> None:
    proto = model(
        """g (float[1] x) => (float[1] y) {
            y = Loop (most, yes, x) <body = step (int64 i, bool c, float[1] v)
                => (bool goes, float[1] new) {
                    new = Mul(v, two)  less = Less(new, limit)
                    goes = Squeeze(less) }> }""",
        two=np.float32([2]),
        limit=np.float32([100]),
        most=np.int64(50),
        yes=np.bool_(True),
    )
    function = ways(cr.load_onnx(proto), engine)
    assert function(cr.tensor([3.0])).item() == 192
    assert function(cr.tensor([200.0])).item() == 400


@pytest.mark.parametrize(
    ("first", "engine", "wanted"),
    [
        (["", "yes"], "eager", 192),
        (["most", ""], "eager", 24),
        (["most", ""], "numpy", 24),
    ],
)
def test_a_loop_may_leave_out_what_ends_it(
    first: list[str], engine: str, wanted: int
) -> None:
    """A while loop has no number of steps, a for loop no first condition."""
    proto = model(
        """g (float[1] x) => (float[1] y) {
            y = Loop (most, yes, x) <body = step (int64 i, bool c, float[1] v)
                => (bool goes, float[1] new) {
                    new = Mul(v, two)  less = Less(new, limit)
                    goes = Squeeze(less) }> }""",
        two=np.float32([2]),
        limit=np.float32([100]),
        most=np.int64(3),
        yes=np.bool_(True),
    )
    (node,) = proto.graph.node
    node.input[:2] = first
    function = ways(cr.load_onnx(proto), engine)
    assert function(cr.tensor([3.0])).item() == wanted


def test_loops_whose_length_is_data() -> None:
    module = loop("goes = Identity(c)")
    y, every = module(cr.zeros(2), cr.tensor(4))
    assert (y.numpy().tolist(), every.shape) == ([6, 6], (4, 2))
    with pytest.raises(ArgumentError, match="depends on data"):
        cr.compile(module.forward, engine="numpy")(cr.zeros(2), cr.tensor(4))


# -- recurrent layers ------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_lstm_beside_ours(engine: str) -> None:
    """The gates stand in another order: i o f c here, i f g o in PyTorch."""
    cr.manual_seed(0)
    ours, x = nn.LSTM(3, 4, bidirectional=True), cr.randn(5, 2, 3)

    def order(t: Any) -> Any:
        i, f, g, o = np.split(np.asarray(t.detach().numpy()), 4)
        return np.concatenate([i, o, f, g])

    ends = ("", "_reverse")
    stacked = {
        "w": np.stack([order(getattr(ours, f"weight_ih_l0{end}")) for end in ends]),
        "r": np.stack([order(getattr(ours, f"weight_hh_l0{end}")) for end in ends]),
        "b": np.stack(
            [
                np.concatenate(
                    [order(getattr(ours, f"bias_{k}h_l0{end}")) for k in "ih"]
                )
                for end in ends
            ]
        ),
    }
    proto = model(
        """g (float[T, N, 3] x) => (float[T, 2, N, 4] y, float[2, N, 4] h) {
            y, h, c = LSTM <hidden_size = 4, direction = "bidirectional"> (x, w, r, b)
        }""",
        **stacked,
    )
    module = cr.load_onnx(proto)
    y, h = ways(module, engine)(x)
    wanted, (last, __) = ours(x)
    got = y.permute((0, 2, 1, 3)).reshape(5, 2, 8)
    assert float((got - wanted).abs().max().item()) < 1e-6
    assert float((h - last).abs().max().item()) < 1e-6
    assert {n for n, __ in module.named_parameters()} == {"w", "r", "b"}


def test_random_draws_are_new_each_time() -> None:
    body = "g (float[N] x) => (float[N] y) { y = RandomUniformLike(x) }"
    module = cr.load_onnx(model(body))
    a, b = module(cr.zeros(9)), module(cr.zeros(9))
    assert not np.array_equal(a.numpy(), b.numpy())
    assert 0 <= a.min().item() <= a.max().item() < 1


# -- older operator sets ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("opset", "options", "scale", "wanted"),
    [
        (10, 'mode="nearest"', 0.6, [0, 2, 4]),  # 5 · 0.6 are 3 in float32
        (10, 'mode="nearest"', 1.6, [0, 0, 1, 1, 2, 3, 3, 4]),
        (18, 'nearest_mode="floor"', 0.6, [0, 2, 3]),  # 1.5/0.6 − ½ is 2
        (18, 'nearest_mode="round_prefer_ceil"', 1.6, [0, 0, 1, 2, 2, 3, 4, 4]),
    ],
)
def test_nearest_neighbours_are_those_of_float32(
    opset: int, options: str, scale: float, wanted: list[int]
) -> None:
    """Its tie is a tie: in float64 it lies beside, as 0.6 is no number of float32."""
    scales = "x, scales" if opset == 10 else "x, none, scales"
    proto = model(
        f"g (float[5] x) => (float[M] y) {{ y = Resize <{options}> ({scales}) }}",
        opset,
        scales=[scale],
        **({} if opset == 10 else {"none": np.zeros(0, np.float32)}),
    )
    made = cr.load_onnx(proto)(cr.arange(5, dtype="float32"))
    assert made.tolist() == wanted


def test_lengths_of_a_resize_are_products_of_float32() -> None:
    text = "g (float[10] x) => (float[7] y) { y = Resize (x, none, scales) }"
    proto = model(text, scales=[0.7], none=np.zeros(0, np.float32))
    assert cr.load_onnx(proto)(cr.zeros(10)).shape == (7,)

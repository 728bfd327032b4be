"""``cr.export_onnx``: what the file says, named sizes, and what is refused.

The files are run by onnx's own evaluator, which is NumPy; ``tests/parity`` has them in
ONNX Runtime.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, SaveError, ShapeError
from chainrule.interop.onnx.writer import file
from chainrule.interop.onnx.writer.export import OPSETS


def run(path: Path, *inputs: Any) -> list[np.ndarray]:
    evaluator = ReferenceEvaluator(str(path))
    return evaluator.run(None, dict(zip(evaluator.input_names, inputs, strict=True)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_the_file_of_a_network(path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5), nn.Softmax(-1))
    written = cr.export_onnx(
        model, path, floats(2, 4), dynamic="N", metadata={"classes": ["a", "b", "c"]}
    )
    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    assert [i.name for i in proto.graph.input] == ["x"]
    assert {i.name for i in proto.graph.initializer} == {"0.weight", "0.bias"}
    assert proto.opset_import[0].version == 23
    said = {p.key: p.value for p in proto.metadata_props}
    assert said["chainrule_version"] == cr.__version__
    assert json.loads(said["classes"]) == ["a", "b", "c"]
    assert str(written).splitlines() == [
        f"{path}: ONNX, opset 23",
        "  input   x: float32[N,4]",
        "  output  output: float32[N,3]",
        "  nodes   1 Gemm, 1 Add, 1 Softmax",
    ]
    assert model.training
    for rows in (1, 7):
        x = floats(rows, 4)
        (got,) = run(path, x)
        model.eval()
        np.testing.assert_allclose(got, model(cr.tensor(x)).numpy(), rtol=1e-5)


def test_names_of_inputs_and_outputs(path: Path) -> None:
    lstm = nn.LSTM(3, 4)
    states = (floats(1, 2, 4), floats(1, 2, 4))
    written = cr.export_onnx(lstm, path, {"x": floats(5, 2, 3), "hx": states})
    assert list(written.inputs) == ["x", "hx.0", "hx.1"]
    assert list(written.outputs) == ["output.0", "output.1.0", "output.1.1"]

    def parts(a: cr.Tensor, b: cr.Tensor) -> dict[str, cr.Tensor]:
        return {"sum": a + b, "a": a}

    written = cr.export_onnx(parts, path, (floats(2), floats(2)))
    assert list(written.outputs) == ["sum", "a_out"]
    written = cr.export_onnx(parts, path, (floats(2), floats(2)), outputs=["s", "t"])
    assert list(written.outputs) == ["s", "t"]
    total, same = run(path, np.float32([1, 2]), np.float32([3, 4]))
    assert total.tolist() == [4, 6]
    assert same.tolist() == [1, 2]


def test_outputs_that_have_one_name_are_refused(path: Path) -> None:
    for nest in (
        lambda x: {"x": x, "x_out": x},
        lambda x: {"a": {"b": x}, "a.b": x},
        lambda x: {1: x, "1": x},
        lambda x: {"": x},
    ):
        refused(lambda n=nest: cr.export_onnx(n, path, floats(2)), "names of their own")
    both = cr.export_onnx(
        lambda x: {1: x, "1": x * 2}, path, floats(2), outputs=["a", "b"]
    )
    assert list(both.outputs) == ["a", "b"]
    refused(lambda: cr.export_onnx(lambda x: None, path, floats(2)), "returns nothing")


def test_a_vector_before_a_stack_of_matrices(path: Path) -> None:
    x, y = floats(4), floats(2, 4, 3)
    cr.export_onnx(lambda x, y: x @ y, path, (x, y))
    np.testing.assert_allclose(run(path, x, y)[0], x @ y, rtol=1e-5)


def test_weights_and_arguments_of_one_name(path: Path) -> None:
    model = nn.Linear(2, 2)

    def f(weight: cr.Tensor) -> cr.Tensor:
        return model(weight)

    cr.export_onnx(f, path, floats(1, 2))
    x = floats(1, 2)
    np.testing.assert_allclose(run(path, x)[0], model(cr.tensor(x)).numpy(), rtol=1e-5)


def test_a_dictionary_in_another_order(path: Path) -> None:
    def f(x: cr.Tensor, y: cr.Tensor, **more: cr.Tensor) -> cr.Tensor:
        return x - y * more["z"]

    given = {"z": np.float32([3]), "y": np.float32([2]), "x": np.float32([9])}
    assert list(cr.export_onnx(f, path, given).inputs) == ["z", "y", "x"]
    assert run(path, *given.values())[0].tolist() == [3]


def test_sizes_with_names(path: Path) -> None:
    def pairs(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        return (x @ y.T).reshape(-1).mean() + x.shape[0] * cr.ones(3)

    sizes = {"x": ("N", None), "y": ("M", 4)}
    written = cr.export_onnx(pairs, path, (floats(2, 4), floats(3, 4)), dynamic=sizes)
    assert list(written.inputs.values()) == ["float32[N,4]", "float32[M,4]"]
    for n, m in ((1, 1), (7, 2)):
        x, y = floats(n, 4), floats(m, 4)
        np.testing.assert_allclose(run(path, x, y)[0], (x @ y.T).mean() + n, rtol=1e-5)


def test_inputs_of_other_sizes_under_one_name_are_refused(path: Path) -> None:
    """ONNX's operators would repeat the one row."""
    cr.export_onnx(lambda x, y: x + y, path, (floats(2, 3), floats(2, 3)), dynamic="N")
    assert run(path, floats(4, 3), floats(4, 3))[0].shape == (4, 3)
    with pytest.raises(ValueError, match="reshape"):
        run(path, floats(4, 3), floats(1, 3))
    cr.export_onnx(lambda x: x + x.T, path, (floats(2, 2),), dynamic={"x": ("N", "N")})
    with pytest.raises(ValueError, match="reshape"):
        run(path, floats(4, 1))


@pytest.mark.parametrize("shape", [(2, 3), (6, 1), (3, 4)])
def test_sizes_that_are_taken_for_each_other_are_refused(path: Path, shape) -> None:
    """A reshape would make (M, N) of as many numbers."""
    sizes = {"x": ("N", "M"), "y": ("M", "N")}
    examples = floats(2, 3), floats(3, 2)
    cr.export_onnx(lambda x, y: x + y.T, path, examples, dynamic=sizes)
    x, y = floats(2, 5), floats(5, 2)
    np.testing.assert_array_equal(run(path, x, y)[0], x + y.T)
    with pytest.raises(IndexError):
        run(path, floats(2, 3), floats(*shape))


@pytest.mark.parametrize(
    "decides",
    [
        lambda x: x.shape[0] == 50,
        lambda x: x.shape[0] > 5000,
        lambda x: 0 in x.shape,
        lambda x: x.shape[0] == x.shape[1],
        lambda x: x.shape[0] * x.shape[0] < x.shape[1],
        lambda x: any(x.shape[0] == n for n in (40, 50, 60)),
    ],
    ids=["50", "5000", "0", "N=M", "N*N<M", "several"],
)
def test_one_size_among_many_decides(path: Path, decides) -> None:
    def cut(x: cr.Tensor) -> cr.Tensor:
        return x.sum() + 1 if decides(x) else x.sum() * 2

    with pytest.raises(ShapeError, match="computes something else"):
        cr.export_onnx(cut, path, floats(3, 4), dynamic={"x": ("N", "M")})


def test_a_size_that_is_looked_up_is_refused(path: Path) -> None:
    def scaled(x: cr.Tensor) -> cr.Tensor:
        return x * {5: 2.0}.get(x.shape[0], 1.0)

    with pytest.raises(ShapeError, match="N is not known"):
        cr.export_onnx(scaled, path, floats(3, 4), dynamic="N")


def test_a_size_decides_which_of_two_equal_weights_is_read(path: Path) -> None:
    few, many = cr.tensor(floats(4)), cr.tensor(floats(4) * 2)

    def scaled(x: cr.Tensor) -> cr.Tensor:
        return x * (few if x.shape[0] < 50 else many)

    with pytest.raises(ShapeError, match="N = 50 the model computes something else"):
        cr.export_onnx(scaled, path, floats(3, 4), dynamic="N")


def test_a_size_that_decides_how_it_is_computed_is_no_reason(path: Path) -> None:
    def total(x: cr.Tensor) -> cr.Tensor:
        return x.sum(0).sum(0) if x.shape[0] < 50 else x.sum()

    cr.export_onnx(total, path, floats(3, 4), dynamic="N")
    np.testing.assert_allclose(run(path, floats(60, 4))[0], floats(60, 4).sum(), 1e-5)


def test_a_size_that_decides_what_is_computed(path: Path) -> None:
    def cut(x: cr.Tensor) -> cr.Tensor:
        return x.sum(0) if x.shape[0] > 5 else x.sum(0) * 2

    with pytest.raises(ShapeError, match="N = 6 the model computes something else"):
        cr.export_onnx(cut, path, floats(3, 2), dynamic="N")
    assert not path.exists()
    cr.export_onnx(cut, path, floats(3, 2))


def test_a_size_that_the_model_refuses_is_no_reason(path: Path) -> None:
    positions = nn.LearnedPositions(6, 4)
    cr.export_onnx(positions, path, floats(2, 5, 4), dynamic={"x": (None, "T", None)})

    def large(x: cr.Tensor) -> cr.Tensor:
        if x.shape[0] < 2:
            raise ValueError(x)
        return x * 2

    cr.export_onnx(large, path.with_name("large.onnx"), floats(2, 5), dynamic="N")
    x = floats(2, 3, 4)
    np.testing.assert_allclose(run(path, x)[0], positions(cr.tensor(x)).numpy())


def test_weights_are_those_of_now_and_not_those_of_later(path: Path) -> None:
    model = nn.Linear(2, 1)
    cr.export_onnx(model, path, floats(1, 2))
    before = model(cr.ones(1, 2)).numpy().copy()
    with cr.no_grad():
        model.weight.zero_()
    np.testing.assert_allclose(run(path, np.ones((1, 2), np.float32))[0], before)


@pytest.mark.parametrize("opset", [OPSETS[0], 18, OPSETS[-1]])
def test_opsets(path: Path, opset: int) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.GELU())
    written = cr.export_onnx(model, path, floats(2, 4), opset=opset)
    assert ("LayerNormalization" in written.operators) == (opset >= 17)
    assert ("Gelu" in written.operators) == (opset >= 20)
    x = floats(2, 4)
    np.testing.assert_allclose(
        run(path, x)[0], model(cr.tensor(x)).numpy(), rtol=1e-4, atol=1e-6
    )


def test_large_weights_stand_in_a_file_beside(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "MESSAGE", 1000)
    model = nn.Linear(64, 32)
    written = cr.export_onnx(model, path, floats(2, 64))
    __, weights = written.files
    assert re.fullmatch(r"model\.onnx\.[0-9a-f]{8}\.data", weights.name)
    assert path.stat().st_size < 2000
    assert weights.stat().st_size >= 64 * 32 * 4
    x = floats(2, 64)
    np.testing.assert_allclose(
        run(path, x)[0], model(cr.tensor(x)).numpy(), rtol=1e-4, atol=1e-5
    )
    other = path.with_name("model.onnx.mine.data")
    other.touch()
    monkeypatch.undo()
    assert len(cr.export_onnx(model, path, floats(2, 64)).files) == 1
    assert {*path.parent.iterdir()} == {path, other}


def test_a_write_that_breaks_off_leaves_the_old_model_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its weights too, which another file holds."""
    monkeypatch.setattr(file, "MESSAGE", 1000)
    x = floats(2, 64)
    cr.export_onnx(nn.Linear(64, 32), path, x)
    before, replace = run(path, x)[0], file.replace

    def full(place: Path, *more: Any) -> None:
        if place == path:
            raise SaveError("full", expected="", got="")
        replace(place, *more)

    with monkeypatch.context() as patched:
        patched.setattr(file, "replace", full)
        with pytest.raises(SaveError):
            cr.export_onnx(nn.Linear(64, 32), path, x)
    np.testing.assert_array_equal(run(path, x)[0], before)
    cr.export_onnx(nn.Linear(64, 32), path, x)
    assert len([*path.parent.iterdir()]) == 2


def test_a_loop_and_a_branch(path: Path) -> None:
    def f(x: cr.Tensor) -> cr.Tensor:
        total, __ = cr.scan(lambda s, row: (s * 0.5 + row, row), x[0] * 0, x)
        return cr.cond(total.sum() > 0, lambda t: t * 2, lambda t: t - 1, total)

    written = cr.export_onnx(f, path, floats(3, 2))
    assert {"Scan", "If"} <= written.operators.keys()
    for sign in (1, -1):
        x = sign * np.abs(floats(3, 2))
        np.testing.assert_allclose(run(path, x)[0], f(cr.tensor(x)).numpy(), rtol=1e-5)


# -- refusals --------------------------------------------------------------------------


def refused(call: Callable[[], Any], *parts: str) -> None:
    with pytest.raises(cr.ChainruleError) as raised:
        call()
    text = str(raised.value)
    for part in parts:
        assert part in text, text


def test_what_onnx_cannot_say(path: Path) -> None:
    class Solver(nn.Module):
        def __init__(self) -> None:
            self.inner = nn.Linear(2, 2)

        def forward(self, x: cr.Tensor) -> cr.Tensor:
            y = cr.linalg.solve(self.inner.weight, x)
            return y + cr.linalg.inv(x)

    refused(
        lambda: cr.export_onnx(Solver(), path, floats(2, 2)),
        "The model has operations that cannot be written for opset 23.",
        "2 × solve (float32)",
        "ONNX has no operator of linear algebra but Det",
    )
    assert not path.exists()


def test_random_numbers_are_refused_with_the_module(path: Path) -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            self.noise = Noise()

        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return self.noise(x)

    class Noise(nn.Module):
        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return x + cr.randn(3)

    refused(
        lambda: cr.export_onnx(Noisy(), path, floats(3)),
        "random_bits (uint32) in noise",
        "it draws random numbers",
    )


def test_state_that_changes_is_refused(path: Path) -> None:
    count = cr.zeros(1)

    def f(x: cr.Tensor) -> cr.Tensor:
        count.add_(1)
        return x + count

    refused(
        lambda: cr.export_onnx(f, path, floats(1)),
        "The model changes tensors when it is called",
    )
    assert count.item() == 0


def test_arguments_that_do_not_fit(path: Path, tmp_path: Path) -> None:
    model, x = nn.Linear(2, 1), floats(3, 2)
    for opset in (12, 99, "23"):
        refused(lambda o=opset: cr.export_onnx(model, path, x, opset=o), "13 to 25")
    refused(
        lambda: cr.export_onnx(model, path, x, dynamic={"y": ("N", 2)}),
        "There is no input 'y'",
        "expected: x",
    )
    refused(
        lambda: cr.export_onnx(cr.add, path, (x, floats(2, 2)), dynamic="N"),
        "The inputs disagree about the size N",
    )
    for sizes in (("N",), ("N", 3), "NN", ("N", "not a name")):
        refused(
            lambda s=sizes: cr.export_onnx(model, path, x, dynamic={"x": s}),
            "dynamic names sizes of the input 'x'",
        )
    refused(lambda: cr.export_onnx(model, path, x, dynamic="a b"), "dynamic names")
    refused(lambda: cr.export_onnx(model, path, x, dynamic=3), "gives sizes names")
    for names in (["x"], ["a", "b"], [""], [3], "y"):
        refused(
            lambda n=names: cr.export_onnx(model, path, x, outputs=n),
            "names of their own",
        )
    for metadata in ({"a": object()}, {1: "b"}):
        refused(
            lambda m=metadata: cr.export_onnx(model, path, x, metadata=m),
            "metadata of a file are values",
        )
    refused(
        lambda: cr.export_onnx(model, path, "text"), "example of each input is needed"
    )
    refused(lambda: cr.export_onnx(3, path, x), "a function of tensors")
    with pytest.raises(SaveError):
        cr.export_onnx(model, tmp_path / "none" / "m.onnx", x)
    with pytest.raises(ArgumentError):
        cr.export_onnx(model, path, {"y": x})


def test_a_missing_package_says_which_extra(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    refused(
        lambda: cr.export_onnx(nn.Linear(2, 1), path, floats(1, 2)),
        "which is not installed",
        "pip install 'chainrule[onnx]'",
    )


def test_indices_outside_are_refused_in_the_file_too(path: Path) -> None:
    """Chainrule refuses a negative row; ONNX alone would count it from the end."""
    table = nn.Embedding(4, 2)
    cr.export_onnx(table, path, np.array([0, 1]))
    rows = run(path, np.array([3, 0]))[0]
    np.testing.assert_array_equal(rows, table.weight.numpy()[[3, 0]])
    with pytest.raises(Exception, match="out of bounds"):
        run(path, np.array([-1, 0]))

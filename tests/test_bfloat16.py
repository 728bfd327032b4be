"""bfloat16 as users meet it: tensors, promotion, files, other libraries, refusals."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError, DTypeError, GraphError
from chainrule.graph.text_reader import parse
from chainrule.graph.verify import verify
from tests.ways import ENGINES

BF16 = ml_dtypes.bfloat16


def test_importing_chainrule_does_not_load_it() -> None:
    code = """
import sys
import chainrule as cr
x = cr.tensor([1.0, 2.0]) * 2
assert "ml_dtypes" not in sys.modules
x.bfloat16()
assert "ml_dtypes" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "dtype", [cr.bfloat16, "bfloat16", "bf16", BF16, np.dtype(BF16)]
)
def test_names_of_the_dtype(dtype: object) -> None:
    x = cr.tensor([1.0, 1.003], dtype=dtype)
    assert x.dtype is cr.bfloat16
    assert x.numpy().dtype == BF16
    assert x.tolist() == [1.0, 1.0]
    assert x.itemsize == 2


def test_ways_to_bfloat16() -> None:
    x = cr.tensor([1.5, 3.1])
    ways = [x.bfloat16(), x.to(cr.bfloat16), x.astype("bfloat16"), x.type("bf16")]
    ways += [cr.BFloat16Tensor([1.5, 3.1]), x.type("torch.BFloat16Tensor")]
    for y in ways:
        assert y.dtype is cr.bfloat16
        assert y.tolist() == [1.5, 3.09375]
    assert isinstance(ways[0], cr.BFloat16Tensor)
    assert ways[0].float().dtype is cr.float32
    assert cr.tensor(np.array([2.5], BF16)).dtype is cr.bfloat16
    assert cr.asarray(ways[0]).dtype is cr.bfloat16


def test_how_it_is_shown() -> None:
    x = cr.tensor([1.0, 0.1, -3.0]).bfloat16()
    assert repr(x) == "tensor([ 1.        ,  0.10009766, -3.        ], dtype=bfloat16)"
    assert f"{x[1]:.3f}" == "0.100"
    assert "0.1" in x._repr_html_()
    assert "bfloat16" in nn.Linear(1, 1).bfloat16()._repr_html_()


OTHERS = [cr.float32, cr.float64, cr.int64, cr.uint8, cr.bool]


@pytest.mark.parametrize("other", OTHERS, ids=lambda d: d.name)
def test_promotion(other: cr.dtype) -> None:
    wanted = other if other.is_float else cr.bfloat16
    x, y = cr.ones(2, dtype=cr.bfloat16), cr.ones(2, dtype=other)
    assert cr.result_type(cr.bfloat16, other) is wanted
    for z in (x + y, y + x, x * y, y / x, cr.maximum(x, y), cr.where(x > 0, x, y)):
        assert z.dtype is wanted
    assert (x + np.ones(2, other.numpy)).dtype is wanted
    assert cr.can_cast(cr.bfloat16, other) is other.is_float


@pytest.mark.parametrize("number", [2, 0.1, True, np.float32(0.1), BF16(0.5)])
def test_numbers_follow(number: float) -> None:
    x = cr.ones(2, dtype=cr.bfloat16)
    for y in (x + number, number + x, x - number, number - x, x / number, x**number):
        assert y.dtype is cr.bfloat16
    x += number
    assert x.dtype is cr.bfloat16
    assert x.tolist() == [float(BF16(1 + float(number)))] * 2


def test_a_number_is_not_rounded_before_it_is_added() -> None:
    x = cr.ones(1, dtype=cr.bfloat16)
    assert (x - 0.999).tolist() == [float(BF16(np.float32(1) - np.float32(0.999)))]
    assert (x == 0.999).tolist() == [True]  # a comparison is one of bfloat16


def test_a_dtype_that_is_asked_for_is_given() -> None:
    x = cr.full((1000,), 1.0, dtype=cr.bfloat16)
    assert x.sum(dtype=cr.float32).item() == 1000.0
    assert x.sum().dtype is cr.bfloat16
    assert x.mean().item() == 1.0
    assert x.cumsum(0)[-1].item() == 1000.0
    assert x.softmax(0, dtype=cr.float32).dtype is cr.float32


def test_limits() -> None:
    info = cr.finfo(cr.bfloat16)
    assert (info.bits, info.eps, info.dtype) == (16, 2.0**-7, cr.bfloat16)
    assert info.max == (2 - 2.0**-7) * 2.0**127 == -info.min
    assert info.tiny == 2.0**-126
    x = cr.tensor([np.inf, -np.inf, np.nan], dtype=cr.bfloat16).nan_to_num()
    assert x.tolist() == [info.max, info.min, 0.0]
    assert cr.isdtype(cr.bfloat16, "real floating")


def test_random_numbers() -> None:
    cr.manual_seed(0)
    x = cr.rand(10000, dtype=cr.bfloat16)
    assert 0 <= x.min().item() < 0.01
    assert x.max().item() < 1
    assert abs(x.float().mean().item() - 0.498) < 0.01
    assert abs(cr.randn(10000, dtype=cr.bfloat16).float().std().item() - 1) < 0.03


def test_dlpack_both_ways() -> None:
    torch = pytest.importorskip("torch")
    x = cr.tensor([[1.5, -2.25], [0.0, 3.0]], dtype=cr.bfloat16)
    there = torch.from_dlpack(x)
    assert there.dtype is torch.bfloat16
    assert there.tolist() == x.tolist()
    for back in (cr.from_dlpack(there), cr.tensor(there), cr.asarray(there.T).T):
        assert back.dtype is cr.bfloat16
        assert back.tolist() == x.tolist()


def test_files() -> None:
    model = nn.Linear(3, 2).bfloat16()
    file = io.BytesIO()
    cr.save(model.state_dict(), file)
    file.seek(0)
    state = cr.load(file)
    assert {a.dtype for a in state.values()} == {np.dtype(BF16)}
    other = nn.Linear(3, 2, dtype=cr.bfloat16)
    other.load_state_dict(state)
    assert other.weight.tolist() == model.weight.tolist()
    wide = nn.Linear(3, 2)
    wide.load_state_dict(state)
    assert wide.weight.dtype is cr.float32
    assert wide.weight.tolist() == model.weight.tolist()
    for same in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert same.weight.tolist() == model.weight.tolist()
    with pytest.raises(ArgumentError, match="in place"):
        model.state_dict()["weight"][0] = 1


def test_files_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")
    weights = {"weight": torch.randn(2, 3).bfloat16(), "bias": torch.ones(2)}
    wanted = weights["weight"].tolist()
    saved = io.BytesIO()
    torch.save(weights, saved)
    saved.seek(0)
    packed = io.BytesIO(safetensors.save(weights))
    for source in (saved, packed, weights):
        read = cr.load_torch(source)
        assert read["weight"].dtype == BF16
        assert read["weight"].tolist() == wanted
        assert "as float32" not in repr(read)
    packed.seek(0)
    assert cr.load(packed)["weight"].tolist() == wanted
    model = nn.Linear(3, 2)
    model.load_state_dict(weights)
    assert model.weight.tolist() == wanted


@pytest.mark.parametrize("engine", ENGINES)
def test_a_compiled_function_of_it(engine: str) -> None:
    def function(x: cr.Tensor) -> cr.Tensor:
        return (x * 3.1).tanh().softmax(0) - x.mean()

    compiled = cr.compile(function, engine=engine)
    x = cr.linspace(-2, 2, 50, dtype=cr.bfloat16)
    assert compiled(x).dtype is cr.bfloat16
    np.testing.assert_array_equal(compiled(x).numpy(), function(x).numpy())
    assert compiled(x.float()).dtype is cr.float32


@pytest.mark.parametrize("engine", ENGINES)
def test_loops_and_branches_carry_it(engine: str) -> None:
    xs = cr.linspace(-1, 1, 12, dtype=cr.bfloat16).reshape(4, 3)

    def function(xs: cr.Tensor) -> tuple[cr.Tensor, ...]:
        last, ys = cr.scan(lambda c, x: (c * 0.9 + x, c.tanh()), xs[0] * 0, xs)
        taken = cr.cond(last[0] > 0, lambda t: t * 2, lambda t: t.exp(), last)
        return last, ys, taken, cr.checkpoint(lambda t: (t * t).sum(), xs)

    for got, wanted in zip(cr.compile(function, engine=engine)(xs), function(xs)):
        assert got.dtype is cr.bfloat16
        np.testing.assert_array_equal(got.numpy(), wanted.numpy())
    slope = cr.grad(lambda t: cr.scan(lambda c, x: (c * x, c), t[0], t)[0].sum())(xs)
    assert slope.dtype is cr.bfloat16


def test_a_program_file(tmp_path) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 2)).bfloat16()
    x = cr.randn(2, 3, dtype=cr.bfloat16)
    compiled = cr.compile(lambda x: model(x))
    compiled.save(tmp_path / "net.program", x)
    loaded = cr.load_program(tmp_path / "net.program")
    np.testing.assert_array_equal(loaded(x).numpy(), model(x).detach().numpy())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_of_it_trains(engine: str, tmp_path) -> None:
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2)).bfloat16()
    x = np.random.default_rng(0).normal(size=(256, 4)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    options = {"loss": nn.CrossEntropyLoss(), "optimizer": optim.Adam(lr=3e-2)}
    trainer = cr.Trainer(model, **options, engine=engine)
    trainer.fit((x, y), epochs=10, batch_size=16, progress=False)
    assert trainer.evaluate((x, y))["accuracy"] > 0.95
    assert {p.dtype for p in model.parameters()} == {cr.bfloat16}
    assert trainer.predict(x[:2]).dtype == BF16
    trainer.save(tmp_path / "run.ckpt")
    again = cr.Trainer.load(tmp_path / "run.ckpt")
    assert again.model[0].weight.tolist() == model[0].weight.tolist()
    trainer.fit((x, y), epochs=1, batch_size=16, progress=False)
    again.fit((x, y), epochs=1, batch_size=16, progress=False)
    assert again.model[0].weight.tolist() == model[0].weight.tolist()


@pytest.mark.parametrize("engine", ["eager", *ENGINES])
def test_an_optimiser_computes_in_float32(engine: str) -> None:
    """0.999 is 1 in bfloat16: a mean of squares that is kept in it never falls."""
    w = cr.tensor([1.0, -2.0], dtype=cr.bfloat16).requires_grad_()
    wide = cr.tensor([1.0, -2.0], requires_grad=True)
    found: list[Any] = []
    for p in (w, wide):
        optimizer = optim.Adam([p], lr=0.02, clip_norm=0.3)

        def step(x: cr.Tensor, p: Any = p, optimizer: Any = optimizer) -> None:
            optimizer.zero_grad()
            (p * x).float().sum().backward()
            optimizer.step()

        run = step if engine == "eager" else cr.compile(step, engine=engine)
        for x in (3.0, *[0.125] * 60):
            run(cr.tensor(x, dtype=p.dtype))
        found.append(optimizer.state["param0"])
    for mine, right in zip(found[0].values(), found[1].values(), strict=True):
        assert mine.dtype is cr.float32
        np.testing.assert_allclose(mine.numpy(), right.numpy(), rtol=1e-5)
    assert w.dtype is cr.bfloat16
    assert w.tolist() != [1.0, -2.0]


def test_averages_and_sums_of_gradients_are_float32() -> None:
    cr.manual_seed(0)
    model = nn.Linear(2, 1).bfloat16()
    options = {"loss": nn.MSELoss(), "optimizer": optim.SGD(lr=0.01)}
    trainer = cr.Trainer(model, **options, ema_decay=0.999, engine="numpy")
    x = np.random.default_rng(0).normal(size=(514, 2)).astype(np.float32)
    data = x, x.sum(1, keepdims=True)
    plan = {"batch_size": 257, "accumulate_grad_batches": 2, "progress": False}
    trainer.fit(data, epochs=20, **plan)
    mean = trainer.average.tensors["weight"]
    assert mean.dtype is cr.float32
    assert mean.tolist() != model.weight.tolist()
    assert np.isfinite(trainer.evaluate(data)["loss"])
    assert trainer.averaged_model.weight.dtype is cr.bfloat16


def test_a_loss_that_is_not_finite_is_found() -> None:
    model = nn.Linear(1, 1).bfloat16()
    data = np.ones((8, 1), np.float32), np.zeros((8, 1), np.float32)
    options = {"loss": nn.MSELoss(), "optimizer": optim.SGD(lr=1e30)}
    trainer = cr.Trainer(model, **options, engine="numpy")
    with pytest.raises(cr.errors.NonFiniteError):
        trainer.fit(data, epochs=5, batch_size=4, progress=False)


def test_metrics_are_those_of_float32() -> None:
    """Of the numbers that the model gives: sums over rows have no 8 digits."""
    cr.manual_seed(0)
    model = nn.Linear(3, 1).bfloat16()
    x = np.random.default_rng(0).normal(size=(1001, 3)).astype(np.float32)
    y = x.sum(1, keepdims=True)
    trainer = cr.Trainer(
        model,
        loss=nn.MSELoss(),
        optimizer=optim.SGD(lr=0.1),
        metrics=["mae", "mse", "r2"],
        engine="numpy",
    )
    gap = trainer.predict(x).astype(np.float64) - y
    found = trainer.evaluate((x, y))
    assert found["mae"] == pytest.approx(np.abs(gap).mean(), rel=1e-5)
    assert found["mse"] == pytest.approx((gap**2).mean(), rel=1e-5)
    assert found["loss"] == pytest.approx((gap**2).mean(), rel=1e-5)
    assert found["r2"] == pytest.approx(1 - (gap**2).mean() / y.var(), rel=1e-4)


def test_the_number_of_rows_is_not_rounded() -> None:
    """257 is no bfloat16: neither means nor losses may divide by 256."""
    x = cr.ones(257, 2, dtype=cr.bfloat16)
    assert x.mean(0).tolist() == [1.0, 1.0]
    total, count = nn.MSELoss().totals(x, x * 0)
    assert (total.item(), count.item()) == (514.0, 514.0)
    assert nn.MSELoss()(x, x * 0).dtype is cr.float32
    positions = nn.SinusoidalPositions()(cr.zeros(300, 8, dtype=cr.bfloat16))
    wanted = nn.SinusoidalPositions()(cr.zeros(300, 8))
    np.testing.assert_array_equal(positions.numpy(), wanted.bfloat16().numpy())


def test_float16_is_refused() -> None:
    for way in (lambda: cr.tensor([1.0], dtype="float16"), lambda: cr.float16):
        with pytest.raises((DTypeError, AttributeError), match="float16") as error:
            way()
        assert "bfloat16" in str(error.value)


def test_what_bfloat16_is_refused_for() -> None:
    with pytest.raises(DTypeError, match="default dtype"):
        cr.set_default_dtype(cr.bfloat16)
    with pytest.raises(DTypeError, match="nextafter"):
        cr.nextafter(cr.ones(1, dtype=cr.bfloat16), 2.0)
    with pytest.raises(ArgumentError, match="does not fit"):
        cr.full((1,), 3.4e38, dtype=cr.bfloat16)
    model = nn.Linear(2, 1).bfloat16()
    with pytest.raises(DTypeError, match="too short"):
        cr.explain(model, [[1.0, 2.0]], [[1.0]], nn.MSELoss())
    wide = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))
    with cr.autocast(), pytest.raises(DTypeError, match="too short"):
        cr.explain(wide, [[1.0, 2.0]], [[1.0]], nn.MSELoss())
    with cr.autocast(), cr.autocast(enabled=False):
        assert "DISAGREE" not in str(
            cr.explain(wide, [[1.0, 2.0]], [[1.0]], nn.MSELoss())
        )
    with pytest.raises(DTypeError, match="different dtypes"):
        model(cr.ones(1, 2))
    table = nn.Embedding(9, 2, sparse=True).bfloat16()
    table(cr.tensor([1, 2])).sum().backward()
    with pytest.raises(DTypeError, match="SparseAdam takes tables of float32"):
        optim.SparseAdam(table.parameters()).step()


def test_a_graph_that_computes_with_it_is_refused() -> None:
    text = """graph "g"(%x: bf16[2]) {
  %1: bf16[2] = exp(%x)
  return %1
}"""
    with pytest.raises(GraphError, match="computes with bfloat16"):
        verify(parse(text))


def test_an_onnx_file(tmp_path) -> None:
    onnx = pytest.importorskip("onnx")
    reference = pytest.importorskip("onnx.reference")
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).bfloat16()
    x = cr.randn(5, 3, dtype=cr.bfloat16)
    path = str(tmp_path / "net.onnx")
    cr.export_onnx(model, path, x)
    onnx.checker.check_model(path)
    session = reference.ReferenceEvaluator(path)
    (got,) = session.run(None, {session.input_names[0]: x.numpy()})
    np.testing.assert_array_equal(
        got.astype(np.float32), model(x).detach().float().numpy()
    )


def test_normal_numbers_have_the_dtype_of_their_parameters() -> None:
    mean = cr.tensor([10.0, 20.0], dtype=cr.bfloat16)
    for given in ((mean, 1.0), (mean, mean), (0.0, mean)):
        cr.manual_seed(0)
        drawn = cr.normal(*given)
        cr.manual_seed(0)
        wide = cr.normal(*(x.float() if isinstance(x, cr.Tensor) else x for x in given))
        assert drawn.dtype is cr.bfloat16
        assert drawn.tolist() == wide.bfloat16().tolist()
    assert cr.normal(mean, 1.0, dtype=cr.float32).dtype is cr.float32
    assert cr.normal(mean.float(), 1.0, dtype=cr.bfloat16).dtype is cr.bfloat16
    assert cr.normal(mean, mean.float()).dtype is cr.float32


MIXED: dict[str, Any] = {
    "addcmul": lambda f, b: cr.addcmul(f, b, b),
    "addcmul by name": lambda f, b: cr.addcmul(f, tensor1=b, tensor2=b),
    "addcmul in place": lambda f, b: f.clone().addcmul_(b, b),
    "addcdiv": lambda f, b: cr.addcdiv(f, b, b),
    "addmm": lambda f, b: cr.addmm(f, b, b),
    "addmm in place": lambda f, b: f.clone().addmm_(b, b),
    "baddbmm": lambda f, b: cr.baddbmm(f[None], b[None], b[None]),
    "addmv": lambda f, b: cr.addmv(f[0], b, b[0]),
    "addr": lambda f, b: cr.addr(f, b[0], b[1]),
    "lerp": lambda f, b: cr.lerp(f, b, 0.3),
    "cosine": lambda f, b: nn.functional.cosine_similarity(f, b),
    "distance": lambda f, b: nn.functional.pairwise_distance(b, f),
}


@pytest.mark.parametrize("name", MIXED)
def test_a_float32_first_keeps_the_others_digits(name: str) -> None:
    """What stands behind it is not rounded on the way either."""
    rng = np.random.default_rng(0)
    f = cr.tensor(rng.normal(size=(4, 4)), dtype=cr.float32)
    b = cr.tensor(rng.uniform(1, 2, size=(4, 4)), dtype=cr.bfloat16)
    got, wanted = MIXED[name](f, b), MIXED[name](f.double(), b.double())
    assert got.dtype is cr.float32
    np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=0, atol=2e-6)

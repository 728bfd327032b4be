"""Devices, dtype names, tensor types, the default dtype and gradient modes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, DTypeError, GraphError, ShapeError


@pytest.fixture
def double_default() -> Iterator[None]:
    cr.set_default_dtype(cr.float64)
    yield
    cr.set_default_dtype(cr.float32)


# -- devices ---------------------------------------------------------------------------


def test_a_program_that_chooses_its_device_is_on_the_cpu() -> None:
    device = cr.device("cuda:0" if cr.cuda.is_available() else "cpu")
    model = nn.Linear(2, 3, device=device).to(device)
    x = cr.ones(4, 2, device=device).to(device, non_blocking=True)
    assert model(x).device == device == "cpu" == cr.device("cpu", 0)
    assert (device.type, device.index, str(device)) == ("cpu", None, "cpu")
    assert next(model.parameters()).device.type == "cpu"
    assert cr.tensor([1], device=device).cpu().pin_memory().is_cuda is False
    assert "device" not in model.settings()


@pytest.mark.parametrize(
    "use",
    [
        lambda: cr.device("cuda"),
        lambda: cr.device("mps", 0),
        lambda: cr.ones(1).to("cuda:1"),
        lambda: cr.ones(1).cuda(),
        lambda: cr.tensor(1, device="xpu"),
        lambda: cr.as_tensor(cr.ones(1), device="cuda"),
        lambda: cr.Tensor(2, device="cuda"),
        lambda: cr.zeros(1, device="gpu"),
        lambda: cr.ones(1).new_zeros(2, device="cuda"),
        lambda: nn.Linear(1, 1, device="cuda"),
        lambda: nn.LSTM(1, 1, device="cuda"),
        lambda: nn.Transformer(4, 1, 1, 1, 4, device="cuda"),
        lambda: nn.Linear(1, 1).to("cuda"),
        lambda: nn.Linear(1, 1).cuda(),
    ],
)
def test_another_device_is_refused_wherever_it_is_named(use: Any) -> None:
    with pytest.raises(ArgumentError, match=r"cr\.cuda\.is_available\(\)"):
        use()


def test_every_layer_with_a_dtype_takes_and_checks_a_device() -> None:
    import inspect

    for name in nn.__all__:
        kind = getattr(nn, name)
        if not (inspect.isclass(kind) and issubclass(kind, nn.Module)):
            continue
        known = inspect.signature(kind.__init__).parameters
        of_data = hasattr(kind, "measure")  # their numbers are measured, not drawn
        assert ("dtype" in known) == ("device" in known) or of_data, name


def test_switches_of_backends_are_known_or_refused() -> None:
    cr.backends.cudnn.deterministic = True
    cr.backends.cudnn.deterministic = False
    assert not cr.backends.mps.is_available()
    with pytest.raises(AttributeError):
        cr.backends.cudnn.determinstic = True  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match=r"is_available\(\) is False"):
        cr.cuda.current_stream()  # type: ignore[attr-defined]


def test_products_have_float32_precision_whatever_is_allowed() -> None:
    x = cr.full((1, 1), 1 + 2.0**-20)  # needs more bits than TF32 or bfloat16 has
    assert cr.get_float32_matmul_precision() == "highest"
    try:
        cr.set_float32_matmul_precision("medium")
        assert cr.get_float32_matmul_precision() == "medium"
        assert (x @ cr.ones(1, 1)).item() == x.item()
    finally:
        cr.set_float32_matmul_precision("highest")
    with pytest.raises(cr.ChainruleError, match="no such precision"):
        cr.set_float32_matmul_precision("low")


# -- types -----------------------------------------------------------------------------


def test_tensor_is_called_as_in_pytorch() -> None:
    assert cr.Tensor([1, 2]).dtype is cr.Tensor(np.arange(2)).dtype is cr.float32
    assert cr.Tensor(2, 3).shape == (2, 3)
    assert cr.Tensor(5).shape == (5,)
    assert cr.Tensor().shape == (0,)
    assert cr.Tensor([[0.5]], requires_grad=True).requires_grad
    assert cr.Tensor(cr.tensor([1.5, 2.5]).numpy()).tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    "data", [(3.5,), (True,), ("ab",), ((1, 2),), (2, [1]), (2, 0.5)]
)
def test_a_tensor_of_neither_sizes_nor_numbers_is_refused(
    data: tuple[Any, ...],
) -> None:
    with pytest.raises(ArgumentError, match=r"cr\.tensor\(numbers\)"):
        cr.Tensor(*data)


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ShapeError, match="integers ≥ 0"):
        cr.Tensor(-1)


def test_tensor_types_make_convert_and_recognise() -> None:
    x = cr.LongTensor([1, 2])
    assert isinstance(x, cr.LongTensor)
    assert not isinstance(x, cr.FloatTensor)
    assert not isinstance(np.zeros(1), cr.FloatTensor)
    assert x.type() == "chainrule.LongTensor"
    for kind in (cr.FloatTensor, "torch.FloatTensor", "float32", cr.float):
        assert x.type(kind).dtype is cr.float32
    assert cr.DoubleTensor(2, 2).dtype is cr.double is cr.float64
    assert (cr.long, cr.int, cr.short) == (cr.int64, cr.int32, cr.int16)
    assert nn.Linear(1, 1).type(cr.DoubleTensor).weight.dtype is cr.float64
    assert x.new(2).dtype is x.new([0.5]).dtype is cr.int64
    assert x.new_zeros((2, 3)).shape == x.new_empty(2, 3).shape == (2, 3)
    assert x.new_ones(size=(1,), dtype=cr.float, requires_grad=True).requires_grad
    with pytest.raises(DTypeError):
        x.type("torch.HalfTensor")
    assert x.type("torch.BFloat16Tensor").type() == "chainrule.BFloat16Tensor"


def test_to_takes_a_device_and_a_dtype_in_any_order() -> None:
    x = cr.ones(2, dtype=cr.int)
    assert x.to("cpu", cr.float).dtype is x.to(cr.float, device="cpu").dtype is cr.float
    assert x.to(cr.ones(1)).dtype is cr.float32
    assert x.to("cpu") is x
    assert x.to("cpu", copy=True) is not x


def test_copies_and_pickles_keep_their_dtype() -> None:
    x = cr.tensor([1, 2], dtype=cr.int)
    for again in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert again.dtype is cr.int32
    p = nn.Parameter(np.zeros(1), requires_grad=False)
    again = pickle.loads(pickle.dumps(p))
    assert (type(again), again.dtype, again.requires_grad) == (
        *(nn.Parameter, cr.float64),
        False,
    )


# -- the default dtype -----------------------------------------------------------------


def test_the_default_dtype_is_that_of_all_that_is_created(double_default: None) -> None:
    assert cr.get_default_dtype() is cr.float64
    created = [
        *(cr.tensor(0.5), cr.tensor([1.0]), cr.as_tensor([0.5]), cr.Tensor([1])),
        *(cr.zeros(1), cr.ones(1), cr.empty(1), cr.full((1,), 0.5), cr.eye(2)),
        *(cr.linspace(0, 1, 3), cr.arange(0.0, 1.0, 0.5), cr.rand(1), cr.randn(1)),
        *(
            cr.arange(3) / 2,
            cr.arange(3).exp(),
            cr.arange(3) * 0.5,
            cr.arange(3).mean(),
        ),
    ]
    assert {x.dtype for x in created} == {cr.float64}
    for layer in (nn.Linear(1, 1), nn.Conv1d(1, 1, 1), nn.LSTM(1, 1), nn.LayerNorm(1)):
        assert {p.dtype for p in layer.parameters()} == {cr.float64}
        assert layer.settings()["dtype"] == "float64"
        assert "dtype" not in repr(layer)
    assert cr.tensor(np.float32(0.5)).dtype is cr.float32
    assert nn.MSELoss()(cr.tensor([1, 2]), cr.tensor([1, 1])).dtype is cr.float64
    assert repr(cr.tensor(0.5)) == "tensor(0.5)"


def test_a_compiled_function_is_traced_anew_for_another_default_dtype() -> None:
    compiled = cr.compile(lambda x: x * cr.ones(2).sum() + cr.rand(1) * 0)
    assert compiled(cr.tensor([1])).dtype is cr.float32
    cr.set_default_dtype(cr.float64)
    try:
        assert compiled(cr.tensor([1])).dtype is cr.float64
    finally:
        cr.set_default_dtype(cr.float32)
    assert compiled(cr.tensor([1])).dtype is cr.float32


def test_a_default_dtype_that_cannot_be_is_refused() -> None:
    with pytest.raises(DTypeError, match=r"cr\.float32, cr\.float64"):
        cr.set_default_dtype(cr.int64)

    def within(x: cr.Tensor) -> cr.Tensor:
        cr.set_default_dtype(cr.float64)
        return x

    with pytest.raises(GraphError, match="outside of the compiled function"):
        cr.compile(within)(cr.ones(1))
    assert cr.get_default_dtype() is cr.float32


# -- gradient modes --------------------------------------------------------------------


def test_gradient_modes_switch_for_a_block_a_function_or_from_here_on() -> None:
    x = cr.tensor(2.0, requires_grad=True)

    def recorded() -> bool:
        return (x * x).requires_grad

    with cr.no_grad():
        assert not recorded()
        with cr.enable_grad():
            assert recorded()
        with cr.set_grad_enabled(True), cr.inference_mode():
            assert not recorded()
        assert not cr.is_grad_enabled()
    for off in (cr.no_grad, cr.no_grad(), cr.inference_mode, cr.inference_mode()):
        assert not off(recorded)()
    assert not cr.set_grad_enabled(False)(recorded)()
    assert cr.enable_grad(recorded)()
    with cr.inference_mode(False):
        assert recorded()
    assert recorded()
    cr.set_grad_enabled(False)
    assert not recorded()
    cr.set_grad_enabled(True)
    assert recorded()


def test_gradient_modes_while_compiled() -> None:
    x = cr.tensor(2.0, requires_grad=True)

    def within(x: cr.Tensor) -> cr.Tensor:
        with cr.set_grad_enabled(False):
            fixed = x * x
        return fixed * x

    compiled = cr.compile(within)
    for f in (within, compiled, compiled):
        x.grad = None
        f(x).backward()
        assert x.grad is not None
        assert x.grad.item() == 4.0

    def forever(x: cr.Tensor) -> cr.Tensor:
        cr.set_grad_enabled(False)
        return x * x

    with pytest.raises(ArgumentError, match=r"with cr\.set_grad_enabled"):
        cr.compile(forever)(x)
    assert cr.is_grad_enabled()

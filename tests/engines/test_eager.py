"""Eager calls that run as machine code give what the references give."""

from __future__ import annotations

import platform
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.backends import native
from chainrule.engines.eager import Later, convolutions, loops, piece, rows, windows
from chainrule.graph.primitive import EAGER, lookup
from chainrule.nn import functional
from chainrule.nn.utils.rnn import pack_padded_sequence

pytestmark = pytest.mark.skipif(not native.is_available(), reason="no llvmlite here")

RNG = np.random.default_rng(0)
D = {"dtype": "float64"}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of any size run as machine code."""
    monkeypatch.setattr(loops, "NUMBERS", 1)
    monkeypatch.setattr(rows, "NUMBERS", 1)
    monkeypatch.setattr(convolutions, "MULTIPLICATIONS", 1)
    monkeypatch.setattr(windows, "NUMBERS", 1)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the pieces that have run."""
    made: list[str] = []
    run = piece.Piece.__call__

    def noted(self: Any, *args: Any) -> Any:
        made.append(self._entry)
        return run(self, *args)

    monkeypatch.setattr(piece.Piece, "__call__", noted)
    return made


def numbers(shape: tuple[int, ...], grad: bool = True) -> cr.Tensor:
    return cr.tensor(RNG.normal(size=shape), requires_grad=grad)


def leaves(made: Any) -> list[cr.Tensor]:
    if isinstance(made, cr.Tensor):
        return [made]
    return [t for part in made if part is not None for t in leaves(part)]


def results(
    function: Any, inputs: list[cr.Tensor], which: slice = slice(None)
) -> list[np.ndarray]:
    """A function's results, and the gradients of its inputs."""
    for t in inputs:
        t.grad = None
    cr.manual_seed(3)
    outputs = [t for t in leaves(function()) if t.dtype.is_float]
    loss = sum((t * t.cos()).sum() for t in outputs[which])
    loss.backward()
    grads = [None if t.grad is None else t.grad.numpy() for t in inputs]
    return [*(t.detach().numpy() for t in outputs), *grads]


def agree(function: Any, inputs: list[cr.Tensor], which: slice = slice(None)) -> None:
    """Both ways have the same results and gradients."""
    mine = results(function, inputs, which)
    with native.flags(enabled=False):
        wanted = results(function, inputs, which)
    for a, b in zip(mine, wanted, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


# -- recurrent layers ------------------------------------------------------------------

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "two ways": {"num_layers": 2, "bidirectional": True, "batch_first": True},
    "no bias": {"bias": False, "num_layers": 2, "dropout": 0.4},
}


def states(kind: Any, *shape: int) -> Any:
    pair = numbers((*shape, 5)), numbers((*shape, 5))
    return pair if kind is nn.LSTM else pair[0]


@pytest.mark.one_in(2)
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_recurrent_layer(kind: Any, options: str, runs: list[str]) -> None:
    cr.manual_seed(0)
    layer = kind(4, 5, **OPTIONS[options], **D)
    x = numbers((3, 3, 4))
    first = states(kind, 4 if options == "two ways" else layer.num_layers, 3)
    inputs = [x, *leaves(first), *layer.parameters()]
    agree(lambda: layer(x, first), inputs)
    agree(lambda: layer(x, first, lengths=[2, 3, 1]), inputs)
    assert set(runs) == {"scan", "scan_vjp"}


def test_a_projected_lstm_and_relu() -> None:
    x = numbers((3, 2, 4))
    for layer in (
        nn.LSTM(4, 5, proj_size=2, **D),
        nn.RNN(4, 5, nonlinearity="relu", **D),
    ):
        agree(lambda layer=layer: layer(x), [x, *layer.parameters()])


def test_packed_sequences_and_a_single_one(runs: list[str]) -> None:
    layer = nn.GRU(4, 5, **D)
    x, alone = numbers((3, 2, 4)), numbers((3, 4))

    def packed() -> Any:
        output, last = layer(pack_padded_sequence(x, [3, 2]))
        return output.data, last

    agree(packed, [x, *layer.parameters()])
    agree(lambda: layer(alone), [alone, *layer.parameters()])
    assert runs.count("scan") == 2


@pytest.mark.parametrize("which", [slice(0, 1), slice(1, 2), slice(2, 3)])
def test_a_loss_of_some_results(which: slice) -> None:
    layer = nn.LSTM(4, 5, **D)
    x = numbers((3, 2, 4))
    agree(lambda: layer(x), [x, *layer.parameters()], which)


def test_some_weights_are_frozen(runs: list[str]) -> None:
    layer = nn.LSTM(4, 5, **D)
    layer.weight_hh_l0.requires_grad_(False)
    x = numbers((3, 2, 4), grad=False)
    agree(lambda: layer(x), [x, *layer.parameters()])
    layer.requires_grad_(False)
    x = numbers((3, 2, 4))
    agree(lambda: layer(x), [x])
    with cr.no_grad():
        layer(x)
    assert runs == ["scan", "scan_vjp"] * 2 + ["scan"]


@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_a_cell_in_a_loop(kind: Any, runs: list[str]) -> None:
    cell = kind(4, 5, **D)
    x = numbers((3, 2, 4))

    def loop() -> Any:
        state, kept = None, []
        for row in x:
            state = cell(row, state)
            kept.append(state)
        return kept

    agree(loop, [x, *cell.parameters()])
    assert len(runs) == 6
    np.testing.assert_allclose(
        leaves(cell(x[0, 0]))[0].numpy(), leaves(loop())[0].numpy()[0], rtol=1e-12
    )


def test_second_derivatives_are_the_references() -> None:
    layer = nn.LSTM(2, 3, **D)
    x = numbers((3, 2, 2))

    def of_the_gradient() -> Any:
        (g,) = cr.autograd.grad(layer(x)[0].square().sum(), x, create_graph=True)
        return g

    agree(of_the_gradient, [x, *layer.parameters()])


def test_one_piece_serves_all_sizes_and_weights() -> None:
    layer, other = nn.GRU(3, 6, **D), nn.GRU(3, 6, **D)
    layer(numbers((4, 3, 3)))[0].sum().backward()
    made: Any = EAGER["scan"]
    before = list(made.by_types)
    for steps, n in ((1, 1), (9, 2), (2, 7), (30, 40)):
        x = numbers((steps, n, 3))
        agree(lambda x=x: other(x)[0], [x, *other.parameters()])
    assert list(made.by_types) == before


def test_no_rows_and_few_numbers_are_the_references(
    runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = nn.LSTM(3, 4)
    assert layer(cr.zeros(2, 0, 3))[0].shape == (2, 0, 4)
    monkeypatch.setattr(loops, "NUMBERS", 33)
    layer(cr.zeros(2, 4, 3))
    assert runs == []
    layer(cr.zeros(3, 4, 3))
    assert runs == ["scan"]


def test_a_function_of_the_users_is_the_reference(runs: list[str]) -> None:
    cr.scan(lambda c, x: (c + x, c), cr.zeros(3), cr.ones(4, 3))
    assert runs == []


def test_the_same_bits_each_time() -> None:
    layer = nn.LSTM(8, 16)
    x = cr.tensor(RNG.normal(size=(9, 8, 8)).astype("f"), requires_grad=True)

    def once() -> list[np.ndarray]:
        return results(lambda: layer(x)[0], [x, *layer.parameters()])

    first = once()
    layer(cr.zeros(20, 30, 8))  # now the code is for more rows
    for a, b in zip(first, once(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_compiled_function_and_vmap_around_it() -> None:
    layer = nn.GRU(3, 4, **D)
    x = numbers((5, 6, 2, 3), grad=False)
    wanted = np.stack([layer(part)[0].detach().numpy() for part in x])
    mapped = cr.vmap(lambda part: layer(part)[0])(x).detach().numpy()
    compiled = cr.compile(lambda part: layer(part)[0])(x[0]).detach().numpy()
    np.testing.assert_allclose(mapped, wanted, rtol=1e-12)
    np.testing.assert_allclose(compiled, wanted[0], rtol=1e-12)


# -- functions of rows -----------------------------------------------------------------

FUNCTIONS: dict[str, Any] = {
    "softmax": lambda x: x.softmax(-1),
    "log_softmax": lambda x: x.log_softmax(x.ndim - 1),
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": functional.silu,
    "layer_norm": lambda x: functional.layer_norm(x, x.shape[-1:]),
}


@pytest.mark.one_in(2)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_rows(name: str, runs: list[str]) -> None:
    for shape in ((7,), (3, 5), (2, 3, 4), (2, 1, 2, 6)):
        x = numbers(shape)
        agree(lambda x=x: FUNCTIONS[name](x), [x])
    assert set(runs) == {name, f"{name}_vjp"}


def test_weights_of_layer_norm_over_two_axes(runs: list[str]) -> None:
    norm = nn.LayerNorm((3, 4), **D)
    for p in norm.parameters():
        p.data.copy_(numbers((3, 4), grad=False))
    x = numbers((5, 3, 4))
    agree(lambda: norm(x), [x, *norm.parameters()])
    norm.weight.requires_grad_(False)
    agree(lambda: norm(x), [x, norm.bias])
    assert set(runs) == {"layer_norm", "layer_norm_vjp"}


def test_another_axis_and_another_order_are_the_references(runs: list[str]) -> None:
    x = numbers((4, 5))
    x.softmax(0), x.T.softmax(-1)
    assert runs == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_numbers_in_rows(name: str) -> None:
    inf, nan = np.inf, np.nan
    special = [[inf, 1, 2], [-inf, 0, 1], [-0.0, 0, 1e300], [nan, 1, 2], [-1e3, 1e3, 5]]
    x = cr.tensor(np.array(special))
    with np.errstate(all="ignore"):
        mine = FUNCTIONS[name](x).numpy()
        with native.flags(enabled=False):
            wanted = FUNCTIONS[name](x).numpy()
    np.testing.assert_allclose(mine, wanted, rtol=1e-12)


def test_second_derivatives_of_rows() -> None:
    x = numbers((3, 4))

    def of_the_gradient() -> Any:
        y = functional.gelu(x.softmax(-1)).square().sum()
        return cr.autograd.grad(y, x, create_graph=True)[0]

    agree(of_the_gradient, [x])


# -- convolutions ----------------------------------------------------------------------

CONVOLUTIONS: dict[str, Any] = {
    "padded": lambda: nn.Conv2d(3, 4, 3, padding=1, **D),
    "strided": lambda: nn.Conv2d(3, 2, (3, 2), stride=(2, 1), padding=(0, 1), **D),
    "dilated": lambda: nn.Conv2d(3, 2, 2, dilation=2, bias=False, **D),
    "turned": lambda: nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1, **D),
}


@pytest.mark.one_in(2)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution(name: str, runs: list[str]) -> None:
    layer = CONVOLUTIONS[name]()
    for images in (8, 11, 9):
        x = numbers((images, 3, 7, 6))
        agree(lambda x=x: layer(x), [x, *layer.parameters()])
    assert runs == ["conv"] * 9


def test_a_convolution_of_volumes(runs: list[str]) -> None:
    layer, x = nn.Conv3d(2, 3, 2, **D), numbers((8, 2, 3, 4, 3))
    agree(lambda: layer(x), [x, *layer.parameters()])
    assert runs == ["conv"] * 3


def test_which_convolutions_are_the_references(
    runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nn.Conv1d(3, 4, 3)(cr.zeros(9, 3, 20))
    nn.Conv2d(4, 4, 3, groups=2)(cr.zeros(9, 4, 5, 5))
    nn.Conv2d(3, 4, 3)(cr.zeros(7, 3, 5, 5))
    nn.Conv2d(3, 4, 3)(cr.zeros(3, 5, 5))
    monkeypatch.setattr(convolutions, "MULTIPLICATIONS", 9 * (3 * 4 * 9 * 9) + 1)
    nn.Conv2d(3, 4, 3)(cr.zeros(9, 3, 5, 5))
    assert runs == []
    nn.Conv2d(3, 4, 3)(cr.zeros(10, 3, 5, 5))
    assert runs == ["conv"]


# -- pooling ---------------------------------------------------------------------------

POOLS: dict[str, Any] = {
    "maxima": (nn.MaxPool2d(2), ["window_max", "window_max_pullback"]),
    "overlapping": (nn.MaxPool2d(3, 2, 1), ["window_max", "window_max_pullback"]),
    "dilated": (
        nn.MaxPool2d(2, 3, 1, dilation=2, ceil_mode=True),
        ["window_max", "window_max_pullback"],
    ),
    "indices": (
        nn.MaxPool2d(2, return_indices=True),
        ["window_max", "window_argmax", "window_max_pullback"],
    ),
    "means": (nn.AvgPool2d(2), ["window_sum"]),
    "overlapping means": (nn.AvgPool2d(3, 1, 1), ["window_sum", "window_sum"]),
}


@pytest.mark.parametrize("name", POOLS)
def test_pooling(name: str, runs: list[str]) -> None:
    layer, pieces = POOLS[name]
    for lead in ((8, 3), (2, 5), (7,)):
        x = numbers((*lead, 7, 9))
        agree(lambda x=x: layer(x), [x])
    assert runs == pieces * 3
    made: Any = EAGER["window_sum" if "mean" in name else "window_max"]
    shapes = {key[2] for key in made.by_call}
    assert (7, 9) in shapes  # one piece for any number of images and channels


def test_pooling_of_volumes_that_lie_otherwise(runs: list[str]) -> None:
    x = numbers((3, 4, 5, 6, 2))
    agree(lambda: nn.functional.max_pool3d(x.permute(3, 4, 0, 1, 2), 2), [x])
    assert runs == ["window_max", "window_max_pullback"]


def test_which_pools_are_the_references(
    runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nn.MaxPool1d(2)(cr.zeros(9, 3, 20))
    monkeypatch.setattr(windows, "NUMBERS", 9 * 3 * 4 * 4 + 1)
    nn.MaxPool2d(2)(cr.zeros(9, 3, 4, 4))
    assert runs == []
    nn.MaxPool2d(2)(cr.zeros(10, 3, 4, 4))
    assert runs == ["window_max"]


# -- when not --------------------------------------------------------------------------


def test_where_numpy_is_told_to_raise_it_does(runs: list[str]) -> None:
    x = cr.tensor([[np.inf, 1.0]])
    x.softmax(-1)
    with np.errstate(invalid="raise"), pytest.raises(FloatingPointError):
        x.softmax(-1)
    assert runs == ["softmax"]


def test_the_switch_and_a_machine_without_llvmlite(
    runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = numbers((3, 4))
    with native.flags(enabled=False):
        assert not native.enabled
        wanted = x.softmax(-1).detach().numpy()
    assert native.enabled
    monkeypatch.setattr(piece, "is_available", lambda: False)
    np.testing.assert_array_equal(x.softmax(-1).detach().numpy(), wanted)
    assert runs == []


@pytest.mark.skipif(not hasattr(signal, "raise_signal"), reason="no signals here")
def test_within_the_handler_of_a_signal_that_stopped_a_piece() -> None:
    x, made = numbers((3, 4)), []
    pieces: Any = EAGER["softmax"]
    pieces.by_call.clear()
    x.softmax(-1)
    (held,) = pieces.by_call.values()
    run = held._executable.run

    def stopped(*args: Any, **options: Any) -> Any:
        if not made:
            made.append(None)
            made[0] = x.softmax(-1)
        return run(*args, **options)

    held._executable.run = stopped
    try:
        outer = x.softmax(-1)
    finally:
        held._executable.run = run
    np.testing.assert_allclose(made[0].detach(), outer.detach(), rtol=1e-14)


FAULTS = """
import resource
import numpy as np
import chainrule as cr

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

cr.zeros(128, 128).softmax(-1)
for _ in range(3):
    before = faults()
    arrays = [np.ones(400_000, np.float32) for _ in range(10)]
    del arrays
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_memory_that_a_step_frees_is_there_for_the_next() -> None:
    made = subprocess.run(
        [sys.executable, "-c", FAULTS], check=True, capture_output=True, text=True
    )
    assert int(made.stdout) < 400  # of 3,900 pages


def test_every_row_of_the_table_is_replaced_by_its_module() -> None:
    assert not [name for name, row in EAGER.items() if isinstance(row, Later)]
    assert [lookup(name).name for name in EAGER] == [*EAGER]

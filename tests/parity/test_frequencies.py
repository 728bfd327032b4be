"""Fourier transforms are PyTorch's with pairs of real numbers for complex ones.

PyTorch's own samples of these functions run in ``test_sample_databases.py``, the
primitives in ``tests/conformance``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule.errors import ChainruleError
from tests.ways import ENGINES

pytestmark = pytest.mark.parity
RNG = np.random.default_rng(0)


def pairs(z: torch.Tensor) -> np.ndarray:
    return torch.view_as_real(z.resolve_conj()).numpy()


@pytest.mark.parametrize("n", range(1, 8))
@pytest.mark.parametrize("name", ["fftfreq", "rfftfreq"])
def test_frequencies(name: str, n: int) -> None:
    mine = getattr(cr.fft, name)(n, 0.5, dtype="float64").numpy()
    np.testing.assert_allclose(
        mine, getattr(torch.fft, name)(n, 0.5, dtype=torch.float64).numpy(), 1e-15
    )
    assert getattr(cr.fft, name)(n).dtype is cr.float32


@pytest.mark.parametrize("n", range(6))
@pytest.mark.parametrize("name", ["fftshift", "ifftshift"])
@pytest.mark.parametrize("dim", [None, 0, -1, (0, 1)])
def test_order(name: str, n: int, dim: int | tuple[int, ...] | None) -> None:
    x = np.arange(n * 3).reshape(n, 3)
    theirs = getattr(torch.fft, name)(torch.tensor(x), dim).numpy()
    for engine in (None, *ENGINES):
        function = getattr(cr.fft, name)
        mine = function if engine is None else cr.compile(function, engine=engine)
        np.testing.assert_array_equal(mine(cr.tensor(x), dim).numpy(), theirs)


@pytest.mark.parametrize("dim", [None, -1, (0, 1)])
def test_order_does_not_exchange_real_and_imaginary_parts(dim: Any) -> None:
    x = cr.tensor(RNG.normal(size=(4, 2)))
    with pytest.raises(ChainruleError, match="change places"):
        cr.fft.fftshift(x, dim)
    np.testing.assert_array_equal(cr.fft.fftshift(x, 0).numpy(), np.roll(x, 2, 0))


@pytest.mark.parametrize("n", [0, -1, 1.5])
def test_a_count_of_samples_is_a_whole_number(n: float) -> None:
    with pytest.raises(ChainruleError):
        cr.fft.fftfreq(n)
    with pytest.raises(ChainruleError):
        cr.fft.rfft(cr.ones(4), n)


#: The largest error relative to the largest number of the result, by dtype.
PRECISION = {"float32": 1e-6, "float64": 1e-13}


@pytest.mark.parametrize("n", [1, 2, 3, 64, 997, 1000, 4096, 10007])
@pytest.mark.parametrize("dtype", PRECISION)
def test_lengths(n: int, dtype: str) -> None:
    """Powers, products and primes, as exact as NumPy's in double precision."""
    z = RNG.normal(size=(2, n, 2)).astype(dtype)
    wide = z[..., 0].astype(np.float64) + 1j * z[..., 1]
    real = z[..., 0].astype(np.float64)
    half = np.fft.rfft(real)
    given = np.stack([half.real, half.imag], -1).astype(dtype)
    for mine, wanted in (
        (cr.fft.fft(z), np.fft.fft(wide)),
        (cr.fft.ifft(z), np.fft.ifft(wide)),
        (cr.fft.rfft(z[..., 0]), half),
    ):
        off = mine.numpy()[..., 0] + 1j * mine.numpy()[..., 1] - wanted
        assert mine.dtype.name == dtype
        assert abs(off).max() <= PRECISION[dtype] * abs(wanted).max()
    back = cr.fft.irfft(given, n).numpy()
    assert abs(back - real).max() <= PRECISION[dtype] * abs(real).max()


def test_a_spectral_filter_as_one_program() -> None:
    """Values, first and second derivative; one program serves all batches."""
    weight = cr.tensor(RNG.normal(size=(6, 1)), dtype="float64")

    def filtered(x: Any) -> Any:
        return (cr.fft.irfft(cr.fft.rfft(x) * weight, 11) ** 3).sum()

    def there(x: Any) -> Any:
        w = torch.tensor(weight.numpy())[:, 0]
        return (torch.fft.irfft(torch.fft.rfft(x) * w, 11) ** 3).sum()

    def curvature(x: Any) -> Any:
        return (cr.grad(filtered)(x) ** 2).sum()

    for engine in ENGINES:
        program = cr.compile(cr.grad(curvature), engine=engine)
        for count in (3, 5, 4):
            x = RNG.normal(size=(count, 11))
            leaf = torch.tensor(x, requires_grad=True)
            (first,) = torch.autograd.grad(there(leaf), leaf, create_graph=True)
            (second,) = torch.autograd.grad((first**2).sum(), leaf)
            np.testing.assert_allclose(program(x).numpy(), second.numpy(), 1e-9, 1e-9)
        assert len(program.programs) <= 2


def test_many_samples_and_forward_mode() -> None:
    x = cr.tensor(RNG.normal(size=(5, 8, 2)))
    many = cr.vmap(lambda s: cr.fft.fft(s, dim=0))(x)
    np.testing.assert_allclose(many.numpy(), cr.fft.fft(x).numpy(), 1e-12)
    y, tangent = cr.func.jvp(cr.fft.ifft, (x,), (x,))
    np.testing.assert_allclose(tangent.numpy(), y.numpy(), 1e-12)


@pytest.mark.parametrize("shape", [(2,), (3, 3), ()])
def test_real_numbers_are_no_pairs(shape: tuple[int, ...]) -> None:
    for name in ("fft", "ifft", "irfft", "fftn", "irfft2"):
        with pytest.raises(ChainruleError, match="pairs, real and imaginary"):
            getattr(cr.fft, name)(cr.ones(shape))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: cr.fft.rfft(x, norm="double"),
        lambda x: cr.fft.rfft(x, dim=2),
        lambda x: cr.fft.rfftn(x, (4, 4, 4)),
        lambda x: cr.fft.rfftn(x, (4, 4), 0),
        lambda x: cr.fft.rfftn(x, dim=(1, -1)),
        lambda x: cr.fft.rfftn(x, dim=()),
        lambda x: cr.fft.irfft(cr.ones(1, 2)),
        lambda x: cr.stft(x, 4, return_complex=True),
        lambda x: cr.stft(x, 4, win_length=5),
        lambda x: cr.stft(x, 4, window=cr.ones(3)),
        lambda x: cr.stft(x, 30, center=False),
        lambda x: cr.istft(cr.stft(x, 4), 9),
        lambda x: cr.istft(cr.stft(x, 4), 4, window=cr.hann_window(4), center=False),
        lambda x: cr.istft(cr.stft(x, 4), 4, return_complex=True),
        lambda x: cr.hann_window(4, dtype="int32"),
        lambda x: cr.hann_window(-1),
        lambda x: cr.fft.rfft(x, norm=""),
    ],
)
def test_what_is_refused(call: Any) -> None:
    with pytest.raises(ChainruleError):
        call(cr.ones(2, 16))


def test_a_gap_between_windows_is_refused_where_it_runs() -> None:
    spectrum = cr.stft(cr.ones(16), 4, hop_length=4, center=False)
    for engine in ENGINES:

        def back(x: Any, window: Any) -> Any:
            return cr.istft(x, 4, 4, window=window, center=False)

        program = cr.compile(back, engine=engine)
        assert (program(spectrum, cr.ones(4)).numpy() == 1).all()
        with pytest.raises(ChainruleError, match="lies in a window"):
            program(spectrum, cr.tensor([1.0, 0.0, 1.0, 1.0]))


@pytest.mark.parametrize("name", ["hann_window", "hamming_window", "blackman_window"])
@pytest.mark.parametrize("n", [0, 1, 2, 5, 400])
@pytest.mark.parametrize("periodic", [True, False])
def test_windows(name: str, n: int, periodic: bool) -> None:
    theirs = getattr(torch, name)(n, periodic, dtype=torch.float64).numpy()
    mine = getattr(cr, name)(n, periodic, dtype="float64").numpy()
    np.testing.assert_allclose(mine, theirs, atol=1e-12)
    assert getattr(cr, name)(n).dtype is cr.float32


STFTS: list[dict[str, Any]] = [
    {"n_fft": 8},
    {"n_fft": 7, "hop_length": 3, "win_length": 5},
    {"n_fft": 8, "window": "hann_window", "pad_mode": "circular", "normalized": True},
    {"n_fft": 6, "center": False, "onesided": False},
    {"n_fft": 1, "hop_length": 1},
]


@pytest.mark.parametrize("options", STFTS)
@pytest.mark.parametrize("shape", [(40,), (3, 40)])
def test_short_time_transforms(options: Any, shape: tuple[int, ...]) -> None:
    options = dict(options)
    kind, x = options.pop("window", None), RNG.normal(size=shape)
    length = options.get("win_length", options["n_fft"])
    ours = {"window": kind and getattr(cr, kind)(length, dtype="float64")}
    them = {"window": getattr(torch, kind or "ones")(length, dtype=torch.float64)}
    given = options | them | {"return_complex": True}
    theirs = torch.stft(torch.tensor(x), **given)
    options.pop("pad_mode", None)
    back = torch.istft(theirs, length=36, **options | them).numpy()
    forth = {k: v for k, v in (given | ours).items() if k != "return_complex"}

    def both(x: Any) -> Any:
        y = cr.stft(x, **forth)
        return y, cr.istft(y, length=36, **options | ours)

    for engine in (None, *ENGINES):
        run = both if engine is None else cr.compile(both, engine=engine)
        y, z = run(cr.tensor(x))
        np.testing.assert_allclose(y.numpy(), pairs(theirs), atol=1e-11)
        np.testing.assert_allclose(z.numpy(), back, atol=1e-11)


def test_the_signal_and_the_window_have_one_dtype() -> None:
    x, window = RNG.normal(size=20).astype(np.float32), np.hanning(8)
    options = {"n_fft": 8, "onesided": None}
    theirs = torch.stft(
        torch.tensor(x), window=torch.tensor(window), return_complex=True, **options
    )
    mine = cr.stft(cr.tensor(x), window=cr.tensor(window), **options)
    assert mine.dtype is cr.float64
    np.testing.assert_allclose(mine.numpy(), pairs(theirs), atol=1e-12)


def test_a_number_of_signals_with_a_name() -> None:
    x = cr.tensor(RNG.normal(size=(3, 16)))
    compiled = cr.compile(lambda x: cr.stft(x, 8), shapes={"x": ("N", 16)})
    for n in (1, 3):
        np.testing.assert_allclose(
            compiled(x[:n]).numpy(), cr.stft(x[:n], 8).numpy(), atol=1e-12
        )


def test_derivatives_of_short_time_transforms() -> None:
    """By the signal and by the window, there and back."""
    x, window = RNG.normal(size=40), RNG.uniform(0.5, 1.5, size=8)
    weights = RNG.normal(size=40)
    there = [torch.tensor(a, requires_grad=True) for a in (x, window)]
    spectrum = torch.stft(there[0], 8, window=there[1], return_complex=True)
    back = torch.istft(spectrum**2, 8, window=there[1])
    theirs = torch.autograd.grad((back * torch.tensor(weights)).sum(), there)

    def here(x: Any, window: Any) -> Any:
        y = cr.stft(x, 8, window=window)
        re, im = y[..., 0], y[..., 1]
        squared = cr.stack([re * re - im * im, 2 * re * im], -1)
        return (cr.istft(squared, 8, window=window) * weights).sum()

    for engine in ENGINES:
        ours = cr.compile(cr.grad(here, (0, 1)), engine=engine)(x, window)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-9, 1e-9)

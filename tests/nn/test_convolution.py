"""Convolutions and pooling by their formulas, one element at a time; and mistakes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn, optim
from chainrule.errors import ArgumentError, ShapeError
from chainrule.nn.architecture import build_module, module_spec
from tests.mistakes import explained

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 4, 7, 5))


def padded(x, pads, fill=0.0):
    around = [(0, 0), (0, 0), *[(n, n) for n in pads]]
    return np.pad(x, around, constant_values=fill)


def convolved(x, w, b, stride, pads, dilation, groups):
    """y[n, o, p, q] = bₒ + Σ W[o, c, k, l] x[n, c, p s + k r, q s + l r], in loops."""
    x = padded(x, pads)
    reach = [r * (k - 1) + 1 for r, k in zip(dilation, w.shape[2:])]
    sizes = [(n - m) // s + 1 for n, m, s in zip(x.shape[2:], reach, stride)]
    y = np.zeros((len(x), len(w), *sizes))
    for o, p, q in itertools.product(range(len(w)), *map(range, sizes)):
        first = o // (len(w) // groups) * w.shape[1]
        rows = slice(p * stride[0], p * stride[0] + reach[0], dilation[0])
        columns = slice(q * stride[1], q * stride[1] + reach[1], dilation[1])
        seen = x[:, first : first + w.shape[1], rows, columns]
        y[:, o, p, q] = b[o] + (seen * w[o]).sum((1, 2, 3))
    return y


@pytest.mark.parametrize("stride", [(1, 1), (2, 1)])
@pytest.mark.parametrize("pads", [(0, 0), (2, 1)])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 3)])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_conv2d_is_its_formula(stride, pads, dilation, groups):
    w, b = RNG.normal(size=(8, 4 // groups, 3, 2)), RNG.normal(size=8)
    made = F.conv2d(
        IMAGES, cr.tensor(w), cr.tensor(b), stride, pads, dilation, groups
    ).numpy()
    wanted = convolved(IMAGES, w, b, stride, pads, dilation, groups)
    assert made.shape == wanted.shape
    np.testing.assert_allclose(made, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
@pytest.mark.parametrize("pads", [(0, 0), (2, 1)])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 1)])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_conv_transpose2d_is_its_formula(stride, pads, dilation, groups):
    """y[n, o, p s + k r, q s + l r] += W[c, o, k, l] x[n, c, p, q], cut by the padding;
    what x ↦ y does to a product is undone by conv2d: ⟨conv(y), x⟩ = ⟨y, transposed(x)⟩.
    """
    w, b = RNG.normal(size=(4, 8 // groups, 3, 2)), RNG.normal(size=8)
    more = (stride[0] - 1, stride[1] - 1)
    sizes = [
        (n - 1) * s + r * (k - 1) + 1 + m
        for n, s, r, k, m in zip(IMAGES.shape[2:], stride, dilation, w.shape[2:], more)
    ]
    y = np.zeros((2, 8, *sizes))
    for c, p, q, k, m in itertools.product(*map(range, (4, 7, 5, 3, 2))):
        first = c // (4 // groups) * w.shape[1]
        at = (p * stride[0] + k * dilation[0], q * stride[1] + m * dilation[1])
        spread = IMAGES[:, c, p, q, None] * w[c, :, k, m]
        y[:, first : first + w.shape[1], *at] += spread
    y = y[:, :, pads[0] : sizes[0] - pads[0], pads[1] : sizes[1] - pads[1]]
    slides = (stride, pads, more, groups, dilation)
    made = F.conv_transpose2d(IMAGES, cr.tensor(w), cr.tensor(b), *slides)
    wanted = y + b[:, None, None]
    np.testing.assert_allclose(made.numpy(), wanted, rtol=0, atol=1e-12)
    other = RNG.normal(size=y.shape)
    back = F.conv2d(other, cr.tensor(w), None, stride, pads, dilation, groups)
    assert abs((back.numpy() * IMAGES).sum() - (other * y).sum()) < 1e-9


def test_a_transposed_convolution_of_a_wanted_size():
    """Each size within a stride, as numbers, as a shape; against output_padding."""
    layer = nn.ConvTranspose2d(4, 2, 3, (3, 2), 1, dtype="float64")
    for more in itertools.product(range(3), range(2)):
        wanted = F.conv_transpose2d(
            IMAGES, layer.weight, layer.bias, (3, 2), 1, output_padding=more
        )
        for size in (wanted.shape, wanted.shape[2:]):
            made = layer(cr.tensor(IMAGES), output_size=size)
            np.testing.assert_array_equal(made.numpy(), wanted.numpy())


def test_conv1d_is_conv2d_of_one_row():
    w = cr.tensor(RNG.normal(size=(6, 2, 3)))
    row = cr.tensor(IMAGES[:, :, 0])
    made = F.conv1d(row, w, None, 2, 1, 1, 2)
    wanted = F.conv2d(row.unsqueeze(2), w.unsqueeze(2), None, (1, 2), (0, 1), 1, 2)
    np.testing.assert_array_equal(made.numpy(), wanted.squeeze(2).numpy())
    w = cr.tensor(RNG.normal(size=(4, 3, 3)))
    made = F.conv_transpose1d(row, w, None, 2, 1, 1, 2)
    slides = ((1, 2), (0, 1), (0, 1), 2)
    wanted = F.conv_transpose2d(row.unsqueeze(2), w.unsqueeze(2), None, *slides)
    np.testing.assert_array_equal(made.numpy(), wanted.squeeze(2).numpy())


def test_padding_that_keeps_the_size():
    for kernel, dilation in itertools.product((1, 2, 3, 4), (1, 2)):
        layer = nn.Conv2d(4, 1, kernel, padding="same", dilation=dilation)
        assert layer(cr.zeros(1, 4, 9, 8)).shape == (1, 1, 9, 8)
    with pytest.raises(ArgumentError, match="stride=1"):
        nn.Conv2d(4, 1, 3, stride=2, padding="same")


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_by_the_input_itself(mode):
    layer = nn.Conv2d(4, 3, 3, padding=(2, 1), padding_mode=mode, dtype="float64")
    names = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    around = [(0, 0), (0, 0), (2, 2), (1, 1)]
    longer = np.pad(IMAGES, around, mode=names[mode])
    wanted = F.conv2d(longer, layer.weight, layer.bias)
    np.testing.assert_allclose(layer(IMAGES).numpy(), wanted.numpy(), atol=1e-12)


def test_one_sample_without_the_axis_of_samples():
    for layer in (
        nn.Conv2d(4, 6, 3, groups=2, dtype="float64"),
        nn.ConvTranspose2d(4, 6, 3, 2, groups=2, dtype="float64"),
        nn.InstanceNorm2d(4, dtype="float64"),
        nn.MaxPool2d(2),
        nn.AvgPool2d(2),
        nn.AdaptiveAvgPool2d(2),
        nn.AdaptiveMaxPool2d(2),
        nn.PixelShuffle(2),
    ):
        alone, among = layer(cr.tensor(IMAGES[0])), layer(cr.tensor(IMAGES))
        np.testing.assert_array_equal(alone.numpy(), among[0].numpy())


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize(
    ("window", "stride", "pads"),
    [((2, 2), None, (0, 0)), ((3, 2), (2, 3), (1, 1)), ((3, 3), (3, 2), (1, 0))],
)
def test_pooling_is_its_formula(window, stride, pads, ceil_mode):
    """Windows that begin within the input or its padding in front; of their elements
    those that there are: the largest, and the mean with and without the padding.
    """
    steps = stride or window
    count = np.ceil if ceil_mode else np.floor
    begins = [
        [
            start * s - p
            for start in range(int(count((n + 2 * p - k) / s)) + 1)
            if start * s < n + p
        ]
        for n, k, s, p in zip(IMAGES.shape[2:], window, steps, pads)
    ]
    made = np.zeros((3, 2, 4, *map(len, begins)))
    for (i, a), (j, b) in itertools.product(*map(enumerate, begins)):
        edges = [(a, 7, 0), (b, 5, 1)]
        inside = [slice(max(at, 0), min(at + window[x], n)) for at, n, x in edges]
        seen = IMAGES[:, :, inside[0], inside[1]]
        area = np.prod([min(at + window[x], n + pads[x]) - at for at, n, x in edges])
        made[0, ..., i, j] = seen.max((2, 3))
        made[1, ..., i, j] = seen.sum((2, 3)) / area
        made[2, ..., i, j] = seen.mean((2, 3))
    x, slides = cr.tensor(IMAGES), (window, stride, pads)
    largest, places = F.max_pool2d(x, *slides, ceil_mode=ceil_mode, return_indices=True)
    np.testing.assert_array_equal(largest.numpy(), made[0])
    flat = IMAGES.reshape(2, 4, -1)
    found = np.take_along_axis(flat, places.numpy().reshape(2, 4, -1), 2)
    np.testing.assert_array_equal(found.reshape(largest.shape), made[0])
    for i, padding in ((1, True), (2, False)):
        mean = F.avg_pool2d(x, *slides, ceil_mode, padding)
        np.testing.assert_allclose(mean.numpy(), made[i], rtol=0, atol=1e-12)


@pytest.mark.parametrize("sizes", [(1, 1), (3, 2), (7, 5), (9, 4)])
def test_adaptive_pooling_is_its_formula(sizes):
    made = F.adaptive_avg_pool2d(IMAGES, sizes).numpy()
    for i, j in itertools.product(*map(range, sizes)):
        rows = slice(i * 7 // sizes[0], -(-(i + 1) * 7 // sizes[0]))
        columns = slice(j * 5 // sizes[1], -(-(j + 1) * 5 // sizes[1]))
        wanted = IMAGES[:, :, rows, columns].mean((2, 3))
        np.testing.assert_allclose(made[:, :, i, j], wanted, rtol=0, atol=1e-12)
    assert F.adaptive_avg_pool2d(IMAGES, (None, 2)).shape == (2, 4, 7, 2)


@pytest.mark.parametrize("sizes", [(1, 1), (3, 2), (7, 5), (9, 4), (None, 2)])
def test_adaptive_pooling_by_the_largest_is_its_formula(sizes):
    made, places = F.adaptive_max_pool2d(IMAGES, sizes, return_indices=True)
    rows, columns = sizes[0] or 7, sizes[1]
    for i, j in itertools.product(range(rows), range(columns)):
        tall = slice(i * 7 // rows, -(-(i + 1) * 7 // rows))
        wide = slice(j * 5 // columns, -(-(j + 1) * 5 // columns))
        wanted = IMAGES[:, :, tall, wide].max((2, 3))
        np.testing.assert_array_equal(made[:, :, i, j].numpy(), wanted)
    flat = IMAGES.reshape(2, 4, -1)
    found = np.take_along_axis(flat, places.numpy().reshape(2, 4, -1), 2)
    np.testing.assert_array_equal(found.reshape(made.shape), made.numpy())


def test_dropout_of_channels_drops_whole_ones():
    """0, or 1/(1 − p): one draw for each channel of each sample."""
    cr.manual_seed(0)
    signals, images = cr.ones(40, 25, 6), cr.ones(40, 25, 2, 3)
    for made in (
        nn.Dropout1d(0.2)(signals).numpy(),
        nn.Dropout1d(0.2)(signals.flatten(0, 1)).numpy(),
        nn.Dropout2d(0.2)(images).numpy(),
    ):
        channels = made.reshape(1000, 6)
        assert (channels == channels[:, :1]).all()
        kept = channels[:, 0] > 0
        np.testing.assert_allclose(channels[kept], 1.25, rtol=1e-6)
        assert abs(kept.mean() - 0.8) < 0.05  # four standard deviations


def test_the_largest_of_equals_and_of_integers():
    """The derivative goes to the first, row by row; NaN is the largest."""
    x = cr.tensor([[[1.0, 5.0], [5.0, 0.0]]], requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    assert x.grad.tolist() == [[[0, 1], [0, 0]]]
    assert np.isnan(F.max_pool2d([[[1.0, np.nan], [2.0, 9.0]]], 2).numpy()).all()
    assert F.max_pool2d(np.arange(4).reshape(1, 2, 2), 2).tolist() == [[[3]]]
    assert F.avg_pool2d(np.arange(4).reshape(1, 2, 2), 2).tolist() == [[[1]]]


@pytest.mark.parametrize(
    ("layer", "sample", "made"),
    [
        (nn.Conv2d(2, 4, 3, groups=2), (2, 5, 5), (4, 3, 3)),
        (nn.Conv1d(2, 4, 3, padding=1, padding_mode="reflect"), (2, 5), (4, 5)),
        (nn.ConvTranspose2d(2, 4, 3, 2, groups=2), (2, 5, 5), (4, 11, 11)),
        (nn.ConvTranspose1d(2, 4, 3), (2, 5), (4, 7)),
        (nn.MaxPool2d(2, ceil_mode=True), (2, 5, 5), (2, 3, 3)),
        (nn.AdaptiveMaxPool2d(3), (2, 5, 5), (2, 3, 3)),
        (nn.InstanceNorm2d(2), (2, 5, 5), (2, 5, 5)),
        (nn.GroupNorm(1, 2), (2, 5), (2, 5)),
        (nn.AvgPool2d(2, 1, 1), (2, 5, 5), (2, 6, 6)),
        (nn.AdaptiveAvgPool2d(2), (2, 5, 5), (2, 2, 2)),
        (nn.BatchNorm2d(2).eval(), (2, 5, 5), (2, 5, 5)),
        (nn.Unflatten(1, (2, -1)), (6,), (2, 3)),
        (nn.GRU(3, 4, batch_first=True), (5, 3), (5, 4)),
        (nn.TransformerEncoderLayer(4, 2, 3, batch_first=True), (5, 4), (5, 4)),
    ],
    ids=lambda given: type(given).__name__,
)
def test_no_samples_are_no_samples(layer, sample, made):
    for run in (layer, cr.compile(layer, engine="numpy")):
        y = run(cr.zeros(0, *sample))
        assert (y[0] if isinstance(y, tuple) else y).shape == (0, *made)


def test_initial_weights_are_pytorchs():
    """U(−1/√n, 1/√n) with n = in/groups · K · L."""
    cr.manual_seed(0)
    layer = nn.Conv2d(8, 64, (3, 5), groups=2)
    assert layer.weight.shape == (64, 4, 3, 5)
    bound = 1 / np.sqrt(4 * 3 * 5)
    for tensor in (layer.weight, layer.bias):
        numbers = tensor.numpy() / bound
        assert 0.9 < abs(numbers).max() <= 1
        assert abs(numbers.std() - 1 / np.sqrt(3)) < 0.1
    turned = nn.ConvTranspose2d(8, 64, (3, 5), groups=2)
    assert turned.weight.shape == (8, 32, 3, 5)
    assert 0.9 < abs(turned.weight.numpy()).max() * np.sqrt(32 * 3 * 5) <= 1


def network(dtype="float32"):
    cr.manual_seed(0)
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        *(nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU()),
        nn.MaxPool2d(2),
        *(nn.Conv2d(6, 8, 3, groups=2, padding_mode="circular", padding=1), nn.ReLU()),
        *(nn.AvgPool2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        nn.Linear(8, 2),
    ).to(dtype)


def pictures(n):
    """Stripes that lie, and stripes that stand, in noise; rows of 64 numbers."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, n)
    x = rng.normal(scale=0.3, size=(n, 8, 8))
    x[:, ::2] += (y == 0)[:, None, None]
    x[:, :, ::2] += (y == 1)[:, None, None]
    return cr.data.Dataset(x.reshape(n, 64).astype(np.float32), y.astype(np.int32))


def test_a_network_learns_is_saved_and_is_the_same(tmp_path):
    model = network()
    trainer = cr.Trainer(
        model, loss=nn.CrossEntropyLoss(), optimizer=optim.Adam(lr=1e-2)
    )
    trainer.fit(pictures(200), epochs=6, batch_size=32)
    assert trainer.evaluate(pictures(200))["accuracy"] > 0.95
    trainer.save(tmp_path / "run.ckpt")
    again = cr.Trainer.load(tmp_path / "run.ckpt").model
    assert repr(again) == repr(model)
    x = pictures(5).x[...]
    made, wanted = again.eval()(x), model.eval()(x)
    np.testing.assert_array_equal(made.numpy(), wanted.numpy())


def test_settings_follow_pairs_that_are_changed():
    layer = nn.Conv2d(1, 2, 3)
    layer.stride, layer.padding = (2, 1), "valid"
    assert layer.settings()["stride"] == [2, 1]
    assert layer.settings()["padding"] == "valid"
    layer.stride = 3
    assert layer.settings()["stride"] == 3
    again = build_module(module_spec(layer))
    assert again(cr.zeros(1, 7, 7)).shape == layer(cr.zeros(1, 7, 7)).shape == (2, 2, 2)


def test_summary_counts_what_is_done():
    rows = cr.summary(network(), 64).layers
    flops = {row.path: row.flops for row in rows}
    assert [row.output for row in rows][1:5] == ["(N, 6, 8, 8)"] * 3 + ["(N, 6, 4, 4)"]
    assert flops["1"] == 2 * 6 * 64 * 9
    assert flops["4"] == 6 * 16 * 4
    grouped = nn.Conv2d(6, 8, 3, groups=2, padding=1)
    assert cr.summary(grouped, (6, 4, 4)).flops == 2 * 8 * 16 * 3 * 9 + 8 * 16
    larger = nn.ConvTranspose2d(6, 8, 4, stride=2, groups=2, bias=False)
    assert cr.summary(larger, (6, 5, 5)).flops == 2 * 8 * 25 * 3 * 16


#: What is written, by its error, and words of the message.
MISTAKES = {
    ArgumentError: {
        "nn.Conv2d(3, 4, 3, groups=2)": r"multiples of groups.*in_channels=3",
        "nn.Conv2d(4, 3, 3, groups=2)": "out_channels=3",
        "nn.Conv2d(0, 4, 3)": "in_channels",
        "nn.Conv2d(1, 4, (3, 3, 3))": r"2 of them.*kernel_size=\(3, 3, 3\)",
        "nn.Conv1d(1, 4, (3, 3))": "one integer.*kernel_size",
        "nn.Conv2d(1, 4, 0)": "kernel_size ≥ 1",
        "nn.Conv2d(1, 4, 3, stride=0)": "stride ≥ 1",
        "nn.Conv2d(1, 4, 3, dilation=0.5)": "dilation",
        "nn.Conv2d(1, 4, 3, padding=-1)": "padding ≥ 0",
        "nn.Conv2d(1, 4, 3, padding='smae')": "did you mean 'same'",
        "nn.Conv2d(1, 4, 3, padding_mode='mirror')": "padding_mode='reflect'",
        "nn.MaxPool2d(2, padding=2)(cr.zeros(1, 4, 4))": r"half a window.*padding=2",
        "nn.AvgPool2d(2, divisor_override=0)": "other than 0",
        "nn.AdaptiveAvgPool2d(None)": "output_size",
        "nn.AdaptiveAvgPool2d((1, 0))": "output_size ≥ 1",
        "nn.ConvTranspose2d(4, 3, 3, groups=2)": "out_channels=3",
        "nn.ConvTranspose2d(1, 4, 3, padding='same')": "padding='same'",
        "nn.ConvTranspose2d(1, 4, 3, padding_mode='reflect')": "padding_mode='zeros'",
        "nn.ConvTranspose2d(1, 4, 3, 2, output_padding=2)": (
            r"smaller than stride or dilation.*output_padding=2, stride=\(2, 2\)"
        ),
        "nn.ConvTranspose1d(1, 4, 3, output_padding=-1)": "output_padding ≥ 0",
        "nn.ConvTranspose1d(1, 4, 3, stride='2')": "stride='2'",
        "nn.ConvTranspose1d(1, 4, 3)(cr.zeros(1, 5), output_size=(1, 2))": (
            r"output_size=\(1, 2\)"
        ),
        "nn.MaxPool2d(3, dilation=2, padding=3)": (
            r"up to \(2, 2\).*padding=3, kernel_size=3, dilation=2"
        ),
        "nn.MaxPool1d(3, dilation=2, padding=3)": r"up to \(2,\).*dilation=2",
        "nn.MaxPool1d((2, 2))": r"one integer.*kernel_size=\(2, 2\)",
        "nn.AvgPool1d(2, padding=2)(cr.zeros(1, 4))": r"up to \(1,\).*padding=2",
        "nn.AdaptiveMaxPool1d(None)": "output_size",
        "nn.AdaptiveMaxPool2d((3, 3, 3))": "2 of them",
        "nn.AdaptiveMaxPool2d(3, return_indices=2)": "return_indices",
        "nn.Dropout2d(1.5)": "Dropout2d needs.*p=1.5",
        "nn.Dropout1d('half')": "p='half'",
        "nn.PixelShuffle(0)": "upscale_factor ≥ 1",
        "nn.Upsample(2, mode='cubic')": "Upsample knows.*mode='linear'.*'cubic'",
        "nn.Upsample(2, align_corners=True)": "mode='linear'",
        "nn.Upsample(2, align_corners='no')": "align_corners='no'",
        "nn.Upsample()": "size=None, scale_factor=None",
        "nn.Upsample(2, 2)": "Upsample takes.*size=2, scale_factor=2",
        "nn.Upsample('2')": "size='2'",
        "nn.Upsample((2, 0))": "size=0",
        "nn.Upsample(())": r"size=\(\)",
        "nn.Upsample((2, 2))(cr.zeros(1, 1, 4))": r"size=\(2, 2\)",
        "nn.Upsample(scale_factor=(2, 2))(cr.zeros(1, 1, 4))": r"=\(2, 2\)",
        "nn.Upsample(scale_factor=-1.0)": "scale_factor=-1.0",
        "nn.Upsample(scale_factor=(2, float('nan')))": "scale_factor=nan",
        "F.interpolate(cr.zeros(1, 1, 4), mode='lanczos')": "Upsample knows.*'lanczos'",
        "nn.Unflatten(1, 28)": r"\(1, 28, 28\).*unflattened_size=28",
        "nn.Unflatten(1, (2, 2.0))": "unflattened_size",
    },
    ShapeError: {
        "nn.Conv2d(1, 4, 3)(cr.zeros(5, 9, 9))": r"\(5, 9, 9\).*x.unsqueeze\(1\)",
        "nn.Conv2d(3, 4, 3)(cr.zeros(5, 9, 9, 3))": r"x.movedim\(-1, 1\)",
        "nn.Conv2d(3, 4, 3)(cr.zeros(5, 2, 9, 9))": r"nn.Conv2d\(2, …\)",
        "nn.Conv2d(3, 4, 3)(cr.zeros(5, 192))": r"\(N, 3, H, W\).*nn.Unflatten",
        "nn.Sequential(nn.Conv2d(1, 4, 5))(cr.zeros(2, 1, 9, 3))": (
            r"Conv2d '0'.*at least 5 along axis 3.*\(2, 1, 9, 3\)"
        ),
        "nn.Conv2d(1, 4, 2, dilation=9, padding=1)(cr.zeros(2, 1, 9, 3))": "least 8",
        "nn.Conv2d(1, 1, 3, padding=3, padding_mode='reflect')(cr.zeros(1, 3, 9))": (
            r"at least 4 along axis 1.*: +\(1, 3, 9\)"
        ),
        "nn.Conv2d(3, 3, 3, 1, 5, padding_mode='circular')(cr.zeros(2, 3, 6, 4))": (
            r"at least 5 along axis 3.*\(2, 3, 6, 4\)"
        ),
        "nn.Conv1d(1, 1, 9, padding=1, padding_mode='replicate')(cr.zeros(2, 1, 4))": (
            r"at least 7 along axis 2.*\(2, 1, 4\)"
        ),
        "F.conv2d(cr.zeros(1, 4, 4), cr.zeros(3, 3))": r"out, in/groups.*\(3, 3\)",
        "F.conv1d(cr.zeros(2, 4), cr.zeros(3, 1, 3), groups=2)": r"multiple.*\(3, 1, 3",
        "nn.ConvTranspose2d(3, 4, 3)(cr.zeros(5, 9, 9, 3))": r"x.movedim\(-1, 1\)",
        "nn.ConvTranspose2d(3, 4, 3)(cr.zeros(5, 2, 9, 9))": r"ConvTranspose2d\(2, …",
        "nn.ConvTranspose2d(3, 4, 3)(cr.zeros(5, 3, 9, 0))": r"at least 1.*9, 0\)",
        "nn.ConvTranspose2d(1, 4, 3, padding=4)(cr.zeros(1, 3, 9))": (
            r"leaves nothing.*: +\(1, 3, 9\), padding=4.*less padding"
        ),
        "nn.ConvTranspose1d(1, 4, 3, 2)(cr.zeros(1, 5), 13)": "11 to 12.*size=13",
        "F.conv_transpose1d(cr.zeros(2, 4), cr.zeros(3, 1, 3), groups=2)": (
            r"in, out/groups.*\(3, 1, 3"
        ),
        "nn.MaxPool1d(3)(cr.zeros(1, 2))": r"at least 3 along axis 1",
        "nn.AvgPool1d(3)(cr.zeros(9))": r"\(N, C, L\).*\(9,\)",
        "nn.AdaptiveMaxPool2d(1)(cr.zeros(1, 0, 9))": "at least 1 along axis 1",
        "nn.AdaptiveAvgPool1d(1)(cr.zeros(1, 0))": r"\(N, C, L\).*\(1, 0\)",
        "nn.Dropout2d()(cr.zeros(2, 4, 9))": r"\(N, C, H, W\).*nn.Dropout1d",
        "nn.Dropout1d()(cr.zeros(9))": r"\(N, C, L\).*\(9",
        "nn.InstanceNorm2d(4)(cr.zeros(2, 4, 9))": r"\(N, 4, H, W\).*\(2, 4, 9\)",
        "nn.PixelShuffle(2)(cr.zeros(6, 3, 3))": r"multiple of 4.*\(6, 3, 3\)",
        "nn.Upsample(2)(cr.zeros(4, 4))": r"\(N, C, L\).*x.unsqueeze\(0\)",
        "nn.MaxPool2d(3)(cr.zeros(1, 2, 9))": r"at least 3 along axis 1",
        "nn.MaxPool2d(3)(cr.zeros(2, 9))": r"\(N, C, H, W\).*\(2, 9\)",
        "nn.AdaptiveAvgPool2d(1)(cr.zeros(1, 0, 9))": r"at least 1.*\(1, 0, 9\)",
        "nn.BatchNorm2d(4)(cr.zeros(2, 4))": r"\(N, 4, H, W\).*Norm1d for inputs of 2",
        "nn.BatchNorm2d(4)(cr.zeros(2, 4, 5))": r"unsqueeze\(0\).*nn.BatchNorm1d for",
        "nn.BatchNorm2d(4)(cr.zeros(2, 3, 5, 5))": r"build nn.BatchNorm2d\(3\)",
        "nn.BatchNorm1d(4)(cr.zeros(2, 4, 1, 1))": (
            r"\(N, 4\) or \(N, 4, L\).*nn.BatchNorm2d for inputs of 4 axes"
        ),
        "nn.InstanceNorm1d(4)(cr.zeros(2, 4, 9, 9))": "InstanceNorm2d for inputs of 4",
        "nn.InstanceNorm2d(4)(cr.zeros(4, 9))": "InstanceNorm1d for inputs of 2 axes",
        "nn.InstanceNorm1d(4)(cr.zeros(3, 9))": r"build nn.InstanceNorm1d\(3\)",
    },
}


test_mistakes_are_explained = explained(MISTAKES, globals())

"""Published ONNX models: what ONNX Runtime computes, eager and compiled.

The files lie in packages, whose code is not run; ``tests/published.txt`` pins them.
PyTorch's own files are written here.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError
from chainrule.recipes.experiment.packages import folder

ort = pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install it")
pytestmark = pytest.mark.slow

Inputs = dict[str, np.ndarray[Any, Any]]
#: Largest difference from ONNX Runtime's outputs, which are probabilities or states.
CLOSE = 1e-4


def path_of(package: str, name: str) -> Path:
    """A model's path in an installed package; without it the test is left out."""
    try:
        root = folder("ONNX", package, "-r tests/published.txt")
    except ArgumentError:
        pytest.skip(f"needs {package}: pip install -r tests/published.txt")
    return next(root.rglob(name))


def normal(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype("f4")


def file_bytes() -> Iterator[Inputs]:
    for n in (1, 3, 7):
        yield {
            "bytes": np.random.default_rng(n).integers(0, 257, (n, 2048)).astype("i4")
        }


def images(*shapes: tuple[int, ...]) -> Callable[[], Iterator[Inputs]]:
    return lambda: ({"x": normal(*shape)} for shape in shapes)


def speech(*rates: int) -> Callable[[], Iterator[Inputs]]:
    """Pieces of sound, a state, and a rate."""

    def inputs() -> Iterator[Inputs]:
        for n, rate in ((1, 16000), (3, 16000), (2, 8000), (1, 8000)):
            if rate in rates:
                sound = 0.1 * normal(n, 576 * rate // 16000)
                found = {"input": sound, "state": 0.1 * normal(2, n, 128)}
                yield found | {"sr": np.array(rate)}

    return inputs


def sequences() -> Iterator[Inputs]:
    for steps in (1, 4, 9):
        state = {"h": normal(1, 1, 128), "c": normal(1, 1, 128)}
        yield {"input": 0.1 * normal(steps, 576), **state}


MODELS: dict[tuple[str, str], Callable[[], Iterator[Inputs]]] = {
    ("magika", "model.onnx"): file_bytes,
    ("silero_vad", "silero_vad_16k_sequence.onnx"): sequences,
    ("silero_vad", "silero_vad_op18_ifless.onnx"): speech(16000, 8000),
    ("silero_vad", "silero_vad.onnx"): speech(16000, 8000),
    ("silero_vad", "silero_vad_16k_op15.onnx"): speech(16000),
    ("rapidocr_onnxruntime", "ch_ppocr_mobile_v2.0_cls_infer.onnx"): images(
        (1, 3, 48, 192), (2, 3, 48, 192), (1, 3, 48, 96)
    ),
    ("rapidocr_onnxruntime", "ch_PP-OCRv4_rec_infer.onnx"): images(
        (1, 3, 48, 320), (2, 3, 48, 160)
    ),
    ("rapidocr_onnxruntime", "ch_PP-OCRv4_det_infer.onnx"): images(
        (1, 3, 160, 160), (2, 3, 96, 224)
    ),
}


def beside_onnx_runtime(path: Path, inputs: Iterator[Inputs]) -> None:
    """Compare eager and compiled outputs with ONNX Runtime's."""
    ort.set_default_logger_severity(3)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    module = cr.load_onnx(path)
    program = cr.compile(module.forward)
    for given in inputs:
        names = [name for name in module.input_names if name in given]
        wanted = session.run(None, {name: given[name] for name in names})
        for way in (module, program):
            with cr.no_grad():
                result = way(*[cr.tensor(given[name]) for name in names])
            results = result if isinstance(result, tuple) else (result,)
            for ours, theirs in zip(results, wanted, strict=True):
                assert ours.shape == theirs.shape
                assert np.abs(ours.detach().numpy() - theirs).max() < CLOSE


@pytest.mark.parametrize(("package", "name"), MODELS)
def test_published_models(package: str, name: str) -> None:
    beside_onnx_runtime(path_of(package, name), MODELS[package, name]())


def test_a_published_model_trains() -> None:
    """The direction classifier of text, on a batch that it shall learn by heart."""
    path = path_of("rapidocr_onnxruntime", "ch_ppocr_mobile_v2.0_cls_infer.onnx")
    module = cr.load_onnx(path)
    assert len([*module.parameters()]) == 143
    assert len([*module.buffers()]) == 70  # statistics of batch normalisations
    optimizer = optim.Adam(module.parameters(), lr=1e-3)

    @cr.compile
    def step(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        loss = nn.functional.mse_loss(module(x), y)
        module.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    x, turned = normal(8, 3, 48, 96), np.arange(8) % 2
    x[turned == 1, :, :24] += 1
    y = np.eye(2, dtype="f4")[turned]
    losses = [step(cr.tensor(x), cr.tensor(y)).item() for __ in range(25)]
    assert losses[-1] < 0.05 < losses[0]


# -- what PyTorch writes ---------------------------------------------------------------


def residual(torch: Any) -> tuple[Any, Any, list[Any]]:
    layers = torch.nn

    class Block(layers.Module):
        def __init__(self, i: int, o: int, stride: int) -> None:
            super().__init__()
            self.a = layers.Conv2d(i, o, 3, stride, 1, bias=False)
            self.n = layers.BatchNorm2d(o)
            self.b = layers.Conv2d(o, o, 3, 1, 1)
            self.d = layers.Conv2d(i, o, 1, stride)

        def forward(self, x: Any) -> Any:
            return torch.relu(self.b(torch.relu(self.n(self.a(x)))) + self.d(x))

    net = layers.Sequential(
        layers.Conv2d(3, 8, 7, 2, 3),
        layers.MaxPool2d(3, 2, 1),
        Block(8, 8, 1),
        Block(8, 16, 2),
        layers.AdaptiveAvgPool2d(1),
        layers.Flatten(),
        layers.Linear(16, 5),
    )
    return net, {0: "N", 2: "H", 3: "W"}, [normal(2, 3, 32, 32), normal(4, 3, 48, 40)]


def encoder(torch: Any) -> tuple[Any, Any, list[Any]]:
    layers = torch.nn

    class Encoder(layers.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = layers.Embedding(40, 32)
            self.places = layers.Parameter(torch.randn(64, 32))
            self.qkv, self.norm = layers.Linear(32, 96), layers.LayerNorm(32)
            self.up, self.out = layers.Linear(32, 64), layers.Linear(64, 40)

        def forward(self, x: Any) -> Any:
            b, t = x.shape
            h = self.tokens(x) + self.places[:t]
            q, k, v = (
                self.qkv(self.norm(h)).reshape(b, t, 3, 4, 8).permute(2, 0, 3, 1, 4)
            )
            a = layers.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            h = h + a.transpose(1, 2).reshape(b, t, 32)
            return self.out(layers.functional.gelu(self.up(h)))

    rng = np.random.default_rng(0)
    tokens = [rng.integers(0, 40, shape) for shape in ((2, 6), (3, 9))]
    return Encoder(), {0: "N", 1: "T"}, tokens


def recurrent(kind: str) -> Callable[[Any], tuple[Any, Any, list[Any]]]:
    def build(torch: Any) -> tuple[Any, Any, list[Any]]:
        layer = getattr(torch.nn, kind)(8, 16, 2, bidirectional=True, batch_first=True)

        class Last(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer, self.out = layer, torch.nn.Linear(32, 3)

            def forward(self, x: Any) -> Any:
                return self.out(self.layer(x)[0][:, -1])

        return Last(), {0: "N", 1: "T"}, [normal(2, 6, 8), normal(3, 9, 8)]

    return build


def upwards(torch: Any) -> tuple[Any, Any, list[Any]]:
    layers = torch.nn
    net = layers.Sequential(
        layers.Conv2d(3, 8, 3, 2, 1),
        layers.ConvTranspose2d(8, 8, 4, 2, 1),
        layers.GroupNorm(2, 8),
        layers.SiLU(),
        layers.Upsample(scale_factor=2, mode="bilinear"),
        layers.Conv2d(8, 3, 1),
    )
    return net, {0: "N", 2: "H", 3: "W"}, [normal(2, 3, 16, 16), normal(1, 3, 24, 20)]


NETS = {
    "residual": residual,
    "encoder": encoder,
    "LSTM": recurrent("LSTM"),
    "GRU": recurrent("GRU"),
    "upwards": upwards,
}


@pytest.mark.parametrize("exporter", ["script", "dynamo"])
@pytest.mark.parametrize("name", NETS)
def test_what_pytorch_exports(name: str, exporter: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if exporter == "dynamo":
        pytest.importorskip("onnxscript", reason="needs onnxscript: pip install it")
    torch.manual_seed(0)
    net, axes, inputs = NETS[name](torch)
    net.eval()
    path, first = tmp_path / "net.onnx", torch.tensor(inputs[0])
    options: dict[str, Any] = {"dynamo": False, "opset_version": 17}
    options |= {"input_names": ["x"], "dynamic_axes": {"x": axes}}
    if exporter == "dynamo":
        dynamic = dict.fromkeys(axes, torch.export.Dim.DYNAMIC)
        options = {"dynamo": True, "verbose": False, "dynamic_shapes": [dynamic]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (first,), path, **options)
    name = cr.load_onnx(path).input_names[0]
    beside_onnx_runtime(path, ({name: x} for x in inputs))


# -- what scikit-learn's models become -------------------------------------------------


def test_what_scikit_learn_exports(tmp_path: Path) -> None:
    skl2onnx = pytest.importorskip("skl2onnx", reason="needs skl2onnx: pip install it")
    from sklearn import decomposition, linear_model, neural_network, preprocessing
    from sklearn.pipeline import make_pipeline

    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 4)).astype("f4")
    labels = (x[:, 0] > 0).astype(int) + (x[:, 1] > 1)
    scale = preprocessing.StandardScaler
    models = {
        "regression": (linear_model.Ridge(), x[:, 0] - x[:, 1]),
        "two classes": (linear_model.LogisticRegression(), labels > 0),
        "three classes": (linear_model.LogisticRegression(), labels),
        "components": (make_pipeline(scale(), decomposition.PCA(2)), None),
        "network": (
            make_pipeline(scale(), neural_network.MLPClassifier((8,), max_iter=20)),
            labels,
        ),
    }
    for name, (model, y) in models.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(x, y if y is None or y.dtype.kind == "f" else y.astype(int))
            options = {"zipmap": False} if hasattr(model, "predict_proba") else None
            proto = skl2onnx.to_onnx(model, x[:1], options=options, target_opset=18)
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(proto.SerializeToString())
        beside_onnx_runtime(path, ({"X": rows} for rows in (x, x[:1])))

"""``cr.load_keras``: files of Keras 3 give its outputs; what does not fit is said.

``keras_files`` holds two models saved by Keras 3.15, all variables drawn at random,
each with inputs and the outputs that Keras gave. Damaged files: ``tests/fuzz``.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, CheckpointError

h5py = pytest.importorskip("h5py", reason="needs h5py: pip install 'chainrule[keras]'")

FILES = Path(__file__).parent / "keras_files"


class Images(nn.Module):
    def __init__(self, eps: float = 1e-3) -> None:
        self.conv = nn.Conv2d(2, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3, eps=eps)
        self.alone = nn.Conv2d(3, 6, 3, groups=3)
        self.up = nn.ConvTranspose2d(6, 2, 2, stride=2)
        self.hidden, self.head = nn.Linear(128, 4), nn.Linear(4, 3)

    def forward(self, x: Any) -> Any:
        y = self.norm(self.conv(x.permute(0, 3, 1, 2))).relu()
        y = self.up(self.alone(y)).permute(0, 2, 3, 1).flatten(1)
        return self.head(self.hidden(y).tanh())


class Sequences(nn.Module):
    def __init__(self) -> None:
        self.embedding = nn.Embedding(10, 4)
        self.lstm = nn.LSTM(4, 2, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(4, 4, batch_first=True)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.norm = nn.LayerNorm(4, eps=1e-3)
        self.conv = nn.Conv1d(4, 3, 2)
        self.rnn = nn.RNN(3, 3, batch_first=True)
        self.head = nn.Linear(3, 2)

    def forward(self, x: Any) -> Any:
        y = self.gru(self.lstm(self.embedding(x))[0])[0]
        y = self.norm(self.attention(y, y, y)[0])
        y = self.conv(y.transpose(1, 2)).transpose(1, 2)
        return self.head(self.rnn(y)[0][:, -1])


def hdf5(content: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as f:
        for path, array in content.items():
            f[path] = array
    return file.getvalue()


def load(content: bytes, **options: Any) -> Any:
    return cr.load_keras(io.BytesIO(content), **options)


def weights_of(name: str) -> bytes:
    with zipfile.ZipFile(FILES / f"{name}.keras") as archive:
        return archive.read("model.weights.h5")


@pytest.mark.parametrize("model", [Images, Sequences])
@pytest.mark.parametrize("alone", [False, True])
def test_outputs_are_those_of_keras(model: Callable[[], Any], alone: bool) -> None:
    name = model.__name__.lower()  # type: ignore[attr-defined]
    made, path = model(), FILES / f"{name}.keras"
    weights = (
        load(weights_of(name), like=made) if alone else cr.load_keras(path, like=made)
    )
    assert made.load_state_dict(weights) == ([], [])
    with np.load(FILES / f"{name}.npz") as sample:
        got = made.eval()(cr.tensor(sample["x"])).numpy()
        np.testing.assert_allclose(got, sample["y"], rtol=1e-5, atol=1e-6)
    said = repr(weights)
    assert "layers/dense" in said
    assert ("flattens" in said) == (name == "images" and not alone)
    assert not next(iter(weights.values())).flags.writeable


def test_without_a_module_names_are_paths() -> None:
    weights = cr.load_keras(FILES / "images.keras")
    assert list(weights)[:2] == [
        f"layers/batch_normalization/vars/{i}" for i in range(2)
    ]
    assert weights["layers/dense_1/vars/0"].shape == (4, 3)


def test_states_that_are_no_weights_are_left_out() -> None:
    places = ("optimizer", "layers/dropout/seed_generator", "layers/dense")
    weights = load(hdf5({f"{place}/vars/0": [[1.0]] for place in places}))
    assert list(weights) == ["layers/dense/vars/0"]
    assert "left out: layers/dropout/seed_generator, optimizer" in repr(weights)


def test_settings_that_differ_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"norm: epsilon=0.001, 1e-05"):
        cr.load_keras(FILES / "images.keras", like=Images(eps=1e-5))
    weights = load(weights_of("images"), like=Images(eps=1e-5))
    assert "no epsilon" in repr(weights)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"merge_mode": "concat"', '"merge_mode": "sum"'),
        ('"go_backwards": false', '"go_backwards": true'),
    ],
)
def test_directions_that_differ_are_refused(before: str, after: str) -> None:
    changed = io.BytesIO()
    with (
        zipfile.ZipFile(FILES / "sequences.keras") as archive,
        zipfile.ZipFile(changed, "w") as copy,
    ):
        for name in archive.namelist():
            content = archive.read(name)
            if name == "config.json":
                content = content.replace(before.encode(), after.encode())
            copy.writestr(name, content)
    with pytest.raises(ArgumentError, match="computes something else") as raised:
        load(changed.getvalue(), like=Sequences())
    assert before.split('"')[1] in str(raised.value.got)


def test_another_number_of_heads_is_another_layer() -> None:
    model = Sequences()
    model.attention = nn.MultiheadAttention(4, 4, batch_first=True)
    weights = cr.load_keras(FILES / "sequences.keras", like=model)
    assert "attention.in_proj_weight" not in weights
    assert "layers/multi_head_attention/query_dense/vars/0" in weights


def test_all_that_does_not_fit_is_said() -> None:
    model = nn.Sequential(nn.Linear(128, 5), nn.Linear(5, 3), nn.Linear(3, 1))
    weights = cr.load_keras(FILES / "images.keras", like=model)
    with pytest.raises(ArgumentError) as caught:
        model.load_state_dict(weights)
    got = caught.value.got
    assert "missing_keys: 2.weight, 2.bias" in got
    assert "layers/conv2d/vars/0" in got
    assert "0.weight (4, 128), not (5, 128)" in got


def test_layers_are_counted_as_people_do() -> None:
    names = ["dense", *(f"dense_{i}" for i in range(1, 12))]
    content = {f"layers/{n}/vars/0": [[float(i)]] for i, n in enumerate(names)}
    model = nn.Sequential(*[nn.Linear(1, 1, bias=False) for __ in names])
    model.load_state_dict(load(hdf5(content), like=model))
    assert [p.item() for p in model.parameters()] == list(range(12))


def test_models_within_models_go_by_the_description() -> None:
    """Without one, nothing says whether the inner layers come first."""
    places = ("dense", "sequential/layers/dense", "dense_1")
    content = {f"layers/{p}/vars/0": [[float(i)]] for i, p in enumerate(places)}
    dense: dict[str, Any] = {"class_name": "Dense", "config": {}}
    inner = {"class_name": "Sequential", "config": {"layers": [dense]}}
    whole = {"class_name": "Sequential", "config": {"layers": [dense, inner, dense]}}
    members = {
        "config.json": json.dumps(whole).encode(),
        "model.weights.h5": hdf5(content),
    }
    model = nn.Sequential(*[nn.Linear(1, 1, bias=False) for __ in places])
    model.load_state_dict(load(zipped(members), like=model))
    assert [p.item() for p in model.parameters()] == [0, 1, 2]
    with pytest.raises(ArgumentError, match="in which order"):
        load(members["model.weights.h5"], like=model)


@pytest.mark.parametrize("bias", [(6,), None])
def test_a_gru_of_another_kind_is_left_over(bias: Any) -> None:
    """``reset_after=False`` is another function, and without bias none can tell."""
    content = {f"layers/gru/cell/vars/{i}": np.ones((2, 6)) for i in range(2)}
    if bias:
        content["layers/gru/cell/vars/2"] = np.ones(bias)
    weights = load(hdf5(content), like=nn.GRU(2, 2, bias=bias is not None))
    assert set(weights) == content.keys()


def test_a_grouped_convolution_and_layers_one_upon_another() -> None:
    kernel = np.arange(2 * 2 * 8.0).reshape(2, 2, 8)  # (k, in / groups, out)
    parts = [np.ones((3, 12)), np.ones((3, 12)), np.ones(12)]
    content = {"layers/conv1d/vars/0": kernel}
    for place in ("lstm", "lstm_1"):
        content |= {f"layers/{place}/cell/vars/{i}": p for i, p in enumerate(parts)}
    conv, lstm = nn.Conv1d(4, 8, 2, groups=2, bias=False), nn.LSTM(3, 3, num_layers=2)
    model = nn.Sequential(conv, lstm)
    assert model.load_state_dict(load(hdf5(content), like=model)) == ([], [])
    np.testing.assert_array_equal(conv.weight.numpy(), kernel.transpose(2, 1, 0))
    assert (lstm.bias_ih_l1 == 1).all()
    assert (lstm.bias_hh_l1 == 0).all()


@pytest.mark.parametrize(
    ("array", "wanted"),
    [
        (np.array([1.5, -2], np.float16), np.array([1.5, -2], np.float32)),
        (np.array([1.5, -2], ">f8"), np.array([1.5, -2])),
        (np.array([True, False]), np.array([True, False])),
        (np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)),
    ],
)
def test_dtypes(array: Any, wanted: Any) -> None:
    (got,) = load(hdf5({"layers/x/vars/0": array})).values()
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got, wanted)


def test_bfloat16() -> None:
    file = io.BytesIO()
    with h5py.File(file, "w") as f:
        bits = np.array([0x3F80, 0xC020], np.uint16).view("V2")
        f.create_dataset("layers/x/vars/0", data=bits).attrs["dtype"] = "bfloat16"
    (got,) = load(file.getvalue()).values()
    assert got.tolist() == [1.0, -2.5]
    assert got.dtype == np.float32


def external(f: Any) -> None:
    f["layers"] = h5py.ExternalLink("/etc/passwd", "/")


def soft(f: Any) -> None:
    f["layers/dense"] = h5py.SoftLink("/layers")


def cyclic(f: Any) -> None:
    f.create_group("layers")["again"] = f["/"]


def elsewhere(f: Any) -> None:
    name = "layers/x/vars/0"
    f.create_dataset(name, (4,), "f4", external=[("/etc/passwd", 0, 16)])


def virtual(f: Any) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (4,))
    f.create_virtual_dataset("layers/x/vars/0", layout)


def bomb(f: Any) -> None:
    f.create_dataset("layers/x/vars/0", data=np.zeros(10**6), compression="gzip")


def huge(f: Any) -> None:
    f.create_dataset("layers/x/vars/0", (1 << 40,), "f4")


def texts(f: Any) -> None:
    f["layers/x/vars/0"] = "os.system"


def nothing(f: Any) -> None:
    f["layers/x/vars/0"] = h5py.Empty("f4")


def compound(f: Any) -> None:
    f["layers/x/vars/0"] = np.zeros(2, [("a", "f4"), ("b", "f4")])


EVIL = [external, soft, cyclic, elsewhere, virtual, bomb, huge, texts, nothing]


@pytest.mark.parametrize("write", [*EVIL, compound])
def test_what_a_file_may_not_do(write: Callable[[Any], None], tmp_path: Path) -> None:
    path = tmp_path / "evil.weights.h5"
    with h5py.File(path, "w") as f:
        write(f)
    with pytest.raises(CheckpointError, match="no weights that can be read"):
        cr.load_keras(path)


def zipped(members: dict[str, bytes], packed: bool = False) -> bytes:
    file = io.BytesIO()
    how = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def test_zip_files() -> None:
    weights = hdf5({"layers/dense/vars/0": [[2.0]]})
    good = {"config.json": b"{}", "model.weights.h5": weights}
    assert list(load(zipped(good)).values()) == [[[2.0]]]
    deep = json.dumps({"config": {"layers": [{"class_name": "A"}, 3, {}]}}).encode()
    odd = [b"[1]", b"3", deep, b'{"config": {"layers": 5}}']
    for config in odd:
        model = nn.Linear(1, 1, bias=False)
        found = load(zipped(good | {"config.json": config}), like=model)
        assert model.load_state_dict(found) == ([], [])
    for bad, what in (
        (zipped(good, packed=True), "packed"),
        (zipped({"model.weights.h5": weights}), "config.json"),
        (zipped({"config.json": b"{}"}), "model.weights.h5"),
        (zipped(good | {"config.json": b"["}), "config.json"),
        (zipped(good | {"config.json": b"[" * 100_000}), "config.json"),
        (zipped(good)[:-10], "zip"),
        (b"\x80\x02", "begins with"),
        (b"", "begins with"),
    ):
        with pytest.raises(CheckpointError, match=what):
            load(bad)


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="a path, or an open file"):
        cr.load_keras({})  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="cannot be read"):
        cr.load_keras(tmp_path / "missing.keras")

"""``cr.load_torch``: what is read, and what is refused, without PyTorch."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save as safetensors

import chainrule as cr
from chainrule.errors import ArgumentError, ChainruleError, CheckpointError
from tests import torch_files
from tests.torch_files import (
    FORMATS,
    ROW,
    Call,
    Name,
    load,
    refused,
    tensor,
)


@pytest.mark.parametrize("old", [False, True])
def test_a_checkpoint(old: bool, tmp_path: Path) -> None:
    path = tmp_path / "last.pth"
    path.write_bytes(torch_files.right(old=old))
    weights = cr.load_torch(path)
    assert list(weights) == ["weight", "turned"]
    np.testing.assert_array_equal(weights["weight"], ROW.reshape(2, 3))
    np.testing.assert_array_equal(weights["turned"], ROW.reshape(2, 3).T)
    assert not weights["weight"].flags.writeable
    said = repr(weights)
    for word in ("2 arrays, 12 numbers", "'state_dict'", "left out: ema", "'module.'"):
        assert word in said
    ema = cr.load_torch(path, key="ema")
    np.testing.assert_array_equal(ema["counts"], [0, 1])


@pytest.mark.parametrize("format", FORMATS)
def test_views(format: str) -> None:
    old: Any = {"legacy": format == "legacy"}
    nest = {
        "all": tensor("0", 6, (6,), **old),
        "row": tensor("0", 6, (3,), offset=3, **old),
        "number": tensor("0", 6, (), offset=5, **old),
        "repeated": tensor("0", 6, (4, 2), (0, 1), offset=1, **old),
        "none": tensor("0", 6, (0, 3), offset=6, **old),
        "column": tensor("0", 6, (2,), (3,), offset=2, **old),
        "lr": 0.1,
    }
    weights = load(FORMATS[format](nest, {"0": ROW.tobytes()}))
    expected = {
        "all": ROW,
        "row": ROW[3:],
        "number": ROW[5],
        "repeated": np.broadcast_to(ROW[1:3], (4, 2)),
        "none": ROW[:0].reshape(0, 3),
        "column": ROW[[2, 5]],
    }
    assert weights.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(weights[name], array)
    assert "left out: 'lr'" in repr(weights)


@pytest.mark.parametrize("kind", torch_files.KINDS)
def test_dtypes(kind: str) -> None:
    array = np.arange(4).astype(kind)
    nest = {"x": tensor("0", 4, (4,), kind=kind)}
    weights = load(torch_files.zipped(nest, {"0": array.tobytes()}))
    read = np.float32 if kind == "f2" else array.dtype
    assert weights["x"].dtype == read
    np.testing.assert_array_equal(weights["x"], array)
    assert ("float16 as float32" in repr(weights)) == (kind == "f2")


def test_the_order_of_bytes() -> None:
    nest, content = {"x": tensor("0", 6, (6,))}, ROW.astype(">f4").tobytes()
    file = torch_files.zipped(nest, {"0": content}, more={"m/byteorder": b"big"})
    np.testing.assert_array_equal(load(file)["x"], ROW)
    file = torch_files.zipped(nest, {"0": content}, more={"m/byteorder": b"odd"})
    refused(file, "order")


def test_safetensors_and_shards(tmp_path: Path) -> None:
    parts = {"a": {"x": ROW, "y": ROW[:2]}, "b": {"z": ROW.astype(np.float16)}}
    for name, part in parts.items():
        (tmp_path / f"{name}.safetensors").write_bytes(safetensors(part))
    (tmp_path / "c.bin").write_bytes(torch_files.right())
    table = {"x": "a", "y": "a", "z": "b"}
    where = {name: f"{shard}.safetensors" for name, shard in table.items()}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    weights = cr.load_torch(index)
    assert list(weights) == ["x", "y", "z"]
    np.testing.assert_array_equal(weights["z"], ROW)
    assert weights["z"].dtype == np.float32
    assert "float16 as float32" in repr(weights)
    np.testing.assert_array_equal(
        cr.load_torch(tmp_path / "a.safetensors")["y"], [0, 1]
    )


@pytest.mark.parametrize(
    ("shard", "words"),
    [
        ("../outside.safetensors", "leads outside"),
        ("/etc/passwd", "leads outside"),
        ("C:\\x", "leads outside"),
        ("link/x.safetensors", "leads outside"),
        ("missing.safetensors", "cannot be read"),
        ("loop.index.json", "names an index"),
        (".", "cannot be read"),
        ("a.safetensors", "without 'nothing'"),
    ],
)
def test_shards_stay_in_their_folder(shard: str, words: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for place in (tmp_path / "outside.safetensors", folder / "a.safetensors"):
        place.write_bytes(safetensors({"x": ROW}))
    (folder / "link").symlink_to(tmp_path)
    index = folder / "loop.index.json"
    name = "nothing" if shard == "a.safetensors" else "x"
    index.write_text(json.dumps({"weight_map": {name: shard}}))
    with pytest.raises(ChainruleError, match=words):
        cr.load_torch(index)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": []}', "[" * 9999])
def test_an_index_that_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.index.json").write_text(text)
    with pytest.raises(CheckpointError):
        cr.load_torch(tmp_path / "x.index.json")


def test_a_state_dict_in_memory() -> None:
    weights = cr.load_torch({"model": {"module.w": ROW.astype(np.float16)}, "step": 3})
    np.testing.assert_array_equal(weights["w"], ROW)
    assert "float16 as float32" in repr(weights)
    other_order = cr.load_torch({"w": ROW.astype(">f4"), "h": ROW.astype(">f2")})
    assert {array.dtype for array in other_order.values()} == {np.dtype("f4")}
    assert all(array.dtype.isnative for array in other_order.values())
    np.testing.assert_array_equal(other_order["w"], ROW)
    assert "float16 as float32" in repr(other_order)
    with pytest.raises(ArgumentError, match="no tensors by name"):
        cr.load_torch({"a": 1})
    with pytest.raises(ArgumentError, match="reads weights"):
        cr.load_torch(3)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="not open for bytes"):
        cr.load_torch(io.StringIO("x"))  # type: ignore[arg-type]


@pytest.mark.parametrize("format", FORMATS)
def test_a_loss_beside_the_state_dict(format: str) -> None:
    """As the checkpoints of PyTorch's tutorial have it: a tensor, but no weight."""
    old: Any = {"legacy": format == "legacy"}
    nest = {
        "epoch": 3,
        "loss": tensor("0", 6, (), **old),
        "model_state_dict": {"w": tensor("0", 6, (6,), **old)},
        "model_state_dict_ema": {"w": tensor("0", 6, (3,), **old)},
    }
    weights = load(FORMATS[format](nest, {"0": ROW.tobytes()}))
    assert list(weights) == ["w"]
    assert weights["w"].shape == (6,)
    assert "left out: model_state_dict_ema, loss" in repr(weights)


def test_two_names_that_are_one_text() -> None:
    nest: Any = {"x": tensor("0", 6, (6,)), 1: tensor("0", 6, (3,))}
    file = torch_files.zipped(nest, {"0": ROW.tobytes()})
    assert load(file)["1"].shape == (3,)
    nest["1"] = tensor("0", 6, (2,))
    refused(torch_files.zipped(nest, {"0": ROW.tobytes()}), "3 tensors with 2 names")


def test_a_stride_that_is_never_taken() -> None:
    nest = {"x": tensor("0", 6, (1, 6), (2**70, 1))}
    weights = load(torch_files.zipped(nest, {"0": ROW.tobytes()}))
    np.testing.assert_array_equal(weights["x"], [ROW])


@pytest.mark.parametrize("sign", ["neg", "conj"])
def test_a_storage_with_the_other_sign(sign: str) -> None:
    """``z.conj().imag`` of PyTorch is a view whose numbers are −1 times these."""
    right = tensor("0", 6, (6,))
    for version in ("_rebuild_tensor_v2", "_rebuild_tensor_v3"):
        dtype = (Name("torch", "float32"),) * (version == "_rebuild_tensor_v3")
        for value in (False, True):
            args = (*right.args, *dtype, {sign: value})
            item = Call(Name("torch._utils", version), args)
            file = torch_files.zipped({"x": item}, {"0": ROW.tobytes()})
            if value:
                refused(file, "other sign", "resolve_neg")
            else:
                np.testing.assert_array_equal(load(file)["x"], ROW)


def test_several_dictionaries() -> None:
    parts = {name: {"w": tensor("0", 6, (6,))} for name in ("encoder", "decoder")}
    file = torch_files.zipped(parts, {"0": ROW.tobytes()})
    refused(file, "several", "'encoder', 'decoder'", "key=")
    np.testing.assert_array_equal(load(file, key="decoder")["w"], ROW)
    refused(file, "'encoder', 'decoder'", key="head")

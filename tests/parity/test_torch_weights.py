"""Files of PyTorch: what it writes is read here, and what is written here it reads."""

from __future__ import annotations

import io
import os
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, CheckpointError

pytestmark = pytest.mark.parity

#: Ways in which PyTorch writes: since 1.6, before, by other protocols of pickles.
WAYS: dict[str, dict[str, Any]] = {
    "zip": {},
    "legacy": {"_use_new_zipfile_serialization": False},
    **{f"protocol {n}": {"pickle_protocol": n} for n in (3, 4, 5)},
    "legacy, protocol 4": {
        "_use_new_zipfile_serialization": False,
        "pickle_protocol": 4,
    },
}
DTYPES = (
    *("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8"),
    *("uint8", "bool"),
)
#: Those for which PyTorch has no storages of old; the legacy format lacks them.
UNSIGNED = ("uint64", "uint32", "uint16")


def saved(what: Any, way: str) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(what, file, **WAYS[way])
    file.seek(0)
    return file


def same(found: np.ndarray, tensor: torch.Tensor) -> None:
    narrow = tensor.dtype is torch.bfloat16  # which PyTorch gives NumPy no array of
    wide = tensor.float() if narrow or tensor.dtype is torch.float16 else tensor
    np.testing.assert_array_equal(found, wide.detach().numpy())
    assert found.dtype == ("bfloat16" if narrow else wide.detach().numpy().dtype)


@pytest.mark.parametrize("way", WAYS)
def test_dtypes_and_views(way: str) -> None:
    base = torch.arange(24.0).reshape(4, 6)
    state = {name: base.to(getattr(torch, name)) for name in DTYPES}
    if not way.startswith("legacy"):
        state |= {name: base.to(getattr(torch, name)) for name in UNSIGNED}
    state |= {
        "turned": base.T,
        "part": base[1:3, ::2],
        "repeated": base[2, 1:3].expand(5, 2),
        "number": base[3, 3],
        "empty": base[:0],
        "parameter": torch.nn.Parameter(base + 1),
        "channels last": torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
    }
    weights = cr.load_torch(saved(state, way))
    assert list(weights) == list(state)
    for name, tensor in state.items():
        same(weights[name], tensor)


@pytest.mark.parametrize("way", WAYS)
def test_a_checkpoint_of_a_run(way: str) -> None:
    model = torch.nn.DataParallel(torch.nn.Sequential(torch.nn.Linear(3, 2)))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 3,
        "best": np.float64(0.5),
        "args": Namespace(lr=0.1, tags={"a"}),
        "state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "rng": torch.get_rng_state(),
        "size": torch.Size([3]),
    }
    if "protocol" in way and way != "protocol 3":
        checkpoint.pop("best")
    weights = cr.load_torch(saved({"run": checkpoint}, way), key="run.state_dict")
    assert list(weights) == ["0.weight", "0.bias"]
    same(weights["0.weight"], model.state_dict()["module.0.weight"])
    mine = nn.Sequential(nn.Linear(3, 2))
    assert mine.load_state_dict(weights) == ([], [])


def test_a_state_dict_of_pytorch_itself() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    mine = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    weights = cr.load_torch(model.bfloat16().state_dict())
    assert mine.load_state_dict(weights) == ([], [])
    same(weights["0.weight"], model.state_dict()["0.weight"])
    same(mine[0].weight.numpy(), model.float().state_dict()["0.weight"])


def test_tensors_in_memory_that_are_refused() -> None:
    for make in (REFUSED["complex"], REFUSED["sparse"]):
        with pytest.raises(ArgumentError, match="'x' has no numbers"):
            cr.load_torch({"x": make()})


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("false",)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_runs(way: str) -> None:
    with pytest.raises(CheckpointError, match="system"):
        cr.load_torch(saved({"x": torch.ones(2), "evil": Evil()}, way))
    with pytest.raises(CheckpointError, match="a whole model, which is code") as caught:
        cr.load_torch(saved(torch.nn.Linear(2, 2), way))
    assert "state_dict()" in str(caught.value.fix)


REFUSED: dict[str, Callable[[], torch.Tensor]] = {
    "complex": lambda: torch.ones(2, dtype=torch.complex64),
    "float8": lambda: torch.ones(2).to(torch.float8_e5m2),
    "sparse": lambda: torch.eye(2).to_sparse(),
    "quantised": lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.quint8),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_tensors_that_are_refused(kind: str) -> None:
    word = "sparse" if kind == "sparse" else "dtype|rebuild_qtensor"
    with pytest.raises(CheckpointError, match=word):
        cr.load_torch(saved({"x": REFUSED[kind]()}, "zip"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_model(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
    with pytest.raises(CheckpointError, match="TorchScript"):
        cr.load_torch(path)


def test_out_again(tmp_path: Path) -> None:
    mine = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    path = tmp_path / "model.safetensors"
    cr.save(mine.state_dict(), path)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    model.load_state_dict(load_file(path))
    for name, tensor in model.state_dict().items():
        same(mine.state_dict()[name], tensor)

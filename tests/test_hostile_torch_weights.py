"""``cr.load_torch`` with evil and damaged files, and with files changed by chance."""

from __future__ import annotations

import codecs
import io
import os
import random
import sys
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save as safetensors

import chainrule as cr
from chainrule.errors import ChainruleError, CheckpointError
from chainrule.interop.torch_weights import pickles
from tests import torch_files
from tests.torch_files import (
    FORMATS,
    ROW,
    Call,
    Code,
    Name,
    Reference,
    load,
    refused,
    tensor,
)

SYSTEM = Name("posix", "system")


# -- evil files ------------------------------------------------------------------------


#: Nests within each other; Python's own recursion ends at 1000.
DEEP = 3_000


def evil_pickles(deep: int = DEEP) -> dict[str, tuple[bytes, str]]:
    """Instructions of pickles, and a word of the refusal of each."""
    call = b"cposix\nsystem\n(X\x01\x00\x00\x00xtR"
    return {
        "os.system": (call, "calls posix.system"),
        "eval": (b"cbuiltins\neval\n(X\x01\x00\x00\x001tR", "calls builtins.eval"),
        "stack global": (b"\x8c\x02os\x8c\x06system\x93", "calls os.system"),
        "dotted": (b"\x8c\x05torch\x8c\x0aos.system\x00\x93", "calls torch"),
        "inst": (b"(X\x01\x00\x00\x00xios\nsystem\n", "INST"),
        "obj": (b"(cos\nsystem\no", "calls os.system"),
        "extension": (b"\x82\x01", "EXT1"),
        "persistent text": (b"Px\n", "PERSID"),
        "new with keywords": (b"cbuiltins\nset\n)}\x92", "NEWOBJ_EX"),
        "call of a text": (b"X\x01\x00\x00\x00x)R", "no function"),
        "call of a storage's class": (b"ctorch\nFloatStorage\n)R", "calls torch.Float"),
        "call of a result": (b"cbuiltins\nlist\n)R)R", "no function"),
        "nested call": (
            b"ctorch._tensor\n_rebuild_from_type_v2\n(cbuiltins\nlist\nNN)tR",
            "made by",
        ),
        "nested call of a pair": (
            b"ctorch._tensor\n_rebuild_from_type_v2\n("
            b"X\x0c\x00\x00\x00torch._utilsX\x12\x00\x00\x00_rebuild_tensor_v2\x86"
            b"N)tR",
            "no function",
        ),
        "deep function": (
            b"ctorch._tensor\n_rebuild_from_type_v2\n()" + b"\x85" * deep + b"N)tR",
            "no function",
        ),
        "deep dtype": (
            b"ctorch._utils\n_rebuild_tensor_v3\n(NNNNNN)" + b"\x85" * deep + b"tR",
            "without a dtype",
        ),
        "memo": (b"Nr\xff\xff\xff\x7f", "no dictionary"),
        "no memo": (b"j\xff\xff\xff\x7f", "damaged"),
        "long text": (b"\x8d" + (2**62).to_bytes(8, "little"), "too early"),
        "long bytes": (b"\x8e" + (2**31).to_bytes(8, "little"), "too early"),
        "long number": (b"\x8b" + (2**31 - 1).to_bytes(4, "little"), "too early"),
        "escape": (b"S'\\q'\n", "damaged"),
        "digits": (b"L" + b"9" * 30_000 + b"L\n", "damaged"),
        "frame": (b"\x95" + (2**63).to_bytes(8, "little"), "damaged"),
        "deep list": (b"]" * deep + b"a" * (deep - 1), "no dictionary"),
        "deep tuple": (b")" + b"\x85" * deep, "no dictionary"),
        "deep key": (b"}" + b")" + b"\x85" * deep + b"Ns", "keys"),
        "deep dictionary": (
            b"}" + b"X\x01\x00\x00\x00a}" * deep + b"s" * deep,
            "no dictionary",
        ),
        "in itself": (b"]q\x00h\x00a", "no dictionary"),
        "dictionary in itself": (b"}q\x00X\x05\x00\x00\x00modelh\x00s", "no diction"),
        "no stack": (b"0", "damaged"),
        "marks": (b"(" * 1000, "damaged"),
        "no mark": (b"Nt", "without a mark"),
        "two results": (b"NN", "damaged"),
        "nothing": (b"", "damaged"),
        "unknown": (b"\xff", "damaged"),
        "a list as a dictionary": (b"]NNs", "fills"),
        "a key alone": (b"}(X\x01\x00\x00\x00au", "without a value"),
        "state of nothing": (b"(Nb", "state of nothing"),
        "quantised": (b"ctorch\nQUInt8Storage\n", "dtype"),
        "complex": (b"ctorch\nComplexFloatStorage\n", "dtype"),
        "a layer": (b"ctorch.nn.modules.linear\nLinear\n)\x81", "whole model"),
        "reference to a module": (b"(X\x06\x00\x00\x00moduleNNNtQ", "whole model"),
        "reference to nothing": (b"NQ", "reference"),
        "surrogates": (b"X\x03\x00\x00\x00\xed\xa0\x80", "no dictionary"),
        "no Unicode": (b"X\x01\x00\x00\x00\xff", "damaged"),
        "sets": (b"\x8f(K\x01\x90", "no dictionary"),
    }


EVIL = evil_pickles()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", EVIL)
def test_evil_pickles(name: str, format: str) -> None:
    code, word = EVIL[name]
    with watched() as seen, bounded():
        refused(FORMATS[format](Code(code), {}), word)
    assert seen == []


@pytest.mark.slow
def test_very_deep_pickles() -> None:
    for name, (code, word) in evil_pickles(200_000).items():
        if name.startswith("deep"):
            refused(torch_files.zipped(Code(code), {}), word)


def evil_tensors() -> dict[str, tuple[Any, str]]:
    args = {"key": "0", "held": 6}
    made = {
        "size": tensor(**args, shape=(7,)),
        "offset": tensor(**args, shape=(3,), offset=4),
        "far offset": tensor(**args, shape=(), offset=2**70),
        "negative offset": tensor(**args, shape=(3,), offset=-1),
        "stride": tensor(**args, shape=(2,), strides=(6,)),
        "large stride": tensor(**args, shape=(2, 2), strides=(2**62, 1)),
    }
    found = {name: (item, "beyond its storage") for name, item in made.items()}
    made = {
        "negative stride": tensor(**args, shape=(3,), strides=(-1,), offset=5),
        "negative size": tensor(**args, shape=(-3,)),
        "truth value": tensor(**args, shape=(True,)),
        "text": tensor(**args, shape=("x",), strides=(1,)),
    }
    found |= {name: (item, "no whole numbers") for name, item in made.items()}
    call = Name("torch._utils", "_rebuild_tensor_v2")
    parameter = Name("torch._utils", "_rebuild_parameter")
    untyped = Name("torch._utils", "_rebuild_tensor_v3")
    kind = Name("torch", "FloatStorage")
    raw = Reference(
        ("storage", Name("torch.storage", "UntypedStorage"), "0", "cpu", 24)
    )
    end = (False, None)
    huge = Reference(("storage", kind, "0", "cpu", 2**62))
    path = Reference(("storage", kind, "../../data", "cpu", 6))
    found |= {
        "strides": (tensor(**args, shape=(2, 3), strides=(1,)), "2 sizes and 1"),
        "axes": (tensor(**args, shape=(1,) * 65), "65 sizes"),
        "repeated": (tensor(**args, shape=(2**41,), strides=(0,)), "numbers"),
        "no storage": (Call(call, (None, 0, (), (), *end)), "without a storage"),
        "few": (Call(call, (None,)), "other arguments"),
        "no tensor": (Call(parameter, (3, *end)), "no dictionary"),
        "huge storage": (Call(call, (huge, 0, (3,), (1,), *end)), "two"),
        "path": (Call(call, (path, 0, (3,), (1,), *end)), "without"),
        "no dtype": (Call(call, (raw, 0, (3,), (1,), *end)), "two"),
        "wrong dtype": (
            Call(untyped, (raw, 0, (3,), (1,), *end, Name("torch", "float8_e5m2"))),
            "dtype",
        ),
    }
    return found


TENSORS = evil_tensors()


@pytest.mark.parametrize("name", TENSORS)
def test_evil_tensors(name: str) -> None:
    item, word = TENSORS[name]
    nest: dict[str, Any] = {"x": item}
    if word == "two":  # of one key, which is there rightly too
        nest = {"right": tensor("0", 6, (6,)), **nest}
    with watched() as seen, bounded():
        refused(torch_files.zipped(nest, {"0": ROW.tobytes()}), word)
    assert seen == []


def test_storages_have_their_sizes() -> None:
    nest = {"x": tensor("0", 6, (6,))}
    for content in (ROW.tobytes()[:-1], ROW.tobytes() + b"0", b""):
        refused(torch_files.zipped(nest, {"0": content}), "24 bytes")
    old = {"x": tensor("0", 6, (6,), legacy=True)}
    for content in (ROW.tobytes()[:-4], ROW.tobytes() + b"0000"):
        refused(torch_files.legacy(old, {"0": content}), "6 numbers")
    refused(torch_files.legacy(old, {"0": ROW.tobytes()})[:-1], "6 numbers")
    refused(torch_files.legacy(old, {"0": ROW.tobytes(), "1": b""}), "not those")
    refused(torch_files.legacy(old, {}), "not those")


def test_zip_files() -> None:
    nest, storages = {"x": tensor("0", 6, (6,))}, {"0": ROW.tobytes()}
    right = torch_files.zipped(nest, storages)
    refused(torch_files.zipped(nest, storages, packed=True), "packed")
    refused(torch_files.zipped(nest, {}), "without 'm/data/0'")
    refused(right[:-30], "zip file")
    for where in (right.index(b"X\x01"), right.index(ROW.tobytes())):
        refused(right[:where] + b"!" + right[where + 1 :], "")
    twice = {"n/data.pkl": torch_files.pickled(nest)}
    refused(torch_files.zipped(nest, storages, more=twice), "2 members")
    program = {"m/constants.pkl": b""}
    refused(torch_files.zipped(nest, storages, more=program), "TorchScript")
    with pytest.warns(UserWarning, match="Duplicate"):
        again = torch_files.zipped(nest, storages, more={"m/data/0": b"x" * 24})
    refused(again, "one name")
    outside = torch_files.zipped(nest, storages, root="../..")
    np.testing.assert_array_equal(load(outside)["x"], ROW)  # names are keys alone


def bomb() -> bytes:
    """A zip file whose many members are the same bytes."""
    count, line = 100, b"\0" * 40_000
    nest = {f"{i}": tensor(f"{i}", 10_000, (10_000,)) for i in range(count)}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("m/data.pkl", torch_files.pickled(nest))
        first = zipfile.ZipInfo("m/data/0")
        archive.writestr(first, line)
        for i in range(1, count):
            info = zipfile.ZipInfo(f"m/data/{i}")
            for name in ("header_offset", "CRC", "compress_size", "file_size"):
                setattr(info, name, getattr(first, name))
            info.orig_filename = first.orig_filename
            archive.filelist.append(info)
            archive.NameToInfo[info.filename] = info
    return file.getvalue()


@pytest.mark.parametrize("place", [2**31, 2**62, 2**63, 2**64 - 1])
def test_members_far_behind_the_end(place: int, tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("m/data.pkl", torch_files.pickled({}))
        archive.filelist[0].header_offset = place
    refused(file.getvalue(), "damaged zip file")
    (tmp_path / "far.pth").write_bytes(file.getvalue())
    with pytest.raises(CheckpointError):
        cr.load_torch(tmp_path / "far.pth")


def test_a_zip_bomb_of_members_upon_each_other() -> None:
    with bounded():
        refused(bomb(), "")


def test_a_zip_file_that_lies_about_sizes() -> None:
    nest, storages = {"x": tensor("0", 6, (6,))}, {"0": ROW.tobytes()}
    content = bytearray(torch_files.zipped(nest, storages))
    for signature, at in ((b"PK\1\2", 20), (b"PK\5\6", 12)):  # a member, the list
        wrong = bytearray(content)
        place = wrong.rindex(signature)
        wrong[place + at : place + at + 4] = b"\xfe\xff\xff\x7f"
        with bounded():
            refused(bytes(wrong), "")


@pytest.mark.parametrize(
    "content",
    [
        (2**31).to_bytes(8, "little") + b"{" + b" " * 100,
        (2**63).to_bytes(8, "little") + b"{}",
        (50).to_bytes(8, "little") + b"{" * 50,
        safetensors({"x": ROW})[:-1],
        safetensors({"x": ROW}) + b"x",
        b"{" * 20,
        b"",
        b"\x80",
        b"PK\3\4",
        b"\x80\x02}.",
        b"\x1f\x8b" + b"0" * 50,
    ],
)
def test_damaged_files(content: bytes) -> None:
    with watched() as seen, bounded():
        refused(content)
    assert seen == []


def test_long_pickles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "INSTRUCTIONS", 10)
    refused(torch_files.right(), "steps")


def test_a_checkpoint_of_a_trainer(tmp_path: Path) -> None:
    optimizer = cr.optim.SGD(lr=0.1)
    trainer = cr.Trainer(cr.nn.Linear(2, 1), loss=cr.nn.MSELoss(), optimizer=optimizer)
    trainer.save(tmp_path / "x.ckpt")
    refused((tmp_path / "x.ckpt").read_bytes(), "Trainer's", "cr.Trainer.load(path)")


@pytest.mark.parametrize("code", [b"}\x94", b"]\x94", b")\x85", b"(", b"N", b"}2"])
def test_the_memory_of_a_step(code: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most 250 bytes, so that two million of them are half a gigabyte."""
    monkeypatch.setattr(pickles, "INSTRUCTIONS", 4_000)
    with bounded(4_000 * 250):
        refused(torch_files.zipped(Code(code * 4_000), {}), "steps")


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    for place in (tmp_path, tmp_path / "pipe.pt", tmp_path / "none.pt", "/dev/zero"):
        with pytest.raises(CheckpointError, match="cannot be read"):
            cr.load_torch(place)


# -- chance ----------------------------------------------------------------------------

#: What no reader of weights does; ``open`` is allowed for the file itself alone.
FORBIDDEN = (
    *("open", "exec", "compile", "import", "marshal.loads", "pickle.find_class"),
    *("os.", "subprocess.", "socket.", "shutil.", "ctypes.", "tempfile.", "code."),
)
#: Texts in pickles, names in zip files, JSON: Python imports their codecs when needed.
CODECS = (
    *("raw-unicode-escape", "unicode-escape", "cp437", "latin-1", "ascii"),
    *("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"),
)
_seen: list[list[str]] = []


def _audit(event: str, args: Any) -> None:
    if _seen and event.startswith(FORBIDDEN):
        _seen[-1].append(event)


_audited: list[bool] = []


@contextmanager
def watched() -> Iterator[list[str]]:
    """What Python is asked for within a block: code, files, programs."""
    if not _audited:
        _audited.append(True)
        sys.addaudithook(_audit)
        load(torch_files.right())  # modules that are loaded when they are needed
        load(safetensors({"x": ROW}))
        for text in CODECS:
            codecs.lookup(text)
    _seen.append([])
    try:
        yield _seen[-1]
    finally:
        _seen.pop()


@contextmanager
def bounded(most: int = 128 << 20) -> Iterator[None]:
    """At most so many bytes more than before, at any time within a block."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        yield
        _, peak = tracemalloc.get_traced_memory()
        assert peak - before < most, peak - before
    finally:
        tracemalloc.stop()


SEEDS = [
    torch_files.right(),
    torch_files.right(old=True),
    safetensors({"x": ROW.reshape(2, 3), "y": ROW.astype(np.float16)}),
]
WORDS = [
    *(b"(", b")", b"t", b"R", b"Q", b"}", b"]", b"u", b"s", b"a", b"e", b"0", b"2"),
    *(b".", b"N", b"b", b"\x81", b"\x93", b"\x94", b"h\x00", b"q\x00", b"\x85"),
    *(b"cos\nsystem\n", b"cbuiltins\neval\n", b"cbuiltins\nset\n", b"PK\1\2"),
    *(b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch\nLongStorage\n", b"\x8d"),
    *(b"\xff\xff\xff\x7f", b"\0" * 8, b"\xff" * 8, b"K\x00", b"J\xff\xff\xff\xff"),
]


def mutated(rng: random.Random) -> bytes:
    """A right file after some edits."""
    data = bytearray(rng.choice(SEEDS))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at, kind = rng.randrange(len(data) + 1), rng.randrange(6)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at:at] = rng.choice(WORDS)
        elif kind == 2:
            del data[at : at + rng.randrange(1, 12)]
        elif kind == 3:
            word = rng.choice(WORDS)
            data[at : at + len(word)] = word
        elif kind == 4:
            other = rng.choice(SEEDS)
            start = rng.randrange(len(other))
            data[at:at] = other[start : start + rng.randrange(64)]
        elif at:
            del data[at:]
        if not data:
            break
    return bytes(data)


def by_chance(count: int, seed: int) -> tuple[int, int]:
    """Load mutated files; how many were read, and how many refused."""
    rng, read = random.Random(seed), 0
    unclear: list[Any] = []
    with watched() as seen:
        for i in range(count):
            content = mutated(rng)
            try:
                weights = load(content)
            except ChainruleError as error:
                clear = error.expected and error.got and len(str(error)) < 4000
                unclear += [] if clear else [(i, error)]
            else:
                read += 1
                for array in weights.values():  # all of it lies where it says
                    assert array.size < 1 << 20 or 0 in array.strides
                    array.reshape(-1)[:1].sum()
            assert seen == [], (seed, i, seen)
    assert unclear == [], seed
    return read, count - read


def test_files_changed_by_chance() -> None:
    with bounded():
        read, refused = by_chance(300, seed=0)
    assert read > 10
    assert refused > 100


@pytest.mark.slow
def test_many_files_changed_by_chance(turn: int | None) -> None:
    read, refused = by_chance(100_000, seed=1 + (turn or 0))
    assert read > 3_000
    assert refused > 30_000


def test_what_is_forbidden_is_seen(tmp_path: Path) -> None:
    with watched() as seen:
        (tmp_path / "x").write_bytes(b"")
    assert "open" in seen

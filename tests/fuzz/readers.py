"""What reads files, as functions of bytes that raise only what must not happen.

Each is built on the check of its own fuzz test and looks at more: features without
targets, the names of classes, whether what a run's file says can be built.
"""

from __future__ import annotations

import contextlib
import functools
import io
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.compilation.portable.file import KEY
from chainrule.data import read, read_npz
from chainrule.errors import ChainruleError
from chainrule.interop.serialization import digest, read_arrays
from chainrule.runs import file, schema
from chainrule.runs.layers import weights_of

from .. import torch_files
from ..data import test_fuzz_csv, test_fuzz_idx, test_fuzz_npz
from ..data.hostile import outcome as read_or_refused
from ..interop import test_keras
from ..runs import test_fuzz_toml
from . import checkpoints, outcome, seeds
from .dice import Dice

#: Networks of more weights are not built: it takes a while.
WEIGHTS = 10_000
#: Nor are data sets with a larger number somewhere.
ROWS = 1000


@dataclass(frozen=True)
class Reader:
    """One reader under test.

    Attributes:
        check: reads the bytes, by way of a file; raises what must not be.
        seeds: inputs to start from.
    """

    check: Callable[[bytes], None]
    seeds: list[bytes]


# -- checkpoints -----------------------------------------------------------------------


def checkpoint(place: Path) -> Reader:
    """Bytes are choices of what is wrong in a right one; after 255, the file itself."""
    path = place / "fuzz.ckpt"

    def check(data: bytes) -> None:
        raw = data[:1] == b"\xff"
        content = data[1:] if raw else checkpoints.wrong(Dice(data))
        path.write_bytes(content)
        result = outcome.load(path)
        if isinstance(result, cr.Trainer):
            outcome.examine(result, content)
            if not raw and sum(data) % 32 == 0:
                outcome.use(result, checkpoints.origin(Dice(data)).data)

    right = [b"\xff" + seeds.seed(number).content for number in range(seeds.COUNT)]
    dice = [random.Random(number).randbytes(48) for number in range(200)]
    return Reader(check, right + dice)


# -- data ------------------------------------------------------------------------------

#: Options of ``read_csv``, chosen by the first byte of an input.
CSV: list[dict[str, Any]] = [
    {},
    {"dtype": {"a": "category"}},
    {"dtype": {"a": "number", "b": "date"}, "missing": "drop"},
    {"task": "classification", "unknown": "error"},
    {"classes": ["cat", "dog"], "missing": "error"},
    {"decimal": ",", "missing_values": ["3", "u"]},
    {"header": False, "target": "column 1"},
    {"delimiter": ";"},
    {"delimiter": "\t", "features": ["a"]},
    {"delimiter": " "},
    {"encoding": "cp950"},
    {"encoding": "utf-16"},
]
#: With gaps, and nothing else wrong.
GAPS = [
    b"a,b,y\n1,,3\nNA,5,6\n7,8,9\n",
    b"a,b,y\n1,u,cat\n,v,dog\n7,,cat\n8,u,\n",
    b"a,b,y\r\n1,2,1\r\n\r\n,5,\r\n7,8,0\r\n",
]


def csv(place: Path) -> Reader:
    """A first byte that chooses the options, and the file."""
    path = place / "fuzz.csv"

    def check(data: bytes) -> None:
        options, content = CSV[(data[0] if data else 0) % len(CSV)], data[1:]
        test_fuzz_csv.check(path, content, options)
        alone: Any = read_or_refused(
            path, content, lambda: read(path, format={"kind": "csv"}, target=False)
        )
        if alone is not None:
            assert np.isfinite(alone.x[:]).all()
            assert len(alone.names) == len(alone.x)

    files = [*test_fuzz_csv.FILES, *GAPS]
    kinds = range(len(CSV))
    return Reader(check, [bytes([kind]) + file for file in files for kind in kinds])


def idx(place: Path) -> Reader:
    """The file, plain or gzipped."""
    path = place / "fuzz.idx"

    def check(data: bytes) -> None:
        test_fuzz_idx.check(path, data)
        flat = {"kind": "idx", "flatten": True}
        alone: Any = read_or_refused(
            path, data, lambda: read(path, format=flat, target=False)
        )
        if alone is not None:
            assert len(alone.x.shape) in (1, 2)
            assert np.isfinite(alone.x[:]).all()

    return Reader(check, [*test_fuzz_idx.FILES, *test_fuzz_idx.PACKED])


def npz(place: Path) -> Reader:
    """A first byte: even, the file follows; odd, what is in it, rightly packed."""
    path = place / "fuzz.npz"

    def check(data: bytes) -> None:
        kind, content = (data[0] if data else 0), data[1:]
        if kind % 2:
            other = test_fuzz_npz.TARGETS[(kind >> 2) % len(test_fuzz_npz.TARGETS)]
            pair = (other, content) if kind & 128 else (content, other)
            content = test_fuzz_npz.npz(*pair, 8 * (kind >> 1 & 1))
        test_fuzz_npz.check(path, content)
        named = read_or_refused(
            path, content, lambda: read_npz(path, class_names=("a", "bc", "d"))
        )
        if named is not None and named.classes is not None:
            assert named.classes == 3
        alone: Any = read_or_refused(
            path, content, lambda: read(path, format={"kind": "npz"}, target=False)
        )
        if alone is not None:
            assert np.isfinite(alone.x[:]).all()

    arrays, targets = test_fuzz_npz.ARRAYS, test_fuzz_npz.TARGETS
    files = [b"\0" + file for file in test_fuzz_npz.FILES]
    files += [bytes([2 * n + 1]) + array for n, array in enumerate(arrays)]
    files += [bytes([2 * n + 129]) + target for n, target in enumerate(targets)]
    return Reader(check, files)


# -- runs ------------------------------------------------------------------------------

#: Small runs in which everything has its place.
RUNS = [
    """data = { source = "moons" }
model = { layers = [{ class = "Linear", out_features = 4 }, "BatchNorm1d", "GELU",
  { class = "Dropout", p = 0.1 }, "LayerNorm", "Linear"], standardize = true }
loss = { class = "CrossEntropyLoss", label_smoothing = 0.1 }
optimizer = { class = "SGD", lr = 0.1, momentum = 0.5, clip_norm = 1.0,
  groups = { "*.bias" = { weight_decay = 0.1 } } }
schedule = { class = "CosineAnnealingLR", warmup = 3 }
training = { epochs = 1, engine = "numpy", metrics = ["top2"], probes = ["dead/*"] }
callbacks = [{ class = "EarlyStopping", monitor = "validation_loss" }]
""",
    """[data]
source = "xor"
[model]
layers = [{ class = "Linear", out_features = 3, init = "orthogonal" }, "Tanh", "Linear"]
[optimizer]
class = "RMSprop"
[schedule]
class = "ReduceLROnPlateau"
monitor = "train_loss"
[training]
batch_size = "all"
seed = 7
""",
]


def toml(place: Path) -> Reader:
    """The file; what it describes is built where it is small."""
    path = place / "fuzz.toml"

    def check(data: bytes) -> None:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            path.write_bytes(data)
            with contextlib.suppress(ChainruleError):
                file.load(path)
                raise AssertionError("a run out of bytes that are no text") from None
            return
        run = test_fuzz_toml.check(text)
        if run is not None and _small(run):
            try:
                run.trainer(run.parts())
            except ChainruleError as error:
                outcome.check_message(error)

    texts = [*RUNS, *test_fuzz_toml.VALID]
    return Reader(check, [text.encode() for text in texts])


def _small(run: file.RunFile) -> bool:
    """Whether it draws few points, and its network has few weights."""
    settings, layers = run.settings.data, run.settings.model.layers
    numbers = [n for _, n in settings if type(n) is int]
    weights = sum(weights_of(layer.sizes()) for layer in layers)
    drawn = settings.source in schema.DRAWN
    return drawn and weights <= WEIGHTS and max([0, *numbers]) <= ROWS


# -- weights of PyTorch ----------------------------------------------------------------


def torch(place: Path) -> Reader:
    """The file; numbers lie where it says they do."""

    def check(data: bytes) -> None:
        try:
            weights = cr.load_torch(io.BytesIO(data))
        except ChainruleError as error:
            outcome.check_message(error)
            return
        for array in weights.values():
            array.reshape(-1)[:1].sum()
        repr(weights)

    old, new = torch_files.right(old=True), torch_files.right()
    return Reader(check, [new, old, *map(torch_files.pickled, ([], {}, 3))])


# -- weights of Keras ------------------------------------------------------------------


def keras(place: Path) -> Reader:
    """The file, for a module with layers of many kinds; arrays are bounded by it."""
    model = test_keras.Sequences()

    def check(data: bytes) -> None:
        try:
            weights = cr.load_keras(io.BytesIO(data), like=model)
        except ChainruleError as error:
            outcome.check_message(error)
            return
        assert sum(array.nbytes for array in weights.values()) <= 2 * len(data)

    small = {f"layers/dense/vars/{i}": np.ones((3, 2)[i:]) for i in range(2)}
    names = ("sequences", "images")
    files = [(test_keras.FILES / f"{name}.keras").read_bytes() for name in names]
    return Reader(check, [*files, test_keras.hdf5(small)])


def program(place: Path) -> Reader:
    """Bytes are a program file; or the JSON of one, signed and with right weights."""
    path, kinds = place / "fuzz.safetensors", programs()
    whole = [packed(document, arrays) for document, arrays in kinds]
    texts = [bytes([i]) + document.encode() for i, (document, __) in enumerate(kinds)]

    def check(data: bytes) -> None:
        kind, content = data[:1], data
        if kind and kind[0] < len(kinds):
            content = packed(data[1:].decode(errors="replace"), kinds[kind[0]][1])
        path.write_bytes(content)
        opened = read_or_refused(path, content, lambda: cr.load_program(path))
        if opened is not None:
            assert str(opened)
            assert opened.graph.nodes is not None

    return Reader(check, whole + texts)


@functools.cache
def programs() -> list[tuple[str, dict[str, np.ndarray]]]:
    """The JSON and the weights of some programs: layers, loops, images, codes."""
    cr.manual_seed(0)
    layers = cr.nn.Linear(3, 4), cr.nn.LayerNorm(4), cr.nn.GELU(), cr.nn.Linear(4, 2)
    pool = cr.nn.Sequential(cr.nn.Conv2d(1, 2, 3), cr.nn.MaxPool2d(2))
    lstm, table = cr.nn.LSTM(2, 3, batch_first=True), cr.arange(5)
    models: list[tuple[Any, dict[str, Any], Any]] = [
        (cr.nn.Sequential(*layers), {"x": ("N", 3)}, cr.zeros(2, 3)),
        (lambda x: lstm(x)[0], {"x": ("N", "T", 2)}, cr.zeros(2, 4, 2)),
        (pool, {"x": ("N", 1, 6, 6)}, cr.zeros(2, 1, 6, 6)),
        (lambda i: {"found": table[i]}, {"i": ("N",)}, cr.zeros(2, dtype=cr.int64)),
    ]
    found: list[tuple[str, dict[str, np.ndarray]]] = []
    for model, shapes, x in models:
        file = io.BytesIO()
        cr.compile(model, shapes=shapes).save(file, x)
        texts, arrays = read_arrays(io.BytesIO(file.getvalue()), lambda texts: None)
        found.append((texts[KEY], arrays))
    return found


def packed(document: str, arrays: dict[str, np.ndarray]) -> bytes:
    """A program file with a document, whatever it says, and its right signature."""
    from safetensors.numpy import save

    return save(arrays, {KEY: document, "sha256": digest(document, arrays)})


READERS: dict[str, Callable[[Path], Reader]] = {
    "checkpoint": checkpoint,
    "csv": csv,
    "idx": idx,
    "keras": keras,
    "npz": npz,
    "program": program,
    "toml": toml,
    "torch": torch,
}

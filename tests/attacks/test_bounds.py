"""Small files that ask for much: an answer within 1 GB and some seconds of a core."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.training import checkpoint

from .conftest import RUN, forged

resource = pytest.importorskip("resource")  # not on Windows

MEMORY, SECONDS = 1 << 30, 10
#: This very source, and no memory for threads of a BLAS.
ALONE = {"PYTHONPATH": str(Path(cr.__file__).parents[1])}
ALONE |= dict.fromkeys(["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"], "1")
END = "-- end --\n"
PROGRAM = f"""
import json, sys
from chainrule import cli
for words in json.loads(sys.argv[1]):
    assert cli.run(words) in (0, 1, 2)
    sys.stderr.write({END!r})
"""


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def answers(folder: Path, *commands: list[str]) -> list[str]:
    """What each command says, all in one process: an answer, or a clear error."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands)],
        cwd=folder,
        env=os.environ | ALONE,
        preexec_fn=limited,
        capture_output=True,
        text=True,
        timeout=100,  # it waits for something
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    for sign in ("Traceback", "Internal error", "not enough memory"):
        assert sign not in done.stderr, done.stderr[-2000:]
    *said, rest = done.stderr.split(END)
    assert (len(said), rest) == (len(commands), ""), done.stderr
    return said


def answer(folder: Path, *words: str) -> str:
    """What one command says."""
    (said,) = answers(folder, [*words])
    return said


def run_of(source: str, more: str = "") -> str:
    return RUN.replace("table.csv", source).replace('target = "kind"\n', more)


# -- what is no file -------------------------------------------------------------------

SPECIAL: dict[str, Callable[[Path], object]] = {
    "zero": lambda place: place.symlink_to("/dev/zero"),
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "nothing": lambda place: None,
}


def test_what_is_no_file(project: Path) -> None:
    """No command waits, and none reads without an end."""
    (project / "fill").write_text("a\n1\n")
    commands: list[list[str]] = []
    for kind, make in SPECIAL.items():
        (project / kind).mkdir()
        x = f"{kind}/x"
        for end in ("toml", "csv", "npz", "png", "ckpt"):
            make(project / f"{x}.{end}")
        make(project / f"{x}-images-idx3")
        for source in (f"{x}.csv", f"{x}.npz", f"{x}-images-idx3"):
            keys = 'target = "kind"\n' if source.endswith("csv") else ""
            (project / f"{source}.toml").write_text(run_of(source, keys))
            commands.append(["train", f"{source}.toml"])
        commands += [
            ["train", f"{x}.toml"],
            *(
                ["new", "made.toml", "--data", f"{x}.{e}"]
                for e in ("csv", "npz", "png")
            ),
            ["evaluate", f"{x}.ckpt"],
            ["predict", f"{x}.ckpt", "fill"],
            ["train", "--resume", f"{x}.ckpt"],
        ]
    for words, said in zip(commands, answers(project, *commands), strict=True):
        assert "Error: " in said, words


@pytest.mark.slow
def test_what_is_no_file_for_a_run_that_is_there(chainrule: Any, project: Path) -> None:
    assert chainrule("train", "run.toml", "--out", "zero").code == 0
    shutil.copytree(project / "zero", project / "pipe")
    text = f"{RUN}[[callbacks]]\nclass = 'CSVLogger'\n"

    def change(document: dict[str, Any]) -> None:
        document["plan"]["epochs"] += 1
        document["notes"]["run"]["options"]["epochs"] = 3
        document["notes"]["run"]["text"] = text

    os.remove(project / "run.toml")
    commands: list[list[str]] = []
    for kind in ("zero", "pipe"):
        for place in (f"{kind}.csv", f"{kind}/.lock", f"{kind}/log.csv"):
            SPECIAL[kind](project / place)
        forged(project / kind, change)
        commands += [
            ["evaluate", kind, f"{kind}.csv"],
            ["predict", kind, f"{kind}.csv"],
            ["train", "--resume", kind],
        ]
    for words, said in zip(commands, answers(project, *commands), strict=True):
        assert "Error: " in said, words


# -- data ------------------------------------------------------------------------------


def png(place: Path, width: int, height: int) -> None:
    """Black, transparent and small as a file."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + crc

    deflate = zlib.compressobj(9)
    row = bytes(1 + 4 * width)
    data = b"".join(deflate.compress(row) for _ in range(height)) + deflate.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data))
        file.write(chunk(b"IEND", b""))


def pictures(folder: Path) -> None:
    for kind in "ab":
        png(folder / "x" / kind / "1.png", 8000, 8000)


def header(place: Path, shape: str, content: bytes) -> None:
    """An NPZ file whose header says what is not there."""
    import zipfile

    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    start = b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text
    made = io.BytesIO()
    np.save(made, np.array([0, 1]))
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", start + content)
        archive.writestr("y.npy", made.getvalue())


def million(folder: Path) -> None:
    columns = ",".join(f"c{i}" for i in range(1_000_000))
    row = ",".join("1" * 1_000_000)
    rows = "".join(f"{row},{kind}\n" for kind in ("yes", "no") * 2)
    (folder / "x.csv").write_text(f"{columns},kind\n{rows}")


#: Of checkpoints: lengths that no file has, brackets without an end, no tensors.
HEADERS = [
    struct.pack("<Q", 2**63) + b"{}",
    struct.pack("<Q", 99_999_999) + b"{}",
    struct.pack("<Q", 100_000) + b"[" * 100_000,
    b"\x02\0\0\0\0\0\0\0{}",
]
IDX = b"\0\0\x08\x03" + struct.pack(">3I", 2, 60_000, 60_000)
NUMBERS: dict[str, Callable[[Path], object]] = {
    "labels up to 2^31": lambda p: np.savez(p, x=np.eye(4), y=[0, 3, 2**31 - 2, 1]),
    "labels with gaps": lambda p: np.savez(p, x=np.eye(4), y=[0, 3, 200_000, 1]),
    "labels below 0": lambda p: np.savez(p, x=np.eye(4), y=[0, -(2**31), 1, 1]),
    "a header of 8 TB": lambda p: header(p, "(2, 500000000000)", b"1234"),
    "rows without a size": lambda p: header(p, "(1000000000000, 0)", b""),
}


def test_numbers_and_headers_that_ask_for_much(project: Path) -> None:
    """In one process: it needs longer to start than for all of them."""
    commands, wanted = [], []
    for i, make in enumerate(NUMBERS.values()):
        make(project / f"{i}.npz")
        (project / f"{i}.toml").write_text(run_of(f"{i}.npz"))
        commands.append(["train", f"{i}.toml", "--out", "out"])
        wanted.append("[data] source")
    for i, content in enumerate(HEADERS):
        (project / f"{i}.ckpt").write_bytes(content)
        commands.append(["evaluate", f"{i}.ckpt"])
        wanted.append("damaged, or no checkpoint")
    packed(project)
    (project / "packed.toml").write_text(run_of("x-images-idx3"))
    commands.append(["train", "packed.toml", "--out", "out"])
    wanted.append("Error: ")
    for words, part, said in zip(commands, wanted, answers(project, *commands)):
        assert part in said, words


def zeros(folder: Path) -> None:
    np.savez_compressed(folder / "x.npz", x=np.zeros((2, 1 << 28), "u1"), y=[0, 1])


def packed(folder: Path) -> None:
    """Two images of 60,000 × 60,000, of which 5 MB are there."""
    start = b"\0\0\x08\x03" + struct.pack(">3I", 2, 60_000, 60_000)
    place = folder / "x-images-idx3"
    place.write_bytes(gzip.compress(start + bytes(5_000_000)))
    (folder / "x-labels-idx1").write_bytes(b"\0\0\x08\x01\0\0\0\2\0\1")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "source", "keys"),
    [
        (zeros, "x.npz", ""),
        (pictures, "x", ""),
        (million, "x.csv", 'target = "kind"\n'),
    ],
)
def test_data_that_ask_for_much(
    project: Path, make: Callable[[Path], object], source: str, keys: str
) -> None:
    make(project)
    (project / "run.toml").write_text(run_of(source, keys))
    assert "Error: " in answer(project, "train", "run.toml", "--out", "out")


# -- checkpoints -----------------------------------------------------------------------


def deep(layers: int) -> cr.Trainer:
    kinds = (lambda: nn.Linear(1, 1), nn.ReLU)
    model = nn.Sequential(*(kinds[i % 2]() for i in range(layers)))
    return cr.Trainer(
        model, loss=nn.MSELoss(), optimizer=optim.Adam(lr=0.1), engine="numpy"
    )


@pytest.fixture(scope="module")
def many_layers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("deep") / "last.ckpt"
    deep(10_000).save(place)
    return place


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "as it is": lambda d: None,
    "a probe for each": lambda d: d.update(
        probes=[f"weight_norm/{2 * i}.weight" for i in range(5000)]
    ),
    "a group for each": lambda d: d["optimizer"].update(
        params=[{"params": [f"{2 * i}.weight"]} for i in range(5000)]
    ),
    "all frozen": lambda d: d.update(
        frozen=[f"{2 * i}.{n}" for i in range(5000) for n in ("weight", "bias")]
    ),
    "a long history": lambda d: d.update(epoch=2**52),
    "layers in layers": lambda d: d.update(
        architecture=json.loads('{"class": "Sequential", "modules": [' * 40 + "]}" * 40)
    ),
    "large layers": lambda d: d["architecture"]["modules"][0]["arguments"].update(
        in_features=2**20, out_features=2**20
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_checkpoints_of_many_layers(
    tmp_path: Path, many_layers: Path, name: str
) -> None:
    document, tensors = checkpoint.read(many_layers)
    CHANGES[name](document)
    checkpoint.write(tmp_path / "last.ckpt", document, tensors)
    # At the latest that it names no data.
    assert "Error: " in answer(tmp_path, "evaluate", "last.ckpt")


# -- run files -------------------------------------------------------------------------


RUN_FILES = [
    "a" + ".a" * 100_000 + " = 1",
    "x = " + "[" * 100_000,
    "x = " + "{a=" * 50_000,
    "x = " + "1" * 250_000,
    "\n".join(f"k{i} = 1" for i in range(8_000)),
    "\n".join(f"[s{i}]" for i in range(8_000)),
    RUN.replace('["Linear"]', "[" + '"ReLU",' * 25_000 + '"Linear"]'),
    RUN.replace('"Linear"', '{class="Linear", out_features=1000000000}, "Linear"'),
    RUN.replace("epochs = 2", "epochs = 2\nprobes = [" + '"a*",' * 30_000 + "]"),
]


def test_run_files_that_ask_for_much(project: Path) -> None:
    commands = []
    for i, text in enumerate(RUN_FILES):
        assert len(text) < 256 * 1024
        (project / f"{i}.toml").write_text(text)
        commands.append(["train", f"{i}.toml", "--out", "out", "--epochs", "1"])
    for i, said in enumerate(answers(project, *commands)):
        assert "Error: " in said, RUN_FILES[i][:80]

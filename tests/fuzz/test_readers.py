"""The readers under a little fuzz in every test run; ``harness.py`` has much of it."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.errors import ChainruleWarning

from ..data.hostile import bounded_memory, damaged, few
from . import harness, readers
from .outcome import in_time

#: Inputs of a guided search; the command line takes more.
RUNS = 2_000


@pytest.mark.parametrize("name", harness.READERS)
def test_right_inputs_are_read(tmp_path: Path, name: str) -> None:
    reader = readers.READERS[name](tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChainruleWarning)
        for content in reader.seeds[:12]:
            reader.check(content)


@pytest.mark.parametrize("name", harness.READERS)
def test_a_few(tmp_path: Path, name: str) -> None:
    reader = readers.READERS[name](tmp_path)
    inputs = damaged(reader.seeds)
    if name == "checkpoint":
        inputs |= st.binary(max_size=48)

    def body(data: bytes) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChainruleWarning)
            reader.check(data)

    with bounded_memory(), in_time(300.0):
        settings(few, max_examples=15)(given(inputs)(body))()


#: What programs are made of, for edits that leave them nearly right.
WORDS = (
    *(
        b"scan",
        b"@step",
        b"graph ",
        b"return ",
        b"%x",
        b"%1",
        b"f32[N,3]",
        b"f64",
        b"[]",
    ),
    *(b"i64[", b"N*T", b"body=@", b"shape=(1099511627776,)", b"length=", b"-1", b"nan"),
    *(b"true", b"()", b"(1,)", b"dims=", b"null", b'["tuple", [0, 1]]', b"{}", b'"'),
)


@pytest.mark.slow
def test_many_programs(tmp_path: Path) -> None:
    """10,000 files: most are signed, so what is read is their graph."""
    reader = readers.READERS["program"](tmp_path)
    count = [0]

    def body(data: bytes) -> None:
        count[0] += 1
        reader.check(data)

    inputs = damaged(reader.seeds, WORDS)
    with bounded_memory(), in_time(1800.0):
        settings(few, max_examples=10_000)(given(inputs)(body))()
    assert count[0] >= 9_000


def test_a_fault_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(*_: object, **__: object) -> None:
        raise KeyError("y")

    monkeypatch.setattr(readers, "read", careless)
    reader = readers.csv(tmp_path)
    with pytest.raises(KeyError):
        reader.check(reader.seeds[0])


def test_without_atheris(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "atheris", None)
        assert harness.main(["csv", "-runs=1"]) == 0
    assert "pip install -e '.[fuzz]'" in capsys.readouterr().err
    assert harness.main(["tsv"]) == 2
    assert "Which reader? checkpoint, csv" in capsys.readouterr().err


def test_where_the_search_starts(tmp_path: Path) -> None:
    place = tmp_path / "a"
    place.mkdir()
    found, start = harness.folders(["-runs=1"], place, [b"x", b"y"])
    assert (Path(start) / "0001").read_bytes() == b"y"
    assert not list(Path(found).iterdir())
    place = tmp_path / "b"
    place.mkdir()
    assert harness.folders(["mine/"], place, [])[0].endswith("seeds")


@pytest.mark.slow
@pytest.mark.parametrize("name", harness.READERS)
def test_a_guided_search(tmp_path: Path, name: str) -> None:
    pytest.importorskip("atheris")
    command = [sys.executable, "-m", "tests.fuzz.harness", name, f"-runs={RUNS}"]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [*command, f"-artifact_prefix={tmp_path}/"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"Done {RUNS} runs" in done.stderr, done.stderr[-3000:]

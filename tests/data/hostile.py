"""Files that were damaged on purpose, as hypothesis strategies; and what is checked.

A damaged file is a valid one after some edits: bits flipped, cut off, pieces left out,
doubled or put in from another file, and numbers overwritten by those at the edges of
their types.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chainrule.errors import ChainruleError

FEW, MANY = 60, 2_000
#: Seconds of the process's own time that a reader may take over some hundred bytes.
LONG = 5.0
#: Bytes by which the memory of the process may grow over a whole test.
GROWTH = 400 << 20

few = settings(
    max_examples=FEW,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
many = settings(few, max_examples=MANY)


def fuzzed(
    check: Callable[..., None], *inputs: st.SearchStrategy[Any]
) -> tuple[Callable[..., None], Callable[..., None]]:
    """Two tests of ``check(path, *inputs)``: a quick one, and a slow one."""

    def run(count: settings, factory: pytest.TempPathFactory) -> None:
        path = factory.mktemp("fuzz") / "fuzz"
        count(given(st.tuples(*inputs))(lambda content: check(path, *content)))()

    def test_a_few(tmp_path_factory: pytest.TempPathFactory) -> None:
        run(few, tmp_path_factory)

    @pytest.mark.slow
    def test_many(tmp_path_factory: pytest.TempPathFactory) -> None:
        with bounded_memory():
            run(many, tmp_path_factory)

    return test_a_few, test_many


EDGES = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]

Edit = tuple[int, int, int, int]
EDITS = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.integers(0, 1 << 12),
        st.integers(0, 1 << 12),
        st.integers(0, 40),
    ),
    max_size=5,
)


def edited(
    content: bytes, edits: Sequence[Edit], other: bytes, words: Sequence[bytes]
) -> bytes:
    """Apply some edits. ``other`` gives pieces, and ``words`` what is put in."""
    data = bytearray(content)
    for kind, a, b, c in edits:
        at = a % (len(data) + 1)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << (b % 8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            del data[at : at + c]
        elif kind == 3:
            data[at:at] = data[at : at + c] * (1 + b % 3)
        elif kind == 4:
            data[at:at] = words[b % len(words)]
        elif kind == 5:
            width, order = 1 << (b % 4), "little" if c % 2 else "big"
            edge = EDGES[b % len(EDGES)] % (1 << (8 * width))
            data[at : at + width] = edge.to_bytes(width, order)
        elif kind == 6:
            data[at:] = other[b % (len(other) + 1) :]
    return bytes(data)


@st.composite
def damaged(
    draw: st.DrawFn, files: Sequence[bytes], words: Sequence[bytes] = (b"\0", b"\xff")
) -> bytes:
    """One of the files, after some edits."""
    content = draw(st.sampled_from(files))
    other = draw(st.sampled_from(files))
    return edited(content, draw(EDITS), other, words)


def outcome(path: Path, content: bytes, read: Callable[[], Any]) -> Any:
    """What a reader makes of a file: a result, or None where it refuses it clearly.

    Anything but a result and an error of ours comes through and fails the test, and so
    does an error without its four parts, or a reader that takes long.
    """
    path.write_bytes(content)
    started = time.process_time()  # other processes may stop this one
    result, refusal = None, None
    try:
        result = read()
    except ChainruleError as error:
        refusal = error
    assert time.process_time() - started < LONG
    if refusal is not None:
        assert refusal.what
        assert refusal.expected
        assert refusal.got is not None
        assert refusal.fix
        assert len(str(refusal)) < 3000
        str(refusal).encode()  # it can be printed
    return result


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Fail where the peak memory of the process grows too much."""
    resource = pytest.importorskip("resource")  # not on Windows
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    grown = (after - before) * unit
    assert grown < GROWTH

"""What processes of one run exchange, with others that the test speaks for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chainrule.errors import EngineError
from chainrule.util import processes


class Pair:
    """This process, the first of two; ``other`` says what the second one gives."""

    index, count = 0, 2

    def __init__(self, other: Callable[[bytes], bytes]) -> None:
        self.other = other
        self.lengths: list[int] = []

    def gather(self, content: bytes) -> list[bytes]:
        self.lengths.append(len(content))
        return [content, self.other(content)]


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Pair]:
    def made(other: Callable[[bytes], bytes] = lambda content: content) -> Pair:
        group = Pair(other)
        monkeypatch.setattr(processes, "_groups", [group])
        monkeypatch.setattr(processes, "_parted", [])
        return group

    return made


def said(what: str, pair: Callable[..., Pair]) -> list[bytes]:
    """Return what a process gives that does something else."""
    contents: list[bytes] = []

    def note(content: bytes) -> bytes:
        contents.append(content)
        return content

    pair(note)
    processes.meet(what)
    return contents


def test_every_exchange_begins_with_a_frame_of_one_length(
    pair: Callable[..., Pair],
) -> None:
    group = pair()
    assert processes.most(1.0, -2.5, 0.0) == (1.0, -2.5, 0.0)
    assert processes.is_there(True)
    processes.meet("the end")
    processes.require_same({"the data": "1"}, "")
    assert set(group.lengths) == {64}


def test_processes_that_do_different_things(pair: Callable[..., Pair]) -> None:
    (frame,) = said("reading a weight", pair)
    text = b"reading a weight".ljust(256, b"\0")
    pair(lambda content: frame if len(content) == 64 else text)
    with pytest.raises(EngineError, match="different things") as found:
        processes.most(1.0)
    assert "process 0: agreeing on what comes next" in str(found.value)
    assert "process 1: reading a weight" in str(found.value)
    pair_again = processes.group()
    assert isinstance(pair_again, Pair)
    before = len(pair_again.lengths)
    with pytest.raises(EngineError, match="different things"):
        processes.meet("the end of its program")  # they do not meet again
    assert len(pair_again.lengths) == before


def test_processes_that_have_different_data(pair: Callable[..., Pair]) -> None:
    def other(content: bytes) -> bytes:
        if len(content) == 64:  # the comparison's digest, or a length
            same = other.calls > 0  # pyright: ignore[reportFunctionMemberAccess]
            other.calls += 1  # pyright: ignore[reportFunctionMemberAccess]
            return content if same else content[:-40] + b"\1" * 40
        return content.replace(b'"1"', b'"2"')

    other.calls = 0  # pyright: ignore[reportFunctionMemberAccess]
    pair(other)
    with pytest.raises(EngineError, match="differ in the data 'x'") as found:
        processes.require_same({"the data 'x'": "1", "y": "3"}, "the same data")
    assert "process 0: 1; process 1: 2" in str(found.value)
    assert "the same data" in str(found.value)

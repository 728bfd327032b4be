"""Messages: what a page may say, and arrays that arrive as they were sent."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule.errors import ArgumentError
from chainrule.lab import protocol

ARRAYS = hnp.arrays(
    st.sampled_from(["float32", "float64", "uint8", "int32", "uint32"]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5),
)


@given(st.dictionaries(st.text(max_size=5), ARRAYS, max_size=3))
def test_arrays_arrive_as_they_were_sent(arrays: dict[str, np.ndarray]) -> None:
    payload = protocol.packed("maps", arrays, step=3)
    head = protocol.head_of(protocol.BINARY, payload)
    assert (head["v"], head["type"], head["step"]) == (1, "maps", 3)
    got = protocol.unpacked(payload)
    assert got.keys() == arrays.keys()
    for name, array in arrays.items():
        assert got[name].dtype == array.dtype
        np.testing.assert_array_equal(got[name], array)


def test_numbers_of_64_bits_come_as_those_of_javascript() -> None:
    payload = protocol.packed("curves", {"steps": np.array([1, 2**40])})
    assert protocol.unpacked(payload)["steps"].dtype == np.float64


def test_each_array_lies_where_javascript_can_read_it() -> None:
    arrays = {"a": np.zeros(3, np.uint8), "b": np.zeros(2), "c": np.zeros((), "f4")}
    payload = protocol.packed("maps", arrays)
    length = int.from_bytes(payload[:4], "little")
    for item in protocol.head_of(protocol.BINARY, payload)["arrays"]:
        assert (4 + length + item["at"]) % 8 == 0


def test_nan_is_null_in_json() -> None:
    said = json.loads(protocol.said("status", loss=float("nan"), rate=float("inf")))
    assert said == {"v": 1, "type": "status", "loss": None, "rate": None}


def test_messages_go_through_a_pipe() -> None:
    parts = [(protocol.TEXT, b"{}"), (protocol.BINARY, b"\0" * 100)]
    pipe = io.BytesIO(b"".join(protocol.framed(*part) for part in parts) + b"\1")
    assert [protocol.read_framed(pipe) for __ in range(3)] == [*parts, None]


def test_a_message_is_read() -> None:
    message = protocol.asked('{"v": 1, "type": "step", "steps": 5, "id": 2}')
    assert isinstance(message, protocol.Go)
    assert (message.steps, message.id) == (5, 2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "not JSON",
        '{"type": "train"}',
        '{"v": 2, "type": "train"}',
        '{"v": 1, "type": "evaluate"}',
        '{"v": 1, "type": "train", "code": "1"}',
        '{"v": 1, "type": "step", "steps": 0}',
        '{"v": 1, "type": "step", "steps": 1e9}',
        '{"v": 1, "type": "step", "steps": "5"}',
        '{"v": 1, "type": "sample", "row": -1}',
        '{"v": 1, "type": "sample", "row": 0, "part": "../train"}',
        '{"v": 1, "type": "element", "name": "z", "index": [0,0,0,0,0,0,0,0,0]}',
        '{"v": 1, "type": "digit", "pixels": [256]}',
        '{"v": 1, "type": "digit", "pixels": []}',
        '{"v": 1, "type": "share", "what": "pickle"}',
        '{"v": 1, "type": "build", "run": []}',
    ],
)
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(ArgumentError, match="a message of version 1"):
        protocol.asked(text)


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_is_a_message_or_refused(text: str | bytes) -> None:
    with contextlib.suppress(ArgumentError):
        protocol.asked(text)


def test_errors_come_in_every_language() -> None:
    error = ArgumentError("what", expected="this", got="that")
    said = protocol.error_of(error)
    assert said["kind"] == "ArgumentError"
    assert said["got"] == {"en": "that", "zh-TW": "that"}
    assert "fix" not in said

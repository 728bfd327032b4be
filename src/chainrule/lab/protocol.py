"""Messages between the page, the server and the training process.

All are JSON with ``v``, the version, and ``type``. Pictures and curves are binary: the
length of a JSON head, the head, and the arrays, each at a multiple of 8 bytes. Between
server and process the same messages go through pipes, each with its length in front.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from io import RawIOBase
from typing import Annotated, Any, BinaryIO, Literal

import numpy as np
from annotated_types import Ge, Le, Len
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from chainrule.errors import ArgumentError, ChainruleError, ChainruleWarning
from chainrule.graph.node import Array
from chainrule.text import _, translated
from chainrule.text.languages import LANGUAGES, language

VERSION = 1
#: Kinds of messages in a pipe.
TEXT, BINARY = 0, 1
#: Bytes of the largest message of a page, and of a process.
LARGEST, LARGEST_INSIDE = 1 << 16, 1 << 28
#: Characters of a foreign error, and how many of a group of them are told.
LONGEST, GROUP = 500, 5
_HEAD = struct.Struct("<IB")
_ALIGNED = 8

_Count = Annotated[int, Ge(0), Le(2**53)]
_Short = Annotated[str, Len(0, 200)]


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    v: Literal[1]
    #: Of an answer, to which question it belongs.
    id: _Count | None = None


class Build(_Message):
    """Ask for a network: sections of a run file, see :mod:`.settings`."""

    type: Literal["build"]
    run: Annotated[dict[str, Any], Len(0, 20)]


class Cancel(_Message):
    """Ask that the network which is being built is given up."""

    type: Literal["cancel"]


class Go(_Message):
    """Ask the process to train, to pause, or to make ``steps`` steps."""

    type: Literal["train", "pause", "step", "again"]
    steps: Annotated[int, Ge(1), Le(10_000)] = 1


class Rate(_Message):
    """Ask for another rate from the next step on."""

    type: Literal["rate"]
    lr: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]


class Weight(_Message):
    """Ask for another value of one number of a parameter."""

    type: Literal["weight"]
    name: _Short
    index: Annotated[list[_Count], Len(1, 8)]
    value: Annotated[float, Field(ge=-1e30, le=1e30, allow_inf_nan=False)]


class Painted(_Message):
    """Say that pictures have been painted: others may come."""

    type: Literal["painted"]
    count: Annotated[int, Ge(1), Le(1000)]


class Look(_Message):
    """Ask for pictures of the weights at a step; None: as they are now."""

    type: Literal["look"]
    step: _Count | None = None


class Sample(_Message):
    """Ask for a step on one sample, forward and back."""

    type: Literal["sample"]
    row: _Count
    part: Literal["train", "validation", "test"] = "train"
    #: Of the weights that it was shown with last: the same step, in another language.
    again: bool = False
    lang: Literal["en", "zh-TW"] = "en"


class Element(_Message):
    """Ask for the path of one number of the step that :class:`Sample` has shown."""

    type: Literal["element"]
    name: _Short
    index: Annotated[list[_Count], Len(0, 8)]
    #: Of the step in evaluation mode, which :class:`Saliency` has shown.
    evaluated: bool = False
    lang: Literal["en", "zh-TW"] = "en"


class Saliency(_Message):
    """Ask what of the sample that is shown the loss depends on."""

    type: Literal["saliency"]
    lang: Literal["en", "zh-TW"] = "en"


class Cell(_Message):
    """Ask for the samples in a cell of the confusion matrix."""

    type: Literal["cell"]
    truth: _Count
    decided: _Count


class Digit(_Message):
    """Ask what the network says to a drawn picture, in bytes."""

    type: Literal["digit"]
    pixels: Annotated[list[Annotated[int, Ge(0), Le(255)]], Len(1, 16384)]


class Sentence(_Message):
    """Ask what the network says to a typed text."""

    type: Literal["sentence"]
    text: Annotated[str, Len(1, 10_000)]
    lang: Literal["en", "zh-TW"] = "en"


class Write(_Message):
    """Ask for a text that goes on from a typed one, drawn character by character."""

    type: Literal["write"]
    text: Annotated[str, Len(0, 10_000)] = ""
    count: Annotated[int, Ge(1), Le(1000)] = 200
    temperature: Annotated[float, Field(ge=0.01, le=100, allow_inf_nan=False)] = 1.0
    seed: _Count = 0


class Foresee(_Message):
    """Ask for the next character of a typed text, and what it depends on."""

    type: Literal["foresee"]
    text: Annotated[str, Len(0, 10_000)] = ""
    lang: Literal["en", "zh-TW"] = "en"


class Share(_Message):
    """Ask for the network as a file."""

    type: Literal["share"]
    what: Literal["toml", "python", "onnx", "svg", "html", "checkpoint"]
    lang: Literal["en", "zh-TW"] = "en"


class Doctor(_Message):
    """Ask what is wrong with the training."""

    type: Literal["doctor"]


class Examine(_Message):
    """Ask what is in an uploaded table or folder of images."""

    type: Literal["examine"]
    source: _Short
    target: Annotated[str, Len(1, 1000)] | None = None
    #: The column of texts; "": none; None: the one that there is, if any.
    text: Annotated[str, Len(0, 1000)] | None = None


class Explore(_Message):
    """Ask for a run of one of the book's explorations."""

    type: Literal["explore"]
    name: _Short
    seed: _Count = 0
    quick: bool = True
    values: Annotated[dict[_Short, float], Len(0, 20)] = {}
    lang: Literal["en", "zh-TW"] = "en"


Asked = (
    Build
    | Cancel
    | Go
    | Rate
    | Weight
    | Painted
    | Look
    | Sample
    | Element
    | Saliency
    | Cell
    | Digit
    | Sentence
    | Write
    | Foresee
    | Share
    | Doctor
    | Examine
    | Explore
)
_ASKED: TypeAdapter[Asked] = TypeAdapter(
    Annotated[Asked, Field(discriminator="type")],
)


def asked(text: str | bytes) -> Asked:
    """Return a page's message, checked.

    Raises:
        ArgumentError: it is none that this version knows.
    """
    try:
        return _ASKED.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ArgumentError(
            _("The page sent a message that the lab does not know."),
            expected=_("a message of version {version}", version=VERSION),
            got=f"{place}: {first['msg']}"[:200],
            fix=_("reload the page"),
        ) from error


def said(type: str, **content: Any) -> bytes:
    """Return a JSON message. NaN and infinity, which JSON has not, are null."""
    return _json({"v": VERSION, "type": type, **content}, "null")


def _json(content: Mapping[str, Any], numbers: Literal["null", "constants"]) -> bytes:
    """Return JSON. Names of files that are no Unicode are as near to it as can be."""
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return to_json(content, inf_nan_mode=numbers)
    except PydanticSerializationError:
        return to_json(_unicode(content), inf_nan_mode=numbers)


def _unicode(content: Any) -> Any:
    r"""Return data for JSON with a sign for each half of a character.

    >>> _unicode({"names": ("caf\udce9", 1)}) == {"names": ["caf\ufffd", 1]}
    True
    """
    if isinstance(content, str):
        return content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(content, Mapping):
        return {_unicode(name): _unicode(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_unicode(value) for value in content]
    return content


def passed_on(type: str, **content: Any) -> bytes:
    """Return a message to a process, in Python's JSON: NaN and infinity stay."""
    return _json({"v": VERSION, "type": type, **content}, "constants")


def packed(type: str, arrays: Mapping[str, Array], **content: Any) -> bytes:
    """Return a binary message with arrays in little-endian order."""
    described: list[dict[str, Any]] = []
    bodies: list[bytes] = []
    place = 0
    for name, array in arrays.items():
        if array.dtype.kind in "iu" and array.itemsize == 8:
            array = array.astype(np.float64)  # JavaScript's numbers
        dtype = array.dtype.newbyteorder("<")
        data = np.ascontiguousarray(array, dtype).tobytes()
        data += bytes(-len(data) % _ALIGNED)
        described.append(
            {"name": name, "dtype": dtype.name, "shape": array.shape, "at": place}
        )
        bodies.append(data)
        place += len(data)
    head = _json({"v": VERSION, "type": type, "arrays": described, **content}, "null")
    head += b" " * (-(len(head) + 4) % _ALIGNED)
    return b"".join([struct.pack("<I", len(head)), head, *bodies])


def head_of(kind: int, payload: bytes) -> dict[str, Any]:
    """Return the JSON of a message, without its arrays."""
    if kind == BINARY:
        (length,) = struct.unpack_from("<I", payload)
        payload = payload[4 : 4 + length]
    return json.loads(payload)


def unpacked(payload: bytes) -> dict[str, Array]:
    """Return the arrays of a binary message by name."""
    (length,) = struct.unpack_from("<I", payload)
    arrays: dict[str, Array] = {}
    for item in head_of(BINARY, payload)["arrays"]:
        count = int(np.prod(item["shape"], dtype=np.int64))
        flat = np.frombuffer(payload, item["dtype"], count, 4 + length + item["at"])
        arrays[item["name"]] = flat.reshape(item["shape"])
    return arrays


# -- pipes -----------------------------------------------------------------------------


def framed(kind: int, payload: bytes) -> bytes:
    """Return a message as it goes through a pipe."""
    return _HEAD.pack(len(payload), kind) + payload


def read_framed(pipe: BinaryIO | RawIOBase) -> tuple[int, bytes] | None:
    """Return the next message of a pipe; None at its end."""
    head = _exactly(pipe, _HEAD.size)
    if head is None:
        return None
    length, kind = _HEAD.unpack(head)
    payload = _exactly(pipe, length)
    return None if payload is None else (kind, payload)


def _exactly(pipe: BinaryIO | RawIOBase, size: int) -> bytes | None:
    """Return so many bytes of a pipe, which may give fewer at a time; None: its end."""
    parts: list[bytes] = []
    while size and (part := pipe.read(size)):
        parts.append(part)
        size -= len(part)
    return None if size else b"".join(parts)


async def receive_framed(pipe: Any) -> tuple[int, bytes]:
    """Return the next message of an asynchronous pipe.

    Raises:
        IncompleteReadError: its end.
        ValueError: a length that no process of ours sends.
    """
    length, kind = _HEAD.unpack(await pipe.readexactly(_HEAD.size))
    if length > LARGEST_INSIDE or kind not in (TEXT, BINARY):
        raise ValueError(f"length {length}, kind {kind}")
    return kind, await pipe.readexactly(length)


# -- what people read ------------------------------------------------------------------


def by_language(text: str) -> dict[str, str]:
    """Return a message in every language."""
    made: dict[str, str] = {}
    for name in LANGUAGES:
        with language(name):
            made[name] = translated(text)
    return made


def told(error: BaseException) -> str:
    r"""Return an exception of any kind on few lines; of a group, what is in it.

    >>> told(ValueError("no")), told(SystemExit(3)), told(KeyError())
    ('ValueError: no', 'SystemExit: 3', 'KeyError')
    >>> told(ExceptionGroup("both", [ValueError("a"), KeyError("b")]))
    "ExceptionGroup: both: ValueError: a; KeyError: 'b'"
    """
    try:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
    except BaseException as inner:  # noqa: BLE001 - the message is code, too
        text = _("it has no message: {why}", why=type(inner).__name__)
    if isinstance(error, BaseExceptionGroup):
        inside = "; ".join(told(one) for one in error.exceptions[:GROUP])
        more = len(error.exceptions) - GROUP
        text = f"{error.message}: {inside}" + (f"; +{more}" if more > 0 else "")
    whole = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return whole if len(whole) <= LONGEST else f"{whole[:LONGEST]}…"


def error_of(error: BaseException) -> dict[str, Any]:
    """Return an error or warning as the page shows it, in every language."""
    if not isinstance(error, ChainruleError | ChainruleWarning):
        text = told(error)
        return {"kind": type(error).__name__, "what": by_language(text)}
    parts = {
        key: by_language(str(text) if not isinstance(text, str) else text)
        for key in ("what", "expected", "got", "fix")
        if (text := getattr(error, key)) is not None
    }
    return {"kind": type(error).__name__, **parts}


def problems_of(error: ChainruleError) -> dict[str, Any]:
    """Return an error with the problems of a run file in it, and their places."""
    problems = getattr(error, "problems", ())
    return {
        **error_of(error),
        "problems": [{**error_of(p), "where": [*p.where]} for p in problems],
    }

"""Numbers of a file: a ``TensorProto`` to an array, external data included.

What a tensor claims is compared with what is there before memory is taken.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.errors import DataError
from chainrule.text import _, ngettext

#: The file's numbers of element types that we compute with.
DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    11: "float64",
    12: "uint32",
    13: "uint64",
}
#: Names of the others.
OTHERS = {
    8: "string",
    10: "float16",
    14: "complex64",
    15: "complex128",
    16: "bfloat16",
    17: "float8e4m3fn",
    18: "float8e4m3fnuz",
    19: "float8e5m2",
    20: "float8e5m2fnuz",
    21: "uint4",
    22: "int4",
    23: "float4e2m1",
    24: "float8e8m0",
    25: "uint2",
    26: "int2",
}
#: Where numbers stand that are not raw bytes.
_FIELDS = {
    "float32": "float_data",
    "float64": "double_data",
    "int64": "int64_data",
    "uint32": "uint64_data",
    "uint64": "uint64_data",
}
#: Axes that an array may have.
AXES = 32


class UnsupportedDTypeError(Exception):
    """The signal that a tensor has a dtype that we do not compute with; its name."""


def dtype_name(number: int) -> str:
    """Return the name of an element type by the file's number for it."""
    return DTYPES.get(number) or OTHERS.get(number) or str(number)


def array_of(tensor: Any, folder: Path | None) -> np.ndarray[Any, Any]:
    """Return the numbers of a ``TensorProto`` as an array that cannot be written to.

    Args:
        tensor: the ``TensorProto``.
        folder: where files with external data may lie; None where there is none.

    Raises:
        DataError: shape and data do not fit, or external data is out of reach.
        UnsupportedDTypeError: of float16, strings and the like.
    """
    if tensor.data_type not in DTYPES:
        raise UnsupportedDTypeError(dtype_name(tensor.data_type))
    dtype = np.dtype(DTYPES[tensor.data_type])
    shape = tuple(tensor.dims)
    if any(d < 0 for d in shape) or len(shape) > AXES:
        raise _does_not_fit(tensor, _("sizes of at least 0 along at most 32 axes"), "")
    count = math.prod(shape)
    if tensor.data_location == 1:
        data = _external(tensor, count * dtype.itemsize, folder)
    elif tensor.HasField("raw_data"):
        data = tensor.raw_data
    else:
        listed = getattr(tensor, _FIELDS.get(dtype.name, "int32_data"))
        if len(listed) != count:
            raise _does_not_fit(tensor, str(count), str(len(listed)))
        wide = np.array(listed, None if listed else dtype)
        array = wide.astype(dtype, casting="unsafe").reshape(shape)
        array.flags.writeable = False
        return array
    if len(data) != count * dtype.itemsize:
        raise _does_not_fit(
            tensor,
            ngettext("{n} byte", "{n} bytes", n=count * dtype.itemsize),
            ngettext("{n} byte", "{n} bytes", n=len(data)),
        )
    if dtype.kind == "b":  # a byte of another value would be a third truth value
        array = np.frombuffer(data, np.uint8) != 0
        array.flags.writeable = False
        return array.reshape(shape)
    array = np.frombuffer(data, dtype.newbyteorder("<"))
    return array.astype(dtype, copy=False).reshape(shape)


def _does_not_fit(tensor: Any, expected: str, got: str) -> DataError:
    return DataError(
        _(
            "The ONNX file's tensor {name!r:.80} of shape {shape!r:.80} does not have "
            "as many numbers.",
            name=tensor.name,
            shape=tuple(tensor.dims[:AXES]),
        ),
        expected=expected,
        got=got or str(tuple(tensor.dims[:AXES])),
        fix=_("the file is damaged: write or fetch it anew"),
    )


def _external(tensor: Any, size: int, folder: Path | None) -> bytes:
    """Read a tensor's numbers from another file in the model's folder.

    Raises:
        DataError: the file lies elsewhere, or is too short.
    """
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    if folder is None:
        raise DataError(
            _(
                "The ONNX file's tensor {name!r:.80} lies in another file.",
                name=tensor.name,
            ),
            expected=_("a path of the model, so that the other file is found"),
            got=f"{location!r:.80}",
            fix='cr.load_onnx("model.onnx")',
        )
    path = _within(tensor.name, location, folder)
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
    except ValueError:
        offset = length = -1
    if offset < 0 or length != size:
        raise _does_not_fit(
            tensor,
            ngettext("{n} byte", "{n} bytes", n=size),
            f"offset {entries.get('offset', '0')!r:.30}, "
            f"length {entries.get('length', '')!r:.30}",
        )
    try:
        with path.open("rb") as file:
            there = os.fstat(file.fileno()).st_size - offset
            if there < size:
                raise _does_not_fit(
                    tensor,
                    ngettext("{n} byte", "{n} bytes", n=size),
                    ngettext("{n} byte", "{n} bytes", n=max(there, 0)),
                )
            file.seek(offset)
            return file.read(size)
    except OSError as error:
        raise DataError(
            _(
                "The file {location!r:.80} of the model cannot be read.",
                location=location,
            ),
            expected=_("a file in the folder of the model"),
            got=error.strerror or type(error).__name__,
        ) from error


def _within(name: str, location: str, folder: Path) -> Path:
    """Return the path of a tensor's file, which lies in the folder of its model.

    Raises:
        DataError: it lies elsewhere: an absolute path, "..", a link that leads out.
    """
    parts = location.replace("\\", "/").split("/")
    inside = bool(location) and "\0" not in location and ".." not in parts
    if inside and not os.path.isabs(location) and ":" not in parts[0] and parts[0]:
        root, path = folder.resolve(), (folder / location).resolve()
        if path.is_relative_to(root) and path.is_file():
            return path
        if path.is_relative_to(root):
            inside = False
    raise DataError(
        _(
            "The ONNX file's tensor {name!r:.80} is said to lie in {location!r:.80}.",
            name=name,
            location=location,
        ),
        expected=_("a file in the folder of the model, or below it"),
        got=f"{location!r:.80}",
        fix=_("nothing else is read; put the file there, or save the model in one"),
    )

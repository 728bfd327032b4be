"""The file: a path, bytes or a file object to a ``ModelProto``, within limits."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from chainrule.errors import ArgumentError, DataError
from chainrule.text import _, ngettext

#: Bytes that a protocol buffer may have: its lengths are signed numbers of 32 bits.
LARGEST = 2**31 - 1


def model_of(source: Any) -> tuple[Any, Path | None]:
    """Return a model's ``ModelProto``, and the folder that it lies in.

    Args:
        source: a path, bytes, a file object or a ``ModelProto``.

    Raises:
        ArgumentError: something else, or the package ``onnx`` is missing.
        DataError: a file that is not there, too long, or not ONNX.
    """
    onnx = package()
    if isinstance(source, onnx.ModelProto):
        return source, None
    if isinstance(source, bytes | bytearray | memoryview):
        return _parsed(onnx, bytes(source)), None
    if isinstance(source, str | os.PathLike):
        path = Path(os.fspath(source))
        return _parsed(onnx, _content(path)), path.parent
    if hasattr(source, "read"):
        data = source.read(LARGEST + 1)
        if isinstance(data, bytes):
            return _parsed(onnx, data), None
    raise ArgumentError(
        _("load_onnx reads an ONNX model."),
        expected=_("a path, bytes, a file opened with 'rb', or an onnx.ModelProto"),
        got=f"{source!r:.60}",
    )


def package() -> Any:
    """Import the package ``onnx``, or raise an error with the command to install it."""
    try:
        import onnx
    except ModuleNotFoundError:
        raise ArgumentError(
            _("ONNX files are read with the package onnx."),
            expected=_("{module} installed", module="onnx"),
            got=_("no module {module}", module="onnx"),
            fix=_("pip install {words}", words="'chainrule[onnx]'"),
        ) from None
    return onnx


def _content(path: Path) -> bytes:
    """Read a regular file that is not too long."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise _not_onnx(_("something that is not a file"), path)
            if status.st_size > LARGEST:
                raise _not_onnx(
                    ngettext("{n} byte", "{n} bytes", n=status.st_size), path
                )
            return file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            _("The ONNX file {path!r:.200} cannot be read.", path=str(path)),
            expected=_("the path of a file"),
            got=getattr(error, "strerror", None) or str(error),
        ) from error


def _parsed(onnx: Any, data: bytes) -> Any:
    """Return the ``ModelProto`` that bytes encode."""
    from google.protobuf.message import DecodeError

    if len(data) > LARGEST:
        raise _not_onnx(ngettext("{n} byte", "{n} bytes", n=len(data)))
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _not_onnx(
            ngettext(
                "{n} byte that ends or nests wrongly",
                "{n} bytes that end or nest wrongly",
                n=len(data),
            )
        ) from error
    if not model.HasField("graph"):
        raise _not_onnx(
            ngettext("no graph in {n} byte", "no graph in {n} bytes", n=len(data))
        )
    return model


def _not_onnx(got: str, path: Path | None = None) -> DataError:
    return DataError(
        _("{path!r:.200} is not an ONNX file.", path=str(path))
        if path
        else _("This is not an ONNX file."),
        expected=_("a ModelProto of less than 2 GiB with a graph"),
        got=got,
        fix=_("fetch or write it anew; larger models keep their numbers beside them"),
    )

"""Arrays of other libraries by DLPack, those of bfloat16 too, which NumPy refuses.

A bfloat16 crosses NumPy as a uint16: of the capsule's description of the array one byte
is another, the code of the kind of numbers (DLPack, dlpack.h, DLDataTypeCode).
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

#: Codes of kinds of numbers in DLPack.
_UINT, _BFLOAT = 1, 4
#: Where the description of the type begins in a capsule's memory, by the name of the
#: capsule: behind the pointer to the numbers, the device and the number of axes; before
#: them a versioned one has its version, two pointers and its flags.
_TYPE_AT = {b"dltensor": 8 + 8 + 4, b"dltensor_versioned": 8 + 8 + 8 + 8 + 8 + 8 + 4}

_name_of: Any = ctypes.pythonapi.PyCapsule_GetName
_name_of.restype, _name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
_memory_of: Any = ctypes.pythonapi.PyCapsule_GetPointer
_memory_of.restype = ctypes.c_void_p
_memory_of.argtypes = [ctypes.py_object, ctypes.c_char_p]


class _Renamed:
    """An array for ``np.from_dlpack`` whose capsule says uint16."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __dlpack__(self, **options: Any) -> Any:
        return _renamed(self._array.__dlpack__(**options), _BFLOAT, _UINT)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()


def _renamed(capsule: Any, old: int, new: int) -> Any:
    """Return a capsule of 16-bit numbers of another kind; raise an error for others."""
    name = _name_of(capsule)
    kind = (ctypes.c_uint8 * 2).from_address(_memory_of(capsule, name) + _TYPE_AT[name])
    if tuple(kind) != (old, 16):
        raise BufferError(f"DLPack type code {kind[0]}, {kind[1]}-bit")
    kind[0] = new
    return capsule


def from_dlpack(x: Any) -> np.ndarray[Any, Any]:
    """Return another library's CPU array as a NumPy array; bfloat16 as ml_dtypes'."""
    try:
        return np.from_dlpack(x)
    except (RuntimeError, BufferError):
        if not str(getattr(x, "dtype", "")).endswith("bfloat16"):
            raise
    from ml_dtypes import bfloat16

    return np.from_dlpack(_Renamed(x)).view(bfloat16)


def to_dlpack(array: np.ndarray[Any, Any], **options: Any) -> Any:
    """Return a NumPy array's capsule; ml_dtypes' bfloat16 as DLPack's."""
    if array.dtype.name != "bfloat16":
        return array.__dlpack__(**options)
    return _renamed(array.view(np.uint16).__dlpack__(**options), _UINT, _BFLOAT)

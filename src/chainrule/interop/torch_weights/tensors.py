"""Tensors of a PyTorch file: storages, views of them, and what pickles may name.

A storage is a line of numbers. A tensor is a view of one, by an offset, sizes and
strides, which are counted in elements. Nothing of a storage is read before all of that
is known to lie within it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from chainrule.graph.node import Array
from chainrule.graph.types import as_dtype
from chainrule.interop.weights import UnreadableError
from chainrule.text import _, ngettext

#: The axes that an array of NumPy can have.
_AXES = 64
#: The numbers of the largest tensor; one that repeats its elements takes no memory.
_LARGEST = 1 << 40


Order = Literal["<", ">"]


class Element(NamedTuple):
    """The form of one number in a file.

    Attributes:
        stored: the code of NumPy for its bytes.
        read: the dtype of the array that it becomes.
    """

    stored: str
    read: str


#: PyTorch's dtypes that are read. float16 becomes float32, in which every number of it
#: is exact.
DTYPES = {
    "float64": Element("f8", "float64"),
    "float32": Element("f4", "float32"),
    "float16": Element("f2", "float32"),
    "bfloat16": Element("u2", "bfloat16"),
    "int64": Element("i8", "int64"),
    "int32": Element("i4", "int32"),
    "int16": Element("i2", "int16"),
    "int8": Element("i1", "int8"),
    "uint64": Element("u8", "uint64"),
    "uint32": Element("u4", "uint32"),
    "uint16": Element("u2", "uint16"),
    "uint8": Element("u1", "uint8"),
    "bool": Element("u1", "bool"),
}
#: The dtypes of PyTorch's typed storages, which name no dtype otherwise.
STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


def numbers(content: bytes | Array, dtype: str, order: Order = "<") -> Array:
    """Return the numbers of a storage's bytes as a read-only array.

    Args:
        content: the bytes.
        dtype: PyTorch's name of the dtype that they have.
        order: of the bytes of a number, ``"<"`` or ``">"``.

    >>> numbers(bytes([128, 63, 0, 192]), "bfloat16").astype("float32")
    array([ 1., -2.], dtype=float32)
    """
    stored, read = DTYPES[dtype]
    array = np.frombuffer(content, np.dtype(stored).newbyteorder(order))
    if dtype == "bfloat16":
        array = array.astype(np.uint16, copy=False).view(as_dtype(read).numpy)
    elif dtype == "bool":  # any byte may stand for true
        array = array != 0
    else:
        array = array.astype(read, copy=False)
    array.flags.writeable = False
    return array


class Name(NamedTuple):
    """A name in a pickle, such as ``torch FloatStorage``; it is never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False, frozen=True)
class Storage:
    """A line of numbers in a file, by the key that the file has for it.

    Attributes:
        key: under which it is stored.
        dtype: PyTorch's name of its dtype, or None where tensors say it.
        size: the number of elements; of bytes where there is no dtype.
    """

    key: str
    dtype: str | None
    size: int

    @property
    def nbytes(self) -> int:
        """Return the number of bytes of the storage."""
        return self.size * width(self.dtype)


def width(dtype: str | None) -> int:
    """Return the number of bytes of an element of a dtype; 1 where it has none."""
    return 1 if dtype is None else np.dtype(DTYPES[dtype].stored).itemsize


@dataclass(eq=False, frozen=True)
class StoredTensor:
    """A view of a storage, whose numbers need not be read yet.

    Attributes:
        storage: what it is a view of.
        dtype: PyTorch's name of its dtype.
        offset: of its first element.
        shape, strides: its sizes, and the steps along them, in elements.
    """

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, line: Array) -> Array:
        """Return the tensor as a read-only view of its storage's numbers."""
        if 0 in self.shape:
            return np.zeros(self.shape, line.dtype)
        return np.lib.stride_tricks.as_strided(
            line[self.offset :],
            self.shape,
            # Along an axis of one element there is no step, whatever it says.
            [
                step * line.itemsize * (n > 1)
                for n, step in zip(self.shape, self.strides)
            ],
            writeable=False,
        )


class Skipped(NamedTuple):
    """An object of a pickle that holds no weights, and that is not made.

    Attributes:
        name: of what the pickle would have called.
    """

    name: Name


# -- what pickles may call -------------------------------------------------------------


def view(storage: Any, offset: Any, shape: Any, strides: Any, dtype: Any) -> Any:
    """Return a view of a storage, all of whose elements lie within it.

    Raises:
        UnreadableError: one that does not, or what is no view at all.
    """
    if not isinstance(storage, Storage):
        raise UnreadableError(_("a tensor without a storage"))
    if dtype is None:
        raise UnreadableError(_("a tensor without a dtype"))
    if storage.dtype not in (None, dtype):
        raise UnreadableError(_("a tensor of another dtype than its storage"))
    for item in (shape, strides):
        whole = isinstance(item, tuple) and all(type(n) is int and n >= 0 for n in item)
        if not whole:
            raise UnreadableError(
                _("a tensor whose sizes or strides are no whole numbers")
            )
    if len(shape) != len(strides) or len(shape) > _AXES:
        raise UnreadableError(
            _(
                "a tensor of {sizes} and {strides}",
                sizes=ngettext("{n} size", "{n} sizes", n=len(shape)),
                strides=ngettext("{n} stride", "{n} strides", n=len(strides)),
            )
        )
    held = storage.nbytes // width(dtype)
    last = sum((n - 1) * step for n, step in zip(shape, strides)) if all(shape) else -1
    whole = type(offset) is int and 0 <= offset <= held
    if math.prod(shape) > _LARGEST:
        raise UnreadableError(_("a tensor of {n:,} numbers", n=math.prod(shape)))
    if not whole or offset + last >= held:
        raise UnreadableError(
            ngettext(
                "a tensor that reaches beyond its storage of {n:,} number",
                "a tensor that reaches beyond its storage of {n:,} numbers",
                n=held,
            )
        )
    return StoredTensor(storage, dtype, offset, shape, strides)


def _typed(
    storage: Any, offset: Any, shape: Any, strides: Any, grad: Any = False,
    hooks: Any = None, metadata: Any = None,
) -> Any:  # fmt: skip
    _check_signs(metadata)
    return view(storage, offset, shape, strides, getattr(storage, "dtype", None))


def _untyped(
    storage: Any, offset: Any, shape: Any, strides: Any, grad: Any, hooks: Any,
    dtype: Any, metadata: Any = None,
) -> Any:  # fmt: skip
    _check_signs(metadata)
    if not isinstance(dtype, Name):
        raise UnreadableError(_("a tensor without a dtype"))
    if dtype.name not in DTYPES:
        raise unread(dtype)
    return view(storage, offset, shape, strides, dtype.name)


def _check_signs(metadata: Any) -> None:
    """Refuse a view whose numbers are those of the storage with another sign.

    PyTorch makes such a one of ``z.conj().imag``.
    """
    if isinstance(metadata, dict) and any(metadata.get(k) for k in ("neg", "conj")):
        raise UnreadableError(
            _("a tensor whose storage has its numbers with the other sign"),
            _("where it was made: tensor.resolve_neg()"),
        )


def _parameter(data: Any, *rest: Any) -> Any:
    return data


def _with_type(function: Any, kind: Any, args: Any, *rest: Any) -> Any:
    """Return a tensor with attributes of its own, or of a subclass, as it is."""
    if not isinstance(function, Name):
        raise UnreadableError(_("a pickle with a call of what is no function"))
    if function not in CALLS or function.name == "_rebuild_from_type_v2":
        raise UnreadableError(_("a tensor made by {function!s:.80}", function=function))
    return CALLS[function](*args)


def _mapping(*pairs: Any) -> Any:
    """Return a dictionary of pairs, which follow later as a rule."""
    made: dict[Any, Any] = {}
    for key, value in pairs[0] if pairs and isinstance(pairs[0], list) else ():
        if type(key) is not str:
            raise UnreadableError(_("a dictionary whose names are no texts"))
        made[key] = value
    return made


def _sizes(*items: Any) -> Any:
    return items[0] if items else ()


#: What a pickle may call, by the name that it has there.
CALLS: dict[Name, Callable[..., Any]] = {
    Name("torch._utils", "_rebuild_tensor"): _typed,
    Name("torch._utils", "_rebuild_tensor_v2"): _typed,
    Name("torch._utils", "_rebuild_tensor_v3"): _untyped,
    Name("torch._utils", "_rebuild_parameter"): _parameter,
    Name("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    Name("torch._tensor", "_rebuild_from_type_v2"): _with_type,
    Name("collections", "OrderedDict"): _mapping,
    Name("collections", "defaultdict"): _mapping,
    Name("torch", "Size"): _sizes,
}

#: What stands in checkpoints beside the weights, and is not made: the settings of a
#: run, numbers of NumPy, counters of schedules.
BESIDE = frozenset(
    Name(module, name)
    for module, names in {
        "argparse": "Namespace",
        "collections": "Counter deque",
        "numpy": "dtype ndarray float64 float32 int64",
        "numpy.core.multiarray": "scalar _reconstruct",
        "numpy._core.multiarray": "scalar _reconstruct",
        "_codecs": "encode",
        "pathlib": "Path PosixPath WindowsPath PurePosixPath",
        "pathlib._local": "Path PosixPath WindowsPath",
        "datetime": "datetime timedelta date",
        "torch": "device Generator",
        "torch.serialization": "_get_layout",
        "builtins": "set frozenset list dict tuple int float str bool bytearray slice",
        "__builtin__": "set frozenset list dict tuple int float str bool bytearray",
    }.items()
    for name in names.split()
)

#: What a pickle names as an argument: classes, storages, dtypes.
ARGUMENTS = frozenset(
    {
        Name("torch", "Tensor"),
        Name("torch", "FloatTensor"),
        Name("torch.nn.parameter", "Parameter"),
        Name("torch.nn.parameter", "Buffer"),
        Name("torch.storage", "UntypedStorage"),
        Name("torch", "UntypedStorage"),
        *(Name("torch", name) for name in STORAGES),
        *(Name("torch", name) for name in DTYPES),
    }
)


#: Where the classes of whole models are, as a rule.
_MODELS = ("torch.nn.modules", "__main__", "__torch__", "torchvision.", "timm.")


def unread(dtype: Any) -> UnreadableError:
    """Return the error for a dtype that is not read."""
    return UnreadableError(
        _("numbers of the dtype {dtype!s:.80}", dtype=dtype),
        _("where it was made: model.float().state_dict()"),
    )


def unknown_call(found: Name) -> UnreadableError:
    """Return the error for a pickle that calls, or names, something else."""
    if found.module.startswith(_MODELS):
        return whole_model()
    return UnreadableError(
        _("a pickle that calls {found!s:.120}", found=found),
        _(
            "nothing of it was run; if it is trusted, where it was made: "
            "torch.save(model.state_dict(), …)"
        ),
    )


def whole_model() -> UnreadableError:
    """Return the error for a file that holds a model with its classes."""
    return UnreadableError(
        _("a whole model, which is code"),
        "torch.save(torch.load(path, weights_only=False).state_dict(), …)",
    )


def named(module: Any, name: Any) -> Name:
    """Return a name of a pickle if it is known here.

    Raises:
        UnreadableError: it would run something, or is of a dtype that is not read.
    """
    found = Name(module, name)
    if found in CALLS or found in BESIDE or found in ARGUMENTS:
        return found
    if module == "torch" and str(name).endswith("Storage"):
        raise unread(found)
    if module == "torch" and str(name).startswith(("float", "complex", "bits")):
        raise unread(found)
    raise unknown_call(found)


def called(function: Any, args: Any) -> Any:
    """Return the result of a call in a pickle: a tensor, a dictionary, or nothing.

    Raises:
        UnreadableError: no call that is known, or arguments that it does not take.
    """
    if not isinstance(function, Name) or not isinstance(args, tuple):
        raise UnreadableError(_("a pickle with a call of what is no function"))
    if function in BESIDE:
        return Skipped(function)
    if function not in CALLS:
        raise unknown_call(function)
    try:
        return CALLS[function](*args)
    except TypeError as error:  # too few arguments, or pairs that are none
        raise UnreadableError(
            _("a call of {found!s:.80} with other arguments", found=function)
        ) from error


def stored(reference: Any) -> Storage:
    """Return the storage that a persistent reference of a pickle stands for.

    Raises:
        UnreadableError: no reference to a storage.
    """
    if isinstance(reference, tuple) and reference[:1] == ("module",):
        raise whole_model()
    if not isinstance(reference, tuple) or len(reference) not in (5, 6):
        raise UnreadableError(_("a reference to something else than a storage"))
    mark, kind, key, __, size, *shared = reference
    known = isinstance(kind, Name) and kind in ARGUMENTS and "Storage" in kind.name
    if mark != "storage" or not known or not isinstance(key, str):
        raise UnreadableError(_("a reference to something else than a storage"))
    if type(size) is not int or size < 0:
        raise UnreadableError(_("a storage whose size is no whole number"))
    if shared and shared[0] is not None:
        raise UnreadableError(
            _("a storage that is a part of another, as PyTorch 0.3 had")
        )
    return Storage(key, STORAGES.get(kind.name), size)

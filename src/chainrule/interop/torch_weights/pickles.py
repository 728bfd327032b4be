"""A machine for the pickles of PyTorch files, which makes plain data and calls nothing.

``pickletools`` of the standard library takes a pickle apart; what it finds is carried
out here: numbers, texts, lists, tuples and dictionaries. A name stays a name, and a
call is looked up in the table of ``tensors``. No recursion: nests may be as deep as
they like, and contain themselves.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

from chainrule.interop.torch_weights.tensors import (
    Name,
    Skipped,
    Storage,
    called,
    named,
    stored,
)
from chainrule.interop.weights import UnreadableError
from chainrule.text import _

#: Instructions of one pickle. Some 60 make a tensor; each costs 200 bytes at most.
INSTRUCTIONS = 2_000_000
#: Bytes of one pickle, without the numbers of tensors, which stand elsewhere.
LONGEST = 1 << 28
#: Bytes of a line, in the oldest pickles.
_LINE = 1 << 16

_MARK = object()
#: What ``pickletools``, and a stack or memo without the item, raise; a warning of an
#: unknown escape too, where warnings are errors.
_DAMAGED = (
    *(ValueError, LookupError, TypeError, OverflowError, struct.error),
    Warning,
)


class Bounded:
    """A file from which no more is read at once than there can be.

    Args:
        file: what is read, from its position.
        most: the number of bytes in all.
    """

    def __init__(self, file: BinaryIO, most: int) -> None:
        self.file, self.left = file, most

    def read(self, size: int = -1) -> bytes:
        """Read some bytes; refuse more than there can be."""
        if size < 0 or size > self.left:
            raise UnreadableError(_("a pickle that ends too early"))
        self.left -= size
        return self.file.read(size)

    def readline(self) -> bytes:
        """Read a line of a pickle."""
        line = self.file.readline(min(_LINE, self.left))
        self.left -= len(line)
        return line


class Machine:
    """The state of a pickle that is being read.

    Attributes:
        stack: what was made and not used yet.
        memo: what may be used again, by number.
        storages: those that the pickle refers to, by key.
    """

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def popped(self) -> Any:
        """Return the uppermost item, and take it away."""
        item = self.stack.pop()
        if item is _MARK:
            raise UnreadableError(_("a pickle with a mark where an item belongs"))
        return item

    def marked(self) -> list[Any]:
        """Return the items above the last mark, and take them and it away."""
        stack = self.stack
        for i in range(len(stack) - 1, -1, -1):
            if stack[i] is _MARK:
                items = stack[i + 1 :]
                del stack[i:]
                return items
        raise UnreadableError(_("a pickle without a mark"))

    def top(self, kind: type) -> Any:
        """Return the uppermost item of a kind without taking it away; None if skipped.

        Raises:
            UnreadableError: something else is there.
        """
        item = self.stack[-1]
        if isinstance(item, Skipped):
            return None
        if not isinstance(item, kind):
            raise UnreadableError(_("a pickle that fills what is no {kind}", kind=kind))
        return item

    def extend(self, items: list[Any]) -> None:
        """Append items to the list on top."""
        target = self.top(list)
        if target is not None:
            target.extend(items)

    def fill(self, items: list[Any]) -> None:
        """Put keys and values into the dictionary on top."""
        target = self.top(dict)
        keys, values = items[::2], items[1::2]
        if len(keys) != len(values):
            raise UnreadableError(_("a pickle with a key without a value"))
        if target is not None:
            target.update(zip(map(_key, keys), values))

    def storage(self, reference: Any) -> Storage:
        """Return the storage of a reference; one object for each key.

        Raises:
            UnreadableError: a key with two sizes or dtypes.
        """
        new = stored(reference)
        old = self.storages.setdefault(new.key, new)
        if (old.dtype, old.size) != (new.dtype, new.size):
            raise UnreadableError(_("a storage with two sizes, or two dtypes"))
        return old


def _key(key: Any) -> Any:
    """Return a dictionary's key; others than texts and numbers stand for themselves."""
    if isinstance(key, str | int | float | bytes) or key is None:
        return key
    raise UnreadableError(_("a dictionary whose keys are no texts and no numbers"))


# -- one function for each instruction -------------------------------------------------


def _nothing(m: Machine, arg: Any) -> None:
    """Do nothing: what says how the pickle is stored."""


def _push(m: Machine, arg: Any) -> None:
    m.stack.append(arg)


def _pop(m: Machine, arg: Any) -> None:
    m.stack.pop()


def _pop_mark(m: Machine, arg: Any) -> None:
    m.marked()


def _duplicate(m: Machine, arg: Any) -> None:
    m.stack.append(m.stack[-1])


def _tuple(m: Machine, arg: Any) -> None:
    m.stack.append(tuple(m.marked()))


def _tuple_of(count: int) -> Callable[[Machine, Any], None]:
    def made(m: Machine, arg: Any) -> None:
        items = tuple(m.popped() for __ in range(count))
        m.stack.append(items[::-1])

    return made


def _list(m: Machine, arg: Any) -> None:
    m.stack.append(m.marked())


def _dictionary(m: Machine, arg: Any) -> None:
    items = m.marked()
    m.stack.append({})
    m.fill(items)


def _append(m: Machine, arg: Any) -> None:
    m.extend([m.popped()])


def _append_all(m: Machine, arg: Any) -> None:
    m.extend(m.marked())


def _set_item(m: Machine, arg: Any) -> None:
    value, key = m.popped(), m.popped()
    m.fill([key, value])


def _set_items(m: Machine, arg: Any) -> None:
    m.fill(m.marked())


def _set(m: Machine, arg: Any) -> None:
    m.stack.append(Skipped(Name("builtins", "set")))


def _frozen_set(m: Machine, arg: Any) -> None:
    m.marked()
    _set(m, arg)


def _add_all(m: Machine, arg: Any) -> None:
    m.marked()
    m.top(Skipped)


def _get(m: Machine, arg: Any) -> None:
    m.stack.append(m.memo[arg])


def _put(m: Machine, arg: Any) -> None:
    m.memo[arg] = m.stack[-1]


def _memoize(m: Machine, arg: Any) -> None:
    m.memo[len(m.memo)] = m.stack[-1]


def _global(m: Machine, arg: Any) -> None:
    m.stack.append(named(*arg.split(" ", 1)))


def _stack_global(m: Machine, arg: Any) -> None:
    name, module = m.popped(), m.popped()
    if not isinstance(name, str) or not isinstance(module, str):
        raise UnreadableError(_("a pickle with a name that is no text"))
    m.stack.append(named(module, name))


def _reduce(m: Machine, arg: Any) -> None:
    args, function = m.popped(), m.popped()
    m.stack.append(called(function, args))


def _build(m: Machine, arg: Any) -> None:
    """Take the state of an object away: attributes of dictionaries and tensors."""
    m.popped()
    if m.stack[-1] is _MARK:
        raise UnreadableError(_("a pickle with a state of nothing"))


def _persistent(m: Machine, arg: Any) -> None:
    m.stack.append(m.storage(m.popped()))


INSTRUCTION: dict[str, Callable[[Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME"), _nothing),
    **dict.fromkeys(
        (
            *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"),
            *("FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING"),
            *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
            *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
        ),
        _push,
    ),
    "NONE": lambda m, arg: m.stack.append(None),
    "NEWTRUE": lambda m, arg: m.stack.append(True),
    "NEWFALSE": lambda m, arg: m.stack.append(False),
    "MARK": lambda m, arg: m.stack.append(_MARK),
    "POP": _pop,
    "POP_MARK": _pop_mark,
    "DUP": _duplicate,
    "EMPTY_TUPLE": lambda m, arg: m.stack.append(()),
    "TUPLE": _tuple,
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "EMPTY_LIST": lambda m, arg: m.stack.append([]),
    "LIST": _list,
    "APPEND": _append,
    "APPENDS": _append_all,
    "EMPTY_DICT": lambda m, arg: m.stack.append({}),
    "DICT": _dictionary,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "EMPTY_SET": _set,
    "FROZENSET": _frozen_set,
    "ADDITEMS": _add_all,
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _get),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _put),
    "MEMOIZE": _memoize,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "NEWOBJ": _reduce,
    "BUILD": _build,
    "BINPERSID": _persistent,
}


def unpickled(file: BinaryIO, size: int, machine: Machine) -> Any:
    """Return the plain data of one pickle, with its tensors as views of storages.

    Args:
        file: at the start of the pickle; it stands behind it afterwards.
        size: the bytes that the file has from there.
        machine: a new one, which has the pickle's storages afterwards.

    Raises:
        UnreadableError: no whole pickle, or one that calls or names something else.
    """
    stream: Any = Bounded(file, min(size, LONGEST))
    count = 0
    try:
        for instruction, argument, __ in pickletools.genops(stream):
            count += 1
            if count > INSTRUCTIONS:
                raise UnreadableError(
                    _("a pickle of more than {most:,} steps", most=count)
                )
            if instruction.name == "STOP":
                break
            carry_out = INSTRUCTION.get(instruction.name)
            if carry_out is None:
                raise UnreadableError(
                    _("a pickle with the step {name}", name=instruction.name)
                )
            carry_out(machine, argument)
        (result,) = machine.stack
    except UnreadableError:
        raise
    except _DAMAGED as error:
        text = f"{type(error).__name__}, {error}"
        raise UnreadableError(_("a damaged pickle: {error:.80}", error=text)) from error
    return result

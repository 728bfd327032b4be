"""Machine code of entry points, stored in the disk cache and loaded from it.

A record of the cache is a line of JSON and object code. There are four kinds:

    layout  by the program: which of its states lie in blocks
    entry   by the program, a name and sizes: an entry point, and the packs it calls
    kernel  by its name, a digest of its text: the pack in which it stands
    pack    by the names of its kernels: their code
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from chainrule.engines.native.runtime import jit
from chainrule.engines.native.runtime.code_cache import code_cache
from chainrule.engines.native.runtime.identity import digest, environment
from chainrule.graph.types import Sizes

#: Where in the status the number of the first condition that does not hold stands.
CONDITION = 4


@dataclass(frozen=True)
class Code:
    """An entry point's machine code, with its memory needs and error messages.

    Attributes:
        machine: the code; its function is ``entry``.
        arena_bytes, private_bytes: memory that it needs, and each thread for itself.
        conditions: messages of conditions, by their numbers from 1 on.
        packs: the kernels that it calls stand in these.
    """

    machine: bytes
    arena_bytes: int
    private_bytes: int
    conditions: list[dict[str, str]]
    packs: list[str]


_ABOUT = tuple(field.name for field in fields(Code) if field.name != "machine")


def cached_layout(program: str | None) -> dict[str, int] | None:
    """Return the cached memory layout (block widths) of a program's states, or None."""
    entry = program and _fetch("layout", program)
    return entry[0] if entry else None


def store_layout(program: str | None, blocked: dict[str, int]) -> None:
    """Store the memory layout (block widths) of a program's states in the cache."""
    if program is not None:
        _keep("layout", program, about=blocked)


def cached_code(program: str | None, entry: str, largest: Sizes) -> Code | None:
    """Return an entry point's machine code from the disk cache, or None."""
    cached = program and _fetch(*_entry_key(program, entry, largest))
    if not cached or not all(map(_linked, cached[0]["packs"])):
        return None
    return Code(cached[1], **cached[0])


def store_code(program: str | None, entry: str, largest: Sizes, code: Code) -> None:
    """Store the machine code of an entry point in the disk cache."""
    if program is not None:
        about = {name: getattr(code, name) for name in _ABOUT}
        _keep(*_entry_key(program, entry, largest), about=about, code=code.machine)


def _entry_key(program: str, entry: str, largest: Sizes) -> tuple[Any, ...]:
    return ("entry", program, entry, *sorted(largest.items()))


def link_kernels(new: Iterable[jit.Kernel], called: Iterable[str]) -> list[str]:
    """Load kernels' machine code into this process: from the cache, or compiled.

    Args:
        new: those with a text that no entry point has needed before.
        called: the names of all that are called.

    Returns:
        the packs in which they are.
    """
    missing = {k.name: k for k in new if not _is_loaded(k.name)}
    if missing:
        improved = [k.text for k in missing.values() if k.passes]
        as_written = [k.text for k in missing.values() if not k.passes]
        code = jit.object_code(improved, as_written)
        names = sorted(missing)
        pack = digest("pack", *names)
        _keep("pack", pack, about={"kernels": names}, code=code)
        for name in names:
            _keep("kernel", name, about={"pack": pack})
        jit.link(pack, names, code)
    return sorted({pack for name in called if (pack := jit.pack_of(name))})


def _is_loaded(kernel: str) -> bool:
    """Load a kernel from the disk cache if needed; return whether it is loaded now."""
    if jit.pack_of(kernel) is not None:
        return True
    cached = _fetch("kernel", kernel)
    return bool(cached and _linked(cached[0]["pack"]) and jit.pack_of(kernel))


def _linked(pack: str) -> bool:
    """Load a group of kernels from the disk cache; return whether it is loaded."""
    if jit.is_linked(pack):
        return True
    cached = _fetch("pack", pack)
    if cached is None:
        return False
    jit.link(pack, cached[0]["kernels"], cached[1])
    return True


def _fetch(*key: Any) -> tuple[dict[str, Any], bytes] | None:
    """Return a record of the machine code cache as (metadata, code), or None."""
    cache = code_cache()
    known = cache and environment()
    if not cache or not known:
        return None
    content = cache.get(digest(known, *key))
    if content is None:
        return None
    about, _, code = content.partition(b"\n")
    return json.loads(about), code


def _keep(*key: Any, about: dict[str, Any], code: bytes = b"") -> None:
    cache = code_cache()
    known = cache and environment()
    if cache and known:
        cache.put(digest(known, *key), json.dumps(about).encode() + b"\n" + code)

"""JAX as this engine needs it: 64-bit types, one process, what differs by version."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from chainrule.errors import EngineError
from chainrule.graph.room import memory
from chainrule.text import _
from chainrule.util.blocks import Block

# Of much of JAX a type checker does not know the types.
jax: Any = importlib.import_module("jax")
lax: Any = jax.lax
jnp: Any = jax.numpy
#: One of JAX's arrays.
Array = Any

#: The process that JAX's threads run in.
_home = os.getpid()


_Switch = Callable[[Any], AbstractContextManager[object]]

#: JAX's switches as this engine's programs mean them, by the names of its settings:
#: 64-bit types, conversions as they are written, and no debugging that runs a program
#: in another way or ends it half-way.
_SWITCHES: tuple[tuple[str, _Switch, Any], ...] = (
    ("jax_enable_x64", jax.enable_x64, True),
    ("jax_numpy_dtype_promotion", jax.numpy_dtype_promotion, "standard"),
    ("jax_numpy_rank_promotion", jax.numpy_rank_promotion, "allow"),
    ("jax_disable_jit", jax.disable_jit, False),
    ("jax_debug_nans", jax.debug_nans, False),
    ("jax_debug_infs", jax.debug_infs, False),
    *(
        (f"jax_transfer_guard_{way}", getattr(jax, f"transfer_guard_{way}"), "allow")
        for way in ("host_to_device", "device_to_device", "device_to_host")
    ),
)


class wide(Block):  # noqa: N801 - used like a function
    """A context manager in which JAX of this thread has the switches of this engine.

    They are otherwise the user's, whose own programs they would change. With
    ``debug_nans`` a step that computes NaN would end behind the donation of the state:
    the old one is gone, and the new one not yet there.
    """

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        self._begun: list[tuple[AbstractContextManager[object], _Switch, Any]] = []

    def saved(self) -> Any:
        return self._begun

    def change(self) -> None:
        for name, switch, value in _SWITCHES:  # most of them are as they should be
            before = getattr(jax.config, name)
            if before not in (value, None):
                context = switch(value)
                self._begun.append((context, switch, before))
                context.__enter__()

    def undo(self, saved: Any) -> None:
        while saved:
            context, switch, before = saved[-1]
            try:
                context.__exit__(None, None, None)
            except AttributeError:  # its __enter__ was cut off, and knows no value
                switch(before).__enter__()
            saved.pop()


def default_device() -> Any:
    """Return the device that JAX computes on: what the user chose, or its first."""
    chosen = jax.config.jax_default_device
    if chosen is None:
        return jax.local_devices()[0]
    return jax.local_devices(backend=chosen)[0] if isinstance(chosen, str) else chosen


def device_memory(device: Any) -> int:
    """Return the bytes of a device's memory; a processor has the machine's."""
    known: dict[str, int] | None = device.memory_stats()
    return (known or {}).get("bytes_limit") or memory()


def need_room(name: str, compiled: Any, device: Any) -> None:
    """Raise an error if a compiled step takes more memory than its device has.

    XLA would find out when the step has its state by donation, which is then lost.

    Raises:
        EngineError: it does.
    """
    need, most = compiled.memory_analysis(), device_memory(device)
    if need is None:  # a device of which XLA does not know it
        return
    size = need.argument_size_in_bytes + need.temp_size_in_bytes
    size += need.output_size_in_bytes - need.alias_size_in_bytes
    if size > most:
        raise EngineError(
            _("A step of {name} needs more memory than there is.", name=name),
            expected=_("at most {most:.3g} GiB", most=most / 2**30),
            got=_("{size:.3g} GiB", size=size / 2**30),
            fix=_("smaller batches; what was computed so far is there"),
        )


def need_home() -> None:
    """Raise an error in a forked child process, where JAX's threads are missing.

    Raises:
        EngineError: this is such a process.
    """
    if os.getpid() != _home:
        raise EngineError(
            _("The xla engine does not run in a forked process."),
            expected=_("the process that JAX was started in: {pid}", pid=_home),
            got=_("its child {pid}", pid=os.getpid()),
            fix=_(
                "start processes with multiprocessing's method 'spawn', or use "
                'engine="native" or "numpy" in them'
            ),
        )

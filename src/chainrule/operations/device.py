"""Devices of tensors: there is one, the CPU.

``device=`` and ``x.to(device)`` take it, so that a program that chooses a device runs
here. Any other device is refused where it is named.
"""

from __future__ import annotations

from typing import Any, Self

from chainrule.errors import ArgumentError
from chainrule.text import _
from chainrule.util import validation

#: The kinds of devices that PyTorch, JAX and TensorFlow have, apart from the CPU.
_OTHERS = ("cuda", "gpu", "hpu", "mps", "mtia", "npu", "tpu", "xla", "xpu")


class Device(str):
    """A device by its name; it equals that name as a text.

    Args:
        type: ``"cpu"``, ``"cpu:0"``, or a device.
        index: 0 or None.

    Raises:
        ArgumentError: another device.

    >>> device = Device("cpu")
    >>> device, device.type, device.index, device == "cpu"
    (device(type='cpu'), 'cpu', None, True)
    """

    __slots__ = ()

    def __new__(cls, type: Any = "cpu", index: int | None = None) -> Self:
        """Return the device, checked."""
        check_device(type)
        if index is not None:
            validation.whole("index", index, least=0, most=0)
        return super().__new__(cls, "cpu")

    @property
    def type(self) -> str:
        """The kind of the device: ``"cpu"``."""
        return "cpu"

    @property
    def index(self) -> None:  # type: ignore[override] - a text's method of this name
        """The number of the device: None, as there is one."""

    def __repr__(self) -> str:
        return "device(type='cpu')"


def is_device(argument: Any) -> bool:
    """Return whether an argument names a device; refuse unsupported devices."""
    name = str(argument)
    if name.split(":")[0] not in ("cpu", *_OTHERS):
        return False
    check_device(name)
    return True


def check_device(device: Any) -> None:
    """Refuse any device but the CPU.

    Raises:
        ArgumentError: another device, or what is none.
    """
    if device is not None and str(device) not in ("cpu", "cpu:0"):
        raise ArgumentError(
            _("There is no device {device!r:.40}.", device=str(device)),
            expected=_('"cpu": all tensors are there'),
            got=f"{device!r:.40}",
            fix=_("leave the device out, or choose it by cr.cuda.is_available()"),
        )


#: The device of all tensors.
CPU = Device()

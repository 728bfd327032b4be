"""Frequencies of discrete Fourier transforms, by the names of PyTorch.

The transforms themselves are not here. Their results are complex numbers, which there
are none of, and a tensor of real pairs under the name of ``rfft`` would be another
shape than PyTorch's. A transform is two products, with derivatives of every order:

>>> import chainrule as cr
>>> x = cr.tensor([1.0, 2.0, 4.0, 3.0])
>>> angles = 2 * cr.pi * cr.outer(cr.fft.rfftfreq(4), cr.arange(4.0))
>>> (angles.cos() @ x).round(4), -(angles.sin() @ x)[1].round(4)  # real, imaginary
(tensor([10., -3.,  0.]), tensor(1.))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule.errors import MissingAttributeError
from chainrule.tensor import FORMS
from chainrule.text import _

__all__ = FORMS.names("fft")

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...

else:

    def __getattr__(name: str) -> Any:
        """Return a function at its first use; refuse transforms, which are complex."""
        if name in __all__:
            return globals().setdefault(name, FORMS.named(name, "fft"))
        raise MissingAttributeError(
            _("module 'chainrule.fft' has no attribute {name!r}", name=name),
            fix=_(
                "there are no complex numbers; angles.cos() @ x and -(angles.sin() @ x)"
                " with angles = 2 * cr.pi * cr.outer(cr.fft.rfftfreq(n), cr.arange(n))"
            ),
            name=name,
        )


def __dir__() -> list[str]:
    """Return the names of the functions, those that are not made yet among them."""
    return sorted({*globals(), *__all__})

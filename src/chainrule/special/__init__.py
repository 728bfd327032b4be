"""Special functions under the names of ``torch.special``.

Some are here alone (``erfcx``, ``ndtr``, ``zeta`` …); the others are functions of the
package, sometimes under another name.

>>> import chainrule as cr
>>> cr.special.entr(cr.tensor([0.0, 0.5])), cr.special.expit is cr.sigmoid
(tensor([0.       , 0.3465736]), True)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import chainrule.functions as cr
from chainrule.errors import unknown_name
from chainrule.tensor import FORMS

#: Functions of the package, by their names here.
_SHARED = {
    **{name: name for name in ("digamma", "erf", "erfc", "erfinv", "exp2", "expm1")},
    **{name: name for name in ("i0", "log1p", "log_softmax", "logit", "logsumexp")},
    **{name: name for name in ("polygamma", "round", "sinc", "softmax", "xlogy")},
    "expit": "sigmoid",
    "gammaln": "lgamma",
    "modified_bessel_i0": "i0",
    "multigammaln": "mvlgamma",
    "psi": "digamma",
}
_OWN = FORMS.names("special")

__all__ = sorted([*_OWN, *_SHARED])

if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., Any]: ...

else:

    def __getattr__(name: str) -> Callable[..., Any]:
        """Return a function at its first use."""
        if name in _OWN:
            return globals().setdefault(name, FORMS.named(name, "special"))
        if name in _SHARED:
            return globals().setdefault(name, getattr(cr, _SHARED[name]))
        raise unknown_name(__name__, name, __all__)


def __dir__() -> list[str]:
    """Return the names of the functions, those that are not made yet among them."""
    return sorted({*globals(), *__all__})

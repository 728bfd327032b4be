"""Mathematical expressions: construction, text, LaTeX, MathML and numerical values.

Primitives, composites and update rules declare their formulas with them, and
explanations read formulas off graphs. Nothing here knows of graphs.

Declarations write formulas as functions that are seldom called, with the words of
``expressions``, ``functions`` and ``places``. The package has all of them by name, and
imports these modules with the first formula that is written:

>>> from chainrule import notation as write
>>> print(write.softmax(write.symbol("z")), write.at(write.symbol("x"), 2))
softmax(z) x[2]
"""

import importlib
from typing import TYPE_CHECKING, Any

from chainrule.errors import unknown_name

if TYPE_CHECKING:
    from chainrule.notation.expressions import Computed as Computed
    from chainrule.notation.expressions import Contracted as Contracted
    from chainrule.notation.expressions import Number as Number
    from chainrule.notation.expressions import as_expr as as_expr
    from chainrule.notation.expressions import axis_letters as axis_letters
    from chainrule.notation.functions import *  # noqa: F403
    from chainrule.notation.places import *  # noqa: F403

else:

    def __getattr__(name: str) -> Any:
        """Return a word of formulas; import those that have it."""
        for part in ("functions", "places", "expressions"):
            module = importlib.import_module(f"{__name__}.{part}")
            if name in module.__all__:
                return globals().setdefault(name, getattr(module, name))
        raise unknown_name(__name__, name, ())

"""The vocabulary of the graph: primitives, each declared once, one file a family.

Importing this package fills the registry.
"""

from chainrule.primitives import (
    checks,
    conv,
    creation,
    elementwise,
    indexing,
    integers,
    matmul,
    movement,
    random,
    reduce,
    sorting,
    trigonometry,
    windows,
)

__all__ = [
    "checks",
    "conv",
    "creation",
    "elementwise",
    "indexing",
    "integers",
    "matmul",
    "movement",
    "random",
    "reduce",
    "sorting",
    "trigonometry",
    "windows",
]

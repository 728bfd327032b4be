"""Primitives: the basic operations of computation graphs, a file per family.

Importing this package fills the registry.
"""

# pyright: reportUnusedImport=false

from chainrule.primitives import (  # noqa: F401 - imported to be declared
    checks,
    conv,
    creation,
    decompositions,
    elementwise,
    indexing,
    integers,
    linear_systems,
    matmul,
    movement,
    random,
    reduce,
    sorting,
    trigonometry,
    windows,
)

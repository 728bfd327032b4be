"""The vocabulary of the graph: primitives, each declared once, one file a family.

Importing this package fills the registry.
"""

from chainrule.primitives import (
    checks as checks,
)
from chainrule.primitives import (
    conv as conv,
)
from chainrule.primitives import (
    creation as creation,
)
from chainrule.primitives import (
    elementwise as elementwise,
)
from chainrule.primitives import (
    indexing as indexing,
)
from chainrule.primitives import (
    integers as integers,
)
from chainrule.primitives import (
    matmul as matmul,
)
from chainrule.primitives import (
    movement as movement,
)
from chainrule.primitives import (
    random as random,
)
from chainrule.primitives import (
    reduce as reduce,
)
from chainrule.primitives import (
    sorting as sorting,
)
from chainrule.primitives import (
    trigonometry as trigonometry,
)
from chainrule.primitives import (
    windows as windows,
)

"""Named graphs of primitives, with a formula and a source, one file a family.

They stand above the chain rule: a region's derivative is its body's, unless it carries
one of its own. Importing this package fills the registry.
"""

from chainrule.regions import (
    activations as activations,
)
from chainrule.regions import (
    control as control,
)
from chainrule.regions import (
    losses as losses,
)
from chainrule.regions import (
    normalization as normalization,
)
from chainrule.regions import (
    updates as updates,
)

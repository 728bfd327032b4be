"""``nn.functional``: layers and losses as functions, with PyTorch's names.

Each is declared next to its layer, in the file of the family; each such file has a line
here.

>>> import chainrule as cr
>>> import chainrule.nn.functional as F
>>> F.leaky_relu(cr.tensor([-1.0, 0.0, 2.0]))
tensor([-0.01,  0.  ,  2.  ])
>>> F.cross_entropy(cr.tensor([[0.0, 0.0]]), cr.tensor([1]))
tensor(0.6931472)
"""

# ruff: noqa: F403

from typing import TYPE_CHECKING, Any

from chainrule.errors import MissingAttributeError
from chainrule.nn.activations import *
from chainrule.nn.adaptive_pooling import *
from chainrule.nn.affine import *
from chainrule.nn.arguments import hint
from chainrule.nn.axis_activations import *
from chainrule.nn.batch_normalization import *
from chainrule.nn.convolution import *
from chainrule.nn.dot_product_attention import *
from chainrule.nn.embedding_bags import *
from chainrule.nn.embeddings import *
from chainrule.nn.folding import *
from chainrule.nn.in_place import *
from chainrule.nn.losses.alignment import *
from chainrule.nn.losses.binary import *
from chainrule.nn.losses.classes import *
from chainrule.nn.losses.distances import *
from chainrule.nn.losses.divergence import *
from chainrule.nn.losses.margins import *
from chainrule.nn.losses.pairs import *
from chainrule.nn.normalization import *
from chainrule.nn.padding import *
from chainrule.nn.pooling import *
from chainrule.nn.random_activations import *
from chainrule.nn.regularization import *
from chainrule.nn.resizing import *
from chainrule.nn.sampling import *
from chainrule.nn.shapes import *
from chainrule.nn.similarity import *
from chainrule.nn.transposed_convolution import *
from chainrule.text import _

_declared = {
    name: item
    for name, item in globals().items()
    if getattr(item, "__module__", "").startswith("chainrule.nn.")
}
for _name, _item in _declared.items():
    if isinstance(_item, type):
        del globals()[_name]  # layers are in chainrule.nn

__all__ = sorted(  # pyright: ignore[reportUnsupportedDunderAll]
    name for name in _declared if name in globals() and name != "hint"
)

if not TYPE_CHECKING:  # type checkers know the names

    def __getattr__(name: str) -> Any:
        """Raise an error for an unknown name in ``nn.functional``; suggest another."""
        text = _(
            "module 'chainrule.nn.functional' has no attribute {name!r}", name=name
        )
        raise MissingAttributeError(text, hint(name, "F", __all__), name=name)

"""Neural networks: layers, containers, losses and initialisation.

A layer is declared in the file of its family, with its function where it has one: the
constructor has the arguments and their checks, ``forward`` computes. What a file names
in ``__all__`` is here (classes) or in :mod:`chainrule.nn.functional` (functions).

| file | what it holds |
|---|---|
| `module`, `containers`, `stateless`, `construction`, `state_array` | modules |
| `arguments`, `function` | checks of arguments, functions of layers |
| `init`, `uninitialized` | initialisation, and parameters without numbers |
| `affine`, `embeddings`, `convolution`, `pooling`, `normalization`, … | layers |
| `losses` | losses, checks of their targets |
| `architecture`, `summary`, `first_use`, `output_semantics`, `traced` | analysis |
"""

# ruff: noqa: F403

from typing import TYPE_CHECKING, Any

from chainrule.errors import MissingAttributeError
from chainrule.nn import functional, init, utils
from chainrule.nn.activations import *
from chainrule.nn.adaptive_pooling import *
from chainrule.nn.affine import *
from chainrule.nn.arguments import hint
from chainrule.nn.attention import *
from chainrule.nn.augmentation import *
from chainrule.nn.axis_activations import *
from chainrule.nn.basis import *
from chainrule.nn.batch_normalization import *
from chainrule.nn.cache import *
from chainrule.nn.color import *
from chainrule.nn.containers import *
from chainrule.nn.convolution import *
from chainrule.nn.embedding_bags import *
from chainrule.nn.embeddings import *
from chainrule.nn.folding import *
from chainrule.nn.lazy import *
from chainrule.nn.losses.alignment import *
from chainrule.nn.losses.base import *
from chainrule.nn.losses.binary import *
from chainrule.nn.losses.classes import *
from chainrule.nn.losses.distances import *
from chainrule.nn.losses.divergence import *
from chainrule.nn.losses.margins import *
from chainrule.nn.losses.pairs import *
from chainrule.nn.mixing import *
from chainrule.nn.module import *
from chainrule.nn.normalization import *
from chainrule.nn.padding import *
from chainrule.nn.parameter_containers import *
from chainrule.nn.perceptron import *
from chainrule.nn.pooling import *
from chainrule.nn.positions import *
from chainrule.nn.random_activations import *
from chainrule.nn.recurrent import *
from chainrule.nn.recurrent_cells import *
from chainrule.nn.regularization import *
from chainrule.nn.resizing import *
from chainrule.nn.scaling import *
from chainrule.nn.shapes import *
from chainrule.nn.similarity import *
from chainrule.nn.stateless import functional_call
from chainrule.nn.targets import *
from chainrule.nn.transformer import *
from chainrule.nn.transposed_convolution import *
from chainrule.nn.uninitialized import no_init
from chainrule.text import _

for _name in functional.__all__:
    globals().pop(_name, None)  # the functions are in chainrule.nn.functional

__all__ = sorted(  # pyright: ignore[reportUnsupportedDunderAll]
    name
    for name, item in globals().items()
    if isinstance(item, type) and item.__module__.startswith("chainrule.nn.")
)
__all__ += ["functional", "functional_call", "init", "no_init", "utils"]

if not TYPE_CHECKING:  # type checkers know the names

    def __getattr__(name: str) -> Any:
        """Raise an error for an unknown name in ``nn``; suggest the intended name."""
        text = _("module 'chainrule.nn' has no attribute {name!r}", name=name)
        raise MissingAttributeError(text, hint(name, "nn", __all__), name=name)

"""Published architectures, whose weights come from files of PyTorch.

Parameters have the names and shapes of the reference, so that its files fit as they
are. Nothing is downloaded: ``cr.load_torch(path)`` is how weights come in.

>>> import chainrule as cr
>>> from chainrule import models, nn
>>> with nn.no_init():  # nothing is drawn that a file replaces
...     model = models.resnet18()
>>> # model.load_state_dict(cr.load_torch("resnet18-f37072fd.pth"))

| file | architectures | names of |
|---|---|---|
| `resnet` | ResNet-18, 34 and 50 | torchvision |
| `mobilenet` | MobileNetV3, small and large | torchvision |
| `vit` | Vision Transformer, B/16, B/32 and L/16 | torchvision |
| `efficientnet` | EfficientNet-Lite 0 to 4 | efficientnet_lite_pytorch |
| `bert` | BERT, an encoder of texts | Hugging Face |
| `gpt2` | GPT-2, a language model | Hugging Face |

`tokens` has ``tokenize``: texts as rows of tokens for the last two.

A new architecture is one file, its names in ``__all__`` and ``_FILES`` below, and a row
in ``tests/models/table.py``, whose reference is asked for names, shapes and outputs.
What is not part of the network (labels of classes, training) is not here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from chainrule.errors import unknown_name

if TYPE_CHECKING:
    from chainrule.models.bert import BertConfig, BertModel
    from chainrule.models.efficientnet import (
        EfficientNetLite,
        efficientnet_lite0,
        efficientnet_lite1,
        efficientnet_lite2,
        efficientnet_lite3,
        efficientnet_lite4,
    )
    from chainrule.models.gpt2 import GPT2Config, GPT2LMHeadModel, GPT2Model
    from chainrule.models.mobilenet import (
        MobileNetV3,
        mobilenet_v3_large,
        mobilenet_v3_small,
    )
    from chainrule.models.resnet import ResNet, resnet18, resnet34, resnet50
    from chainrule.models.tokens import Tokens, tokenize
    from chainrule.models.vit import VisionTransformer, vit_b_16, vit_b_32, vit_l_16

__all__ = [
    "BertConfig",
    "BertModel",
    "EfficientNetLite",
    "GPT2Config",
    "GPT2LMHeadModel",
    "GPT2Model",
    "MobileNetV3",
    "ResNet",
    "Tokens",
    "VisionTransformer",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
    "efficientnet_lite3",
    "efficientnet_lite4",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "resnet18",
    "resnet34",
    "resnet50",
    "tokenize",
    "vit_b_16",
    "vit_b_32",
    "vit_l_16",
]

#: The file of each name, by how the name begins.
_FILES = {
    "bert": "bert",
    "efficientnet": "efficientnet",
    "gpt2": "gpt2",
    "mobilenet": "mobilenet",
    "resnet": "resnet",
    "token": "tokens",
    "vi": "vit",
}

if not TYPE_CHECKING:  # type checkers know the names

    def __getattr__(name: str) -> Any:
        """Import the file of an architecture when one of its names is first used."""
        if name in __all__:
            starts = (file for start, file in _FILES.items() if begins(name, start))
            module = importlib.import_module(f"{__name__}.{next(starts)}")
            return getattr(module, name)
        raise unknown_name(__name__, name, __all__)


def begins(name: str, start: str) -> bool:
    """Return whether an architecture's name begins so, in capitals or not."""
    return name.lower().startswith(start)

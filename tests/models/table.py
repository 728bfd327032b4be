"""The models under test, and numbers for their weights and inputs that need no file."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chainrule import models, nn

FOLDER = Path(__file__).with_name("reference")
#: Sizes of small transformers, by the references' names.
VIT = {
    "image_size": 32,
    "patch_size": 8,
    "num_layers": 2,
    "num_heads": 2,
    "hidden_dim": 32,
    "mlp_dim": 64,
}
GPT2 = {"vocab_size": 50, "n_positions": 16, "n_embd": 32, "n_layer": 2, "n_head": 4}
BERT = {
    "vocab_size": 50,
    "max_position_embeddings": 16,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}


@dataclass(frozen=True)
class Row:
    """A model under test.

    Attributes:
        make: returns it.
        image: the side of the image whose outputs are compared; None for no outputs.
        tokens: whether it reads tokens; BERT a mask and kinds of them too.
        of: which of its outputs.
        slow: whether its outputs take long.
    """

    make: Callable[[], nn.Module]
    image: int | None = None
    tokens: int = 0
    of: str = ""
    slow: bool = False

    def inputs(self) -> list[np.ndarray]:
        """The arrays that it is called with."""
        rng = np.random.default_rng(1)
        if self.image:
            return [rng.standard_normal((2, 3, self.image, self.image), np.float32)]
        ids, mask, kinds = rng.integers(0, 50, (2, 7)), np.ones((2, 7), int), [0, 1]
        mask[1, 4:] = 0
        return [ids, mask, rng.choice(kinds, (2, 7))][: self.tokens]


def small_bert() -> nn.Module:
    return models.BertModel(models.BertConfig(**BERT))


ROWS = {
    "resnet18": Row(models.resnet18, image=64),
    "resnet34": Row(models.resnet34, image=64, slow=True),
    "resnet50": Row(models.resnet50, image=64, slow=True),
    "mobilenet_v3_small": Row(models.mobilenet_v3_small, image=64),
    "mobilenet_v3_large": Row(models.mobilenet_v3_large, image=64, slow=True),
    "efficientnet_lite0": Row(models.efficientnet_lite0, image=224, slow=True),
    "efficientnet_lite1": Row(models.efficientnet_lite1, image=240, slow=True),
    "efficientnet_lite2": Row(models.efficientnet_lite2, image=260, slow=True),
    "efficientnet_lite3": Row(models.efficientnet_lite3, image=280, slow=True),
    "efficientnet_lite4": Row(models.efficientnet_lite4, image=300, slow=True),
    "vit_b_16": Row(models.vit_b_16),
    "vit_b_32": Row(models.vit_b_32),
    "vit_l_16": Row(models.vit_l_16),
    "vit-small": Row(lambda: models.VisionTransformer(**VIT), image=32),
    "gpt2": Row(models.GPT2LMHeadModel),
    "gpt2-small": Row(
        lambda: models.GPT2LMHeadModel(models.GPT2Config(**GPT2)), tokens=1, of="logits"
    ),
    "bert": Row(models.BertModel),
    "bert-small": Row(small_bert, tokens=3, of="last_hidden_state"),
    "bert-small-pooled": Row(small_bert, tokens=3, of="pooler_output"),
}


def numbers(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The numbers of a tensor: those of its name, such that outputs stay of size 1."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return np.zeros((), np.int64)
    drawn = rng.standard_normal(shape, np.float32)
    if name.endswith("running_var"):
        return np.abs(drawn) + np.float32(0.5)
    if len(shape) == 1:
        return drawn * np.float32(0.1) + np.float32(name.endswith("weight"))
    return drawn / np.float32(np.sqrt(np.prod(shape[1:])))


def digest(outputs: np.ndarray) -> list[float]:
    """Some of a model's outputs, from the first to the last, and their norm."""
    line = outputs.ravel().astype(np.float64)
    some = line[np.linspace(0, line.size - 1, 12).astype(int)]
    return [*some.tolist(), float(np.linalg.norm(line))]

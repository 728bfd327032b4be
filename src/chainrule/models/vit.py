"""Vision Transformer (Dosovitskiy et al. 2021), with torchvision's names.

An image is cut into square patches; each becomes a vector, a learnt vector for the
class stands before them, and a transformer's encoder makes of them what the class is
read off.
"""

from __future__ import annotations

import math

from chainrule import nn
from chainrule.errors import ArgumentError, ShapeError
from chainrule.functions import cat, zeros
from chainrule.tensor import Tensor
from chainrule.text import _


class EncoderBlock(nn.Module):
    """A block of attention and a network of two layers, each normalised before."""

    def __init__(self, heads: int, width: int, hidden: int, dropout: float) -> None:
        self.ln_1 = nn.LayerNorm(width, eps=1e-6)
        self.self_attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden, init="xavier_uniform"),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, width, init="xavier_uniform"),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Compute the block's output, of the shape (N, L, width) of x."""
        y = self.ln_1(x)
        y, __ = self.self_attention(y, y, y, need_weights=False)
        x = x + self.dropout(y)
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """A transformer's encoder with learnt positions."""

    def __init__(
        self, length: int, layers: int, heads: int, width: int, hidden: int, p: float
    ) -> None:
        self.pos_embedding = nn.Parameter(zeros(1, length, width))
        nn.init.normal_(self.pos_embedding, std=0.02)
        self.dropout = nn.Dropout(p)
        self.layers = nn.Sequential(
            {
                f"encoder_layer_{i}": EncoderBlock(heads, width, hidden, p)
                for i in range(layers)
            }
        )
        self.ln = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the encoder's output, of the shape (N, L, width) of x."""
        return self.ln(self.layers(self.dropout(x + self.pos_embedding)))


class VisionTransformer(nn.Module):
    """A vision transformer for images (N, 3, image_size, image_size).

    Args:
        image_size, patch_size: the sides of an image, and of its patches.
        num_layers, num_heads: of its encoder.
        hidden_dim, mlp_dim: the width of a vector, and of the layer within a block.
        dropout: in training.
        num_classes: the number of scores.

    Raises:
        ArgumentError: an image that is not made of whole patches.
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float = 0.0,
        num_classes: int = 1000,
    ) -> None:
        if image_size % patch_size:
            raise ArgumentError(
                _("A vision transformer cuts an image into patches."),
                expected=_("an image_size that is a multiple of patch_size"),
                got=f"image_size={image_size}, patch_size={patch_size}",
            )
        self.image_size = image_size
        self.conv_proj = nn.Conv2d(3, hidden_dim, patch_size, stride=patch_size)
        self.class_token = nn.Parameter(zeros(1, 1, hidden_dim))
        length = (image_size // patch_size) ** 2 + 1
        self.encoder = Encoder(
            length, num_layers, num_heads, hidden_dim, mlp_dim, dropout
        )
        head = nn.Linear(hidden_dim, num_classes)
        self.heads = nn.Sequential({"head": head})
        std = math.sqrt(1 / (3 * patch_size**2))
        nn.init.trunc_normal_(self.conv_proj.weight, std=std)
        nn.init.zeros_(self.conv_proj.bias)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)

    def features(self, x: Tensor) -> Tensor:
        """Return a vision transformer's features of images: (N, hidden_dim).

        Raises:
            ShapeError: images of another size.
        """
        n, size = x.shape[0], self.image_size
        if tuple(x.shape[1:]) != (3, size, size):
            raise ShapeError(
                _("A vision transformer takes images of one size."),
                expected=f"(N, 3, {size}, {size})",
                got=str(tuple(x.shape)),
                fix=_("nn.functional.interpolate, or data of that size"),
            )
        x = self.conv_proj(x).flatten(2).transpose(1, 2)
        first = self.class_token.expand(n, -1, -1)
        return self.encoder(cat([first, x], 1))[:, 0]

    def forward(self, x: Tensor) -> Tensor:
        """Return a vision transformer's scores of images: (N, num_classes)."""
        return self.heads(self.features(x))


def vit_b_16(num_classes: int = 1000, image_size: int = 224) -> VisionTransformer:
    """Return a ViT-B/16: 86.6 million parameters."""
    return VisionTransformer(image_size, 16, 12, 12, 768, 3072, 0.0, num_classes)


def vit_b_32(num_classes: int = 1000, image_size: int = 224) -> VisionTransformer:
    """Return a ViT-B/32: 88.2 million parameters."""
    return VisionTransformer(image_size, 32, 12, 12, 768, 3072, 0.0, num_classes)


def vit_l_16(num_classes: int = 1000, image_size: int = 224) -> VisionTransformer:
    """Return a ViT-L/16: 304 million parameters."""
    return VisionTransformer(image_size, 16, 24, 16, 1024, 4096, 0.0, num_classes)

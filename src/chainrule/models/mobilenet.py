"""MobileNetV3: small networks for images (Howard et al. 2019).

Names are torchvision's.

An *inverted residual* widens its input by a convolution of size 1, filters every
channel alone, and narrows it again; some scale their channels by what the whole image
has of them (squeeze and excitation, Hu et al. 2018). The table of a network has a line
a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chainrule import nn
from chainrule.tensor import Tensor


class Block(NamedTuple):
    """A line of the table.

    Attributes:
        inputs, size, width, outputs: channels before, the window, channels within and
            after.
        squeezes: whether it scales its channels.
        activation: of its two first convolutions.
        stride: of the window.
    """

    inputs: int
    size: int
    width: int
    outputs: int
    squeezes: bool
    activation: type[nn.Module]
    stride: int


_RE, _HS = nn.ReLU, nn.Hardswish
LARGE = (
    Block(16, 3, 16, 16, False, _RE, 1),
    Block(16, 3, 64, 24, False, _RE, 2),
    Block(24, 3, 72, 24, False, _RE, 1),
    Block(24, 5, 72, 40, True, _RE, 2),
    Block(40, 5, 120, 40, True, _RE, 1),
    Block(40, 5, 120, 40, True, _RE, 1),
    Block(40, 3, 240, 80, False, _HS, 2),
    Block(80, 3, 200, 80, False, _HS, 1),
    Block(80, 3, 184, 80, False, _HS, 1),
    Block(80, 3, 184, 80, False, _HS, 1),
    Block(80, 3, 480, 112, True, _HS, 1),
    Block(112, 3, 672, 112, True, _HS, 1),
    Block(112, 5, 672, 160, True, _HS, 2),
    Block(160, 5, 960, 160, True, _HS, 1),
    Block(160, 5, 960, 160, True, _HS, 1),
)
SMALL = (
    Block(16, 3, 16, 16, True, _RE, 2),
    Block(16, 3, 72, 24, False, _RE, 2),
    Block(24, 3, 88, 24, False, _RE, 1),
    Block(24, 5, 96, 40, True, _HS, 2),
    Block(40, 5, 240, 40, True, _HS, 1),
    Block(40, 5, 240, 40, True, _HS, 1),
    Block(40, 5, 120, 48, True, _HS, 1),
    Block(48, 5, 144, 48, True, _HS, 1),
    Block(48, 5, 288, 96, True, _HS, 2),
    Block(96, 5, 576, 96, True, _HS, 1),
    Block(96, 5, 576, 96, True, _HS, 1),
)


def divisible(channels: float, by: int = 8) -> int:
    """Return the nearest multiple of 8, at most a tenth less (as the paper's code).

    >>> divisible(18), divisible(20), divisible(11)
    (24, 24, 16)
    """
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * channels else rounded


def filtered(
    inputs: int,
    outputs: int,
    size: int,
    activation: type[nn.Module] | None,
    stride: int = 1,
    groups: int = 1,
) -> nn.Sequential:
    """Return a convolution, its normalisation and its activation."""
    padding = size // 2
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, size, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01),
    ]
    return nn.Sequential(*layers, *([activation()] if activation else []))


class SqueezeExcitation(nn.Module):
    """Channels times a number in [0, 1] each, which depends on the whole image."""

    def __init__(self, channels: int, squeezed: int) -> None:
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.activation = nn.ReLU()
        self.scale_activation = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels of x."""
        scale = self.fc2(self.activation(self.fc1(self.avgpool(x))))
        return x * self.scale_activation(scale)


class InvertedResidual(nn.Module):
    """A block that widens, filters and narrows; x is added where the shapes agree."""

    def __init__(self, b: Block) -> None:
        self.adds = b.stride == 1 and b.inputs == b.outputs
        layers: list[nn.Module] = []
        if b.width != b.inputs:
            layers.append(filtered(b.inputs, b.width, 1, b.activation))
        window = filtered(b.width, b.width, b.size, b.activation, b.stride, b.width)
        layers.append(window)
        if b.squeezes:
            layers.append(SqueezeExcitation(b.width, divisible(b.width // 4)))
        layers.append(filtered(b.width, b.outputs, 1, None))
        self.block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the block's output."""
        y = self.block(x)
        return y + x if self.adds else y


class MobileNetV3(nn.Module):
    """A MobileNetV3 for images (N, 3, H, W).

    Args:
        blocks: the table of its blocks.
        hidden: the width of the layer before the last.
        num_classes: the number of scores.
        dropout: before the last layer.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        hidden: int,
        num_classes: int = 1000,
        dropout: float = 0.2,
    ) -> None:
        first, last = blocks[0].inputs, blocks[-1].outputs
        self.features = nn.Sequential(
            filtered(3, first, 3, nn.Hardswish, stride=2),
            *map(InvertedResidual, blocks),
            filtered(last, 6 * last, 1, nn.Hardswish),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(6 * last, hidden),
            nn.Hardswish(),
            nn.Dropout(dropout),
            nn.Linear(hidden, num_classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
            bias = getattr(module, "bias", None)
            if bias is not None:
                nn.init.zeros_(bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return a MobileNetV3's scores of images: (N, num_classes)."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def mobilenet_v3_large(num_classes: int = 1000) -> MobileNetV3:
    """Return the large MobileNetV3: 5.5 million parameters."""
    return MobileNetV3(LARGE, 1280, num_classes)


def mobilenet_v3_small(num_classes: int = 1000) -> MobileNetV3:
    """Return the small MobileNetV3: 2.5 million parameters.

    >>> from chainrule import nn, models
    >>> with nn.no_init():
    ...     sum(p.numel() for p in models.mobilenet_v3_small().parameters())
    2542856
    """
    return MobileNetV3(SMALL, 1024, num_classes)

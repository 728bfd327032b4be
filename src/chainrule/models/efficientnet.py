"""EfficientNet-Lite 0 to 4, networks for images on small machines (Google 2020).

EfficientNet (Tan & Le 2019) without squeeze and excitation, with ReLU6, and with a stem
and a head that do not grow. Names are those of ``efficientnet_lite_pytorch``, whose
weights are TensorFlow's: so padding is that of TensorFlow, one more behind than before
where it is odd. Stochastic depth, which the reference has in training, is left out.
"""

from __future__ import annotations

import math

from chainrule import nn
from chainrule.models.mobilenet import divisible
from chainrule.tensor import Tensor

#: Blocks, window, stride, factor of the width within, outputs of each group.
GROUPS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD = 32, 1280


class SameConv2d(nn.Conv2d):
    """A convolution whose output has ⌈H/stride⌉ rows, as TensorFlow pads."""

    def __init__(
        self, inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(inputs, outputs, size, stride, groups=groups, bias=False)
        self.window, self.step = size, stride

    def forward(self, x: Tensor) -> Tensor:
        """Pad x, one more behind than before where it is odd, and convolve."""
        pads: list[int] = []
        for n in (x.shape[-1], x.shape[-2]):
            missing = (-(-n // self.step) - 1) * self.step + self.window - n
            missing = max(int(missing), 0)
            pads += [missing // 2, missing - missing // 2]
        return super().forward(nn.functional.pad(x, tuple(pads)) if any(pads) else x)


def norm(channels: int) -> nn.BatchNorm2d:
    """Return the batch normalisation of an EfficientNet."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class MBConvBlock(nn.Module):
    """A block that widens, filters and narrows; x is added where the shapes agree."""

    def __init__(
        self, inputs: int, outputs: int, size: int, stride: int, factor: int
    ) -> None:
        width = inputs * factor
        self.adds = stride == 1 and inputs == outputs
        self.widens = factor != 1
        if self.widens:
            self._expand_conv = SameConv2d(inputs, width, 1)
            self._bn0 = norm(width)
        self._depthwise_conv = SameConv2d(width, width, size, stride, groups=width)
        self._bn1 = norm(width)
        self._project_conv = SameConv2d(width, outputs, 1)
        self._bn2 = norm(outputs)
        self.relu = nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        """Compute the block's output."""
        y = self.relu(self._bn0(self._expand_conv(x))) if self.widens else x
        y = self.relu(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return y + x if self.adds else y


class EfficientNetLite(nn.Module):
    """An EfficientNet-Lite for images (N, 3, H, W), of numbers (value − 127)/128.

    Args:
        width, depth: factors of the channels, and of the number of blocks.
        dropout: before the last layer.
        num_classes: the number of scores.
    """

    def __init__(
        self,
        width: float = 1.0,
        depth: float = 1.0,
        dropout: float = 0.2,
        num_classes: int = 1000,
    ) -> None:
        self._conv_stem = SameConv2d(3, STEM, 3, stride=2)
        self._bn0 = norm(STEM)
        self._blocks, inputs = nn.ModuleList(), STEM
        for i, (count, size, stride, factor, channels) in enumerate(GROUPS):
            grows = 0 < i < len(GROUPS) - 1  # the first group and the last do not
            outputs = divisible(channels * width)
            for j in range(math.ceil(depth * count) if grows else count):
                step = stride if j == 0 else 1
                self._blocks.append(MBConvBlock(inputs, outputs, size, step, factor))
                inputs = outputs
        self._conv_head = SameConv2d(inputs, HEAD, 1)
        self._bn1 = norm(HEAD)
        self.relu = nn.ReLU6()
        self._avg_pooling = nn.AdaptiveAvgPool2d(1)
        self._dropout = nn.Dropout(dropout)
        self._fc = nn.Linear(HEAD, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    @property
    def classifier(self) -> nn.Linear:
        """Return the last layer, which reads an EfficientNet's features."""
        return self._fc

    def features(self, x: Tensor) -> Tensor:
        """Return an EfficientNet's features of images, before its last layer."""
        x = self.relu(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = self.relu(self._bn1(self._conv_head(x)))
        return self._avg_pooling(x).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Return an EfficientNet's scores of images: (N, num_classes)."""
        return self._fc(self._dropout(self.features(x)))


def efficientnet_lite0(num_classes: int = 1000) -> EfficientNetLite:
    """Return an EfficientNet-Lite0, for images of 224 × 224: 4.7 million parameters.

    >>> from chainrule import nn, models
    >>> with nn.no_init():
    ...     sum(p.numel() for p in models.efficientnet_lite0().parameters())
    4652008
    """
    return EfficientNetLite(1.0, 1.0, 0.2, num_classes)


def efficientnet_lite1(num_classes: int = 1000) -> EfficientNetLite:
    """Return an EfficientNet-Lite1, for images of 240 × 240: 5.4 million parameters."""
    return EfficientNetLite(1.0, 1.1, 0.2, num_classes)


def efficientnet_lite2(num_classes: int = 1000) -> EfficientNetLite:
    """Return an EfficientNet-Lite2, for images of 260 × 260: 6.1 million parameters."""
    return EfficientNetLite(1.1, 1.2, 0.3, num_classes)


def efficientnet_lite3(num_classes: int = 1000) -> EfficientNetLite:
    """Return an EfficientNet-Lite3, for images of 280 × 280: 8.2 million parameters."""
    return EfficientNetLite(1.2, 1.4, 0.3, num_classes)


def efficientnet_lite4(num_classes: int = 1000) -> EfficientNetLite:
    """Return an EfficientNet-Lite4, for images of 300 × 300: 13 million parameters."""
    return EfficientNetLite(1.4, 1.8, 0.3, num_classes)

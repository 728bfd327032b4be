"""ResNet: residual networks of convolutions (He et al. 2016), with torchvision's names.

Two or three convolutions compute what is added to their input, y = ReLU(f(x) + x). Four
groups of such blocks halve the image and double the channels; where they do, a
convolution of size 1 brings x to the shape of f(x).
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule import nn
from chainrule.tensor import Tensor


def conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    """Return a convolution without bias that keeps the size of an image at stride 1."""
    padding = size // 2
    return nn.Conv2d(inputs, outputs, size, stride, padding, bias=False)


class BasicBlock(nn.Module):
    """A residual block of two 3 × 3 convolutions, for ResNet-18 and 34."""

    expansion = 1

    def __init__(
        self, inputs: int, width: int, stride: int, downsample: nn.Module | None
    ) -> None:
        self.conv1 = conv(inputs, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.conv2 = conv(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """Compute ReLU(f(x) + x)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """A residual block of a 3 × 3 convolution between two of size 1, for ResNet-50.

    The stride is that of the 3 × 3 convolution, as torchvision has it ("V1.5").
    """

    expansion = 4

    def __init__(
        self, inputs: int, width: int, stride: int, downsample: nn.Module | None
    ) -> None:
        outputs = width * self.expansion
        self.conv1 = conv(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv(width, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """Compute ReLU(f(x) + x)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """A residual network for images (N, 3, H, W), H and W at least 32.

    Args:
        block: the class of its blocks.
        layers: the number of blocks in each of the four groups.
        num_classes: the number of scores.
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
    ) -> None:
        self.conv1 = conv(3, 64, 7, stride=2)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        inputs = 64
        for i, (width, count) in enumerate(zip((64, 128, 256, 512), layers)):
            group, stride = nn.Sequential(), 1 if i == 0 else 2
            for first in [True] + [False] * (count - 1):
                outputs, step = width * block.expansion, stride if first else 1
                down = None
                if step != 1 or inputs != outputs:
                    down = nn.Sequential(
                        conv(inputs, outputs, 1, step), nn.BatchNorm2d(outputs)
                    )
                group.append(block(inputs, width, step, down))
                inputs = outputs
            self.add_module(f"layer{i + 1}", group)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def features(self, x: Tensor) -> Tensor:
        """Return a ResNet's features of images, before its last layer: (N, C)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for i in range(4):
            x = getattr(self, f"layer{i + 1}")(x)
        return self.avgpool(x).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Return a ResNet's scores of images: (N, num_classes)."""
        return self.fc(self.features(x))


def resnet18(num_classes: int = 1000) -> ResNet:
    """Return a ResNet-18: 11.7 million parameters.

    >>> import chainrule as cr
    >>> from chainrule import nn, models
    >>> with nn.no_init():
    ...     sum(p.numel() for p in models.resnet18().parameters())
    11689512
    """
    return ResNet(BasicBlock, (2, 2, 2, 2), num_classes)


def resnet34(num_classes: int = 1000) -> ResNet:
    """Return a ResNet-34: 21.8 million parameters."""
    return ResNet(BasicBlock, (3, 4, 6, 3), num_classes)


def resnet50(num_classes: int = 1000) -> ResNet:
    """Return a ResNet-50: 25.6 million parameters."""
    return ResNet(Bottleneck, (3, 4, 6, 3), num_classes)

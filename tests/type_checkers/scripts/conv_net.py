"""A residual network for small pictures."""

from itertools import pairwise

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn


class Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, kernel_size=(3, 3), padding="same")
        self.bn2 = nn.BatchNorm2d(outputs)
        self.skip = (
            nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            if stride > 1 or inputs != outputs
            else nn.Identity()
        )

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.skip(x), inplace=True)


class ResNet(nn.Module):
    def __init__(self, widths: list[int], classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, widths[0], 3, padding=1)
        blocks = [Residual(a, b, stride=2) for a, b in pairwise(widths)]
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(widths[-1], classes)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        x = self.blocks(self.stem(x))
        x = self.pool(x).flatten(1)
        return self.fc(x)


cr.manual_seed(0)
net = ResNet([4, 8, 16])
images = cr.rand(2, 3, 16, 16)
logits = net(images)
loss = F.cross_entropy(logits, cr.tensor([3, 7]), reduction="sum")
loss.backward()
print(logits.shape, loss.item())
for name, p in net.named_parameters():
    if p.grad is not None and name.endswith("weight") and p.dim() == 4:
        print(name, tuple(p.shape), p.grad.abs().max().item())
pooled = F.max_pool2d(images, kernel_size=2, stride=2)
wide = F.interpolate(pooled, scale_factor=2, mode="nearest")
padded = F.pad(images, (1, 1, 1, 1), mode="reflect")
up = nn.ConvTranspose2d(3, 6, 2, stride=2)(images)
print(pooled.shape, wide.shape, padded.shape, up.shape)

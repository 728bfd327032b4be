"""Metrics: those of the library, and one of one's own."""

import numpy as np

import chainrule as cr
from chainrule import metrics, nn, optim


class WithinOne(metrics.Mean):
    """The share of predictions that are at most one off."""

    name = "within_one"

    def items(self, prediction: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
        return ((prediction - target).abs() <= 1).float()


rng = np.random.default_rng(0)
x = rng.normal(size=(80, 3)).astype("float32")
y = (x @ np.array([1.0, -2.0, 0.5], dtype="float32"))[:, None]

trainer = cr.Trainer(
    nn.Linear(3, 1),
    loss=nn.L1Loss(),
    optimizer=optim.SGD(lr=optim.ExponentialLR(0.1, gamma=0.9)),
    metrics=[WithinOne(), "rmse"],
)
trainer.fit((x, y), epochs=4, batch_size=20, progress=False)
for name, value in trainer.evaluate((x, y)).items():
    print(f"{name:12s} {value:.3f}")

scores = np.array([[2.0, 1.0], [0.5, 1.5], [3.0, 0.0]])
labels = np.array([0, 1, 1])
print(metrics.measure("accuracy", scores, labels))
print(metrics.measure(metrics.ConfusionMatrix(), scores, labels))
print(metrics.measure(metrics.TopK(2), scores, labels))

"""What a step computes: explanation, derivation, summary, probes."""

import chainrule as cr
from chainrule import nn, optim

cr.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 1), nn.Sigmoid())
x, y = cr.tensor([[0.5, 0.1]]), cr.tensor([[1.0]])
explanation = cr.explain(model, x, y, nn.MSELoss(), optim.SGD(lr=0.5), lang="en")
text = str(explanation)
print(text[:200])

derivation = cr.derive("2-2-1", "half_squared")
print(len(str(derivation)) > 100)
print(cr.summary(model, x))

xor = cr.data.xor(copies=8, noise=0.1, seed=0)
trainer = cr.Trainer(
    nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2)),
    loss=nn.CrossEntropyLoss(),
    optimizer=optim.Adam(lr=0.05),
    probes="activation_mean/*",
    engine="numpy",
)
history = trainer.fit(xor, epochs=2, batch_size=8, progress=False)
for name, column in history.steps.items():
    print(f"{name:40s} {column[-1]:.3f}")
report = cr.check_gradients(lambda w: (w * w).sum(), cr.ones(3, dtype="float64"))
print(report)

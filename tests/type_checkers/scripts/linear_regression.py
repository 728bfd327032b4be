"""A line through points, by hand-written gradient descent."""

import numpy as np

import chainrule as cr

rng = np.random.default_rng(0)
x = cr.tensor(rng.uniform(-1, 1, size=(64, 1)), dtype=cr.float32)
y = 3.0 * x + 0.5 + 0.01 * cr.randn(64, 1)

w = cr.zeros(1, 1, requires_grad=True)
b = cr.zeros(1, requires_grad=True)
lr = 0.5
for step in range(100):
    prediction = x @ w + b
    loss = ((prediction - y) ** 2).mean()
    loss.backward()
    with cr.no_grad():
        for p in (w, b):
            if p.grad is not None:
                p -= lr * p.grad
                p.grad = None
    if step % 50 == 0:
        print(f"{step:4d} {loss.item():.5f}")

slope, intercept = w.item(), b.item()
assert abs(slope - 3) < 0.1
assert abs(intercept - 0.5) < 0.1
print(f"y = {slope:.2f} x + {intercept:.2f}")

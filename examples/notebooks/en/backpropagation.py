# %% [markdown] slideshow={"slide_type": "slide"}
# # Back-propagation by hand
#
# One training step with all of its numbers: forward to the loss, backward to the
# gradients, then the update (3.2 to 3.7 of the textbook).

# %% slideshow={"slide_type": "-"}
import numpy as np

import chainrule as cr
from chainrule import nn, optim

cr.set_language("en")
W1, b1 = np.array([[0.1, 0.4], [-0.2, 0.3]]), np.array([0.1, -0.1])
W2, b2 = np.array([[0.5, -0.6]]), np.array([0.2])
x, y, lr = np.array([1.0, 0.5]), np.array([1.0]), 0.5


def f(z):
    return 1 / (1 + np.exp(-z))


# %% [markdown] slideshow={"slide_type": "slide"}
# ## Forward
#
# z⁽ˡ⁾ = W⁽ˡ⁾a⁽ˡ⁻¹⁾ + b⁽ˡ⁾ and a⁽ˡ⁾ = f(z⁽ˡ⁾), from the input to ŷ; then the loss
# ℒ = ½(ŷ − y)².

# %% slideshow={"slide_type": "-"}
z1 = W1 @ x + b1
a1 = f(z1)
z2 = W2 @ a1 + b2
a2 = f(z2)
loss = float(((a2 - y) ** 2).sum() / 2)
loss

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Backward
#
# The error term δ⁽ˡ⁾ = ∂ℒ/∂z⁽ˡ⁾ starts at the output and is sent back through Wᵀ and
# f′. For the sigmoid f′ = a(1 − a).

# %% slideshow={"slide_type": "-"}
delta2 = (a2 - y) * a2 * (1 - a2)
delta1 = (W2.T @ delta2) * a1 * (1 - a1)
dW2, db2 = np.outer(delta2, a1), delta2
dW1, db1 = np.outer(delta1, x), delta1
delta1.round(5)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The update
#
# Each parameter moves against its gradient: W ← W − η ∂ℒ/∂W.

# %% slideshow={"slide_type": "-"}
mine = {"z1": z1, "a1": a1, "z2": z2, "a2": a2, "loss": loss}
mine |= {"delta2": delta2, "delta1": delta1, "dW2": dW2, "dW1": dW1}
mine |= {"W1": W1 - lr * dW1, "W2": W2 - lr * dW2}

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Is it right?
#
# `cr.check_work` marks the numbers. It would name the slip of a wrong one.

# %% slideshow={"slide_type": "-"}
model = nn.Sequential(
    nn.Linear(2, 2, dtype="float64"),
    nn.Sigmoid(),
    nn.Linear(2, 1, dtype="float64"),
    nn.Sigmoid(),
)
state = {"0.weight": W1, "0.bias": b1, "2.weight": W2, "2.bias": b2}
model.load_state_dict(state)
cr.check_work(model, x, y, "half_squared", mine, lr=lr).verdict()

# %% [markdown] slideshow={"slide_type": "fragment"}
# Now with a slip: f′ is forgotten in δ⁽¹⁾. What comes after it is worked out right
# from there, and has its point.

# %% slideshow={"slide_type": "-"}
wrong = W2.T @ delta2
slipped = mine | {"delta1": wrong, "dW1": np.outer(wrong, x)}
slipped["W1"] = W1 - lr * slipped["dW1"]
cr.check_work(model, x, y, "half_squared", slipped, lr=lr)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The machine's own account
#
# The same step as the framework does it, with every formula and number, and the picture
# of the network.


# %% slideshow={"slide_type": "-"}
def half_squared(p, t):
    return ((p - t) ** 2).sum() / 2


cr.explain(model, x, y, loss=half_squared, optimizer=optim.SGD(lr=lr))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A check that knows no formula
#
# A difference quotient, (ℒ(w + h) − ℒ(w − h))/2h, comes to the same derivative.

# %% slideshow={"slide_type": "-"}
cr.check_gradients(lambda w: ((w @ cr.tensor(x)).sigmoid() ** 2).sum(), W1)

# %% [markdown] slideshow={"slide_type": "slide"}
# **Try it.** A sheet with other numbers: `chainrule worksheet 2-2sigmoid-1sigmoid
# --seed 7`. Or ReLU in place of the sigmoid: which δ are 0, and why?

# %% [markdown] slideshow={"slide_type": "slide"}
# # One neuron
#
# What a neuron computes, what its weights mean, and what a single one cannot do
# (2.2 of the textbook).

# %% slideshow={"slide_type": "-"}
import numpy as np

import chainrule as cr
from chainrule import nn, optim

cr.set_language("en")
x, w, b = np.array([1.0, 0.5]), np.array([0.8, -0.4]), 0.1
z = float(w @ x + b)
round(z, 4)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A weighted sum, then f
#
# Each input counts as much as its weight says; the bias b moves the threshold. This z
# is the same whatever f is. The activation function f makes the output of it:
# y = f(wᵀx + b).

# %% slideshow={"slide_type": "-"}
functions = [nn.Sigmoid(), nn.Tanh(), nn.ReLU()]
{type(f).__name__: round(f(cr.tensor([z])).item(), 4) for f in functions}

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The same as a layer
#
# A layer of one neuron has a weight matrix of one row. Its picture has a line for each
# weight.

# %% slideshow={"slide_type": "-"}
model = nn.Sequential(nn.Linear(2, 1, dtype="float64"), nn.Sigmoid())
model.load_state_dict({"0.weight": w[None], "0.bias": [b]})
model.picture(x[None])

# %% [markdown] slideshow={"slide_type": "fragment"}
# Is it the same number?

# %% slideshow={"slide_type": "-"}
bool(np.isclose(model([x]).item(), 1 / (1 + np.exp(-z))))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## It learns a line
#
# Where wᵀx + b = 0 the neuron is undecided: a straight line between two classes. Here
# are points that a line can tell apart, and a training that finds one.

# %% slideshow={"slide_type": "subslide"}
rng = np.random.default_rng(0)
points = rng.normal(size=(300, 2)).astype(np.float32)
above = (points @ [1.0, 2.0] > 0.5).astype(np.float32)[:, None]
cr.manual_seed(0)
neuron = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
trainer = cr.Trainer(neuron, loss=nn.BCELoss(), optimizer=optim.Adam(lr=0.05))
history = trainer.fit((points, above), epochs=60, batch_size=30)
history

# %% slideshow={"slide_type": "-"}
right = (trainer.predict(points) > 0.5) == (above > 0.5)
slopes = neuron[0].weight.numpy()[0]
[round(float(right.mean()), 2), round(float(slopes[1] / slopes[0]), 1)]

# %% [markdown] slideshow={"slide_type": "fragment"}
# The second number is the ratio of the two weights: the points were made with 2.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What it cannot learn
#
# XOR: one or the other, but not both. No line has both ones on one side (Minsky and
# Papert 1969). However long one neuron trains, at most three of four points are right;
# a hidden layer of a few more finds the answer.

# %% slideshow={"slide_type": "-"}
corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
xor = np.array([[0], [1], [1], [0]], np.float32)


def right_after_training(*layers):
    trainer = cr.Trainer(
        nn.Sequential(*layers, nn.Sigmoid()),
        loss=nn.BCELoss(),
        optimizer=optim.Adam(lr=0.1),
    )
    trainer.fit((corners, xor), epochs=400, batch_size=4, progress=False)
    return int(((trainer.predict(corners) > 0.5) == (xor > 0.5)).sum())


cr.manual_seed(1)
one = right_after_training(nn.Linear(2, 1))
more = right_after_training(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
f"{one}/4, {more}/4"

# %% [markdown] slideshow={"slide_type": "slide"}
# **Try it.** AND and OR in place of XOR: can one neuron learn them? What are its
# weights then, and where is the line?

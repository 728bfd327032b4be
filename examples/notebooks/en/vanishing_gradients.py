# %% [markdown] slideshow={"slide_type": "slide"}
# # Vanishing gradients
#
# Why deep networks with sigmoids hardly learn, seen in the gradients of every layer
# (3.8 of the textbook).

# %% slideshow={"slide_type": "-"}
import numpy as np

import chainrule as cr
from chainrule import nn, optim

cr.set_language("en")
z = cr.tensor([-4.0, -2.0, 0.0, 2.0, 4.0])
cr.grad(lambda z: z.sigmoid().sum())(z)

# %% [markdown] slideshow={"slide_type": "fragment"}
# f′ of the sigmoid is at most ¼, at z = 0. Each layer multiplies δ by it once more:

# %% slideshow={"slide_type": "-"}
[round(0.25**layers, 10) for layers in (1, 2, 4, 8)]

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Two networks of eight layers
#
# They differ in f alone. *Probes* record the length of each layer's gradient within
# every step of the training.

# %% slideshow={"slide_type": "-"}
data = cr.data.moons(400, noise=0.1)


def trained(f):
    cr.manual_seed(0)
    layers = [nn.Linear(2, 16), f()]
    for _ in range(6):
        layers += [nn.Linear(16, 16), f()]
    trainer = cr.Trainer(
        nn.Sequential(*layers, nn.Linear(16, 2)),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.SGD(lr=0.1, momentum=0.9),
        probes=["grad_norm/*"],
    )
    return trainer, trainer.fit(data, epochs=60, batch_size=20, progress=False)


sigmoid, of_sigmoid = trained(nn.Sigmoid)
relu, of_relu = trained(nn.ReLU)
of_sigmoid

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Layer by layer
#
# The gradients at the start, from the first layer to the last. With sigmoids the first
# layers get next to nothing; with ReLU, whose f′ is 0 or 1, all get their share.


# %% slideshow={"slide_type": "-"}
def at_the_start(history):
    names = [f"grad_norm/{2 * k}.weight" for k in range(8)]
    return np.array([history.steps[name][:10].mean() for name in names])


np.stack([at_the_start(of_sigmoid), at_the_start(of_relu)], 1)

# %% slideshow={"slide_type": "fragment"}
first, last = at_the_start(of_sigmoid)[[0, -1]]
bool(first < last / 1000)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What it means
#
# The network with sigmoids stays at guessing, the other one learns.

# %% slideshow={"slide_type": "-"}
[round(t.evaluate(data)["accuracy"], 2) for t in (sigmoid, relu)]

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A diagnosis
#
# The doctor finds it without being told what to look for, with its evidence and its
# cures.

# %% slideshow={"slide_type": "-"}
cr.diagnose(sigmoid, data)

# %% [markdown] slideshow={"slide_type": "slide"}
# **Try it.** `nn.Tanh` in place of the sigmoid; four layers; `nn.BatchNorm1d(16)`
# behind each `nn.Linear`; `optim.Adam(lr=0.01)`. Which of them lets the first layer
# learn?

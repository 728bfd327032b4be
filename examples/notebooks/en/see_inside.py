# %% [markdown]
# # See inside
#
# A network is no black box: every number of a training step can be written down.
# First a tiny network, by hand, then what a longer training tells.

# %%
import numpy as np

import chainrule as cr
from chainrule import nn, optim

cr.set_language("en")
cr.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 1))
model[0]

# %% [markdown]
# One training step: forwards to the loss, backwards to the gradients, then the
# update. The numbers are worked out anew from the formulas that are shown, and
# compared.

# %%
cr.explain(model, [0.5, 1.0], [1.0], loss=nn.MSELoss(), optimizer=optim.SGD(lr=0.1))

# %% [markdown]
# Are the derivatives right? A difference quotient says so for each of them, and where
# a function has a kink.

# %%
cr.check_gradients(lambda x: x.relu().sum(), [-1.0, 0.0, 2.0])

# %% [markdown]
# Now a training, with *probes*: numbers that are recorded within each step. Two
# classes of points lie in two half-moons.

# %%
data = cr.data.moons(400, noise=0.1)
cr.manual_seed(1)
model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
trainer = cr.Trainer(
    model,
    loss=nn.CrossEntropyLoss(),
    optimizer=optim.Adam(lr=0.02),
    probes=["activation_std/*", "update_ratio/*"],
)
history = trainer.fit(data, epochs=40, batch_size=32)
history

# %% [markdown]
# `history.steps` has every step. How far did the weights move in a step, in shares of
# their size? About a thousandth is healthy; a tenth is wild, a millionth is standing
# still.

# %%
ratio = history.steps["update_ratio/0.weight"]
np.round([ratio[:20].mean(), ratio[-20:].mean()], 4)

# %% [markdown]
# The weights after the training: the picture of a layer.

# %%
model[0]

# %% [markdown]
# **Try it.** `nn.Sigmoid()` instead of `nn.Tanh()`, five such layers on top of each
# other, and the probe `"grad_norm/*"`: which layers get a gradient, and which none?

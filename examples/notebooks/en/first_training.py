# %% [markdown]
# # First training
#
# Handwritten digits, a network of two layers, and what one sees on the way. Run the
# cells from top to bottom; the whole takes about ten seconds.

# %%
import numpy as np

import chainrule as cr
from chainrule import nn, optim

cr.set_language("en")
train, test = cr.data.mnist()
train

# %% [markdown]
# That is the *view* of a data set: what is in it, and its first images with their
# labels. Each image is a row of 784 numbers from 0 to 1. The network takes such a
# row, makes 64 numbers of it, and of these ten scores, one a digit.

# %%
cr.manual_seed(0)
model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
model

# %% [markdown]
# Before it has learnt, it guesses: about one in ten is right.

# %%
trainer = cr.Trainer(model, loss=nn.CrossEntropyLoss(), optimizer=optim.Adam(lr=1e-3))
trainer.evaluate(test)

# %% [markdown]
# Training: each step looks at 64 images and moves every weight a little against its
# gradient. An epoch is one pass over all 60,000.

# %%
history = trainer.fit(train, epochs=3, batch_size=64, validation=test)
history

# %% [markdown]
# What has the first layer learnt? Each of its 64 rows weighs the pixels; red counts
# for the neuron, blue against it.

# %%
model[0]

# %% [markdown]
# Which digits are still wrong? The captions are the network's answers.

# %%
answers = trainer.predict(test.x[:]).argmax(1)
wrong = np.flatnonzero(answers != test.y)
cr.data.Dataset(test.x[wrong], answers[wrong], classes=10, name="mistakes")

# %% [markdown]
# **Try it.** A learning rate of 0.1, and of 1e-5; 8 neurons instead of 64; ten
# epochs. Which of them changes the distance between training and validation loss?

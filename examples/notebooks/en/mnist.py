# %% [markdown] slideshow={"slide_type": "slide"}
# # Handwritten digits (MNIST)
#
# A first training: a network of two layers, and what one sees on the way (3.2.3 of
# the textbook). Run the cells from top to bottom; the whole takes about ten seconds.

# %% slideshow={"slide_type": "-"}
import numpy as np

import chainrule as cr
from chainrule import nn, optim

cr.set_language("en")
train, test = cr.data.mnist()
train

# %% [markdown] slideshow={"slide_type": "slide"}
# That is the *view* of a data set: what is in it, and its first images with their
# labels. Each image is a row of 784 numbers from 0 to 1. The network takes such a
# row, makes 64 numbers of it, and of these ten scores, one a digit.

# %% slideshow={"slide_type": "-"}
cr.manual_seed(0)
model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
model

# %% [markdown] slideshow={"slide_type": "slide"}
# Before it has learnt, it guesses: about one in ten is right.

# %% slideshow={"slide_type": "-"}
trainer = cr.Trainer(model, loss=nn.CrossEntropyLoss(), optimizer=optim.Adam(lr=1e-3))
trainer.evaluate(test)

# %% [markdown] slideshow={"slide_type": "slide"}
# Training: each step looks at 64 images and moves every weight a little against its
# gradient. An epoch is one pass over all 60,000.

# %% slideshow={"slide_type": "-"}
history = trainer.fit(train, epochs=3, batch_size=64, validation=test)
history

# %% [markdown] slideshow={"slide_type": "slide"}
# What has the first layer learnt? Each of its 64 rows weighs the pixels; red counts
# for the neuron, blue against it.

# %% slideshow={"slide_type": "-"}
model[0]

# %% [markdown] slideshow={"slide_type": "slide"}
# Which digits are still wrong? The captions are the network's answers.

# %% slideshow={"slide_type": "-"}
answers = trainer.predict(test.x[:]).argmax(1)
wrong = np.flatnonzero(answers != test.y)
cr.data.Dataset(test.x[wrong], answers[wrong], classes=10, name="mistakes")

# %% [markdown] slideshow={"slide_type": "slide"}
# **Try it.** A learning rate of 0.1, and of 1e-5; 8 neurons instead of 64; ten
# epochs. Which of them changes the distance between training and validation loss?

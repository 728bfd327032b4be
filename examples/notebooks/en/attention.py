# %% [markdown] slideshow={"slide_type": "slide"}
# # Attention
#
# How a network looks something up: queries, keys and values, first by hand, then
# learnt.

# %% slideshow={"slide_type": "-"}
import numpy as np

import chainrule as cr
from chainrule import nn, optim

cr.set_language("en")
Q = np.array([[2.0, 0.0]])
K = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
V = np.array([[10.0], [20.0], [30.0]])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## By hand
#
# How well does the query fit each key? Q Kᵀ, divided by √d, so that long vectors do not
# shout; softmax makes shares of it; the result is a mixture of the values.

# %% slideshow={"slide_type": "-"}
scores = Q @ K.T / np.sqrt(2)
shares = np.exp(scores) / np.exp(scores).sum()
[shares.round(4).tolist(), (shares @ V).round(4).tolist()]

# %% [markdown] slideshow={"slide_type": "fragment"}
# The same by the function of the framework:

# %% slideshow={"slide_type": "-"}
attended = nn.functional.scaled_dot_product_attention(Q, K, V)
bool(np.isclose(attended.item(), (shares @ V).item()))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A task
#
# Eight digits in a row, one of them marked. Which digit is it? No fixed place helps:
# the network has to look for the mark.

# %% slideshow={"slide_type": "-"}
rng = np.random.default_rng(0)


def sequences(n):
    digits, marked = rng.integers(10, size=(n, 8)), rng.integers(8, size=n)
    x = np.zeros((n, 8, 11), np.float32)
    x[..., :10] = np.eye(10)[digits]
    x[np.arange(n), marked, 10] = 1
    return x, digits[np.arange(n), marked], marked


x, y, _ = sequences(4000)
test_x, test_y, test_marked = sequences(500)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The network
#
# Every place asks with the mean of all; keys and values are learnt from what stands at
# each place.


# %% slideshow={"slide_type": "-"}
class Lookup(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(11, 16)
        self.attention = nn.MultiheadAttention(16, 1, batch_first=True)
        self.answer = nn.Linear(16, 10)

    def look(self, x):
        h = self.embed(x)
        return self.attention(h.mean(1, keepdim=True), h, h)

    def forward(self, x):
        return self.answer(self.look(x)[0][:, 0])


cr.manual_seed(0)
model = Lookup()
model.picture(test_x[:1])

# %% slideshow={"slide_type": "subslide"}
trainer = cr.Trainer(model, loss=nn.CrossEntropyLoss(), optimizer=optim.Adam(lr=5e-3))
history = trainer.fit((x, y), epochs=12, batch_size=50, validation=(test_x, test_y))
history

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Where it looks
#
# The shares of attention for the first test sequences, a row each: the bright place is
# that of the mark.

# %% slideshow={"slide_type": "-"}
shares = model.look(test_x)[1].numpy()[:, 0]
cr.tensor(shares[:16])

# %% slideshow={"slide_type": "fragment"}
found = float((shares.argmax(1) == test_marked).mean())
[found > 0.95, trainer.evaluate((test_x, test_y))["accuracy"] > 0.95]

# %% [markdown] slideshow={"slide_type": "slide"}
# **Try it.** Two marks, and the sum of both digits as the answer: what do the shares
# look like? And is it learnt without `/ √d`, for 64 features in place of 16?

# %% [markdown]
# # Your own table
#
# A table as people have them: numbers, texts, gaps. Here it is made up, so that the
# answer is known: the rent is 4.5 for each square metre, 120 more in the centre, and
# a little noise.

# %%
import csv

import numpy as np

import chainrule as cr
from chainrule import nn, optim

cr.set_language("en")
rng = np.random.default_rng(0)
with open("flats.csv", "w", newline="", encoding="utf-8") as file:
    table = csv.writer(file)
    table.writerow(["area", "floor", "district", "rent"])
    for _ in range(400):
        area, floor = rng.integers(25, 140), rng.integers(0, 9)
        district = ["centre", "north", "south"][rng.integers(3)]
        rent = 4.5 * area + 120 * (district == "centre") + rng.normal(0, 10)
        table.writerow([area, "" if floor == 8 else floor, district, round(rent, 2)])

# %% [markdown]
# What the columns hold is seen from all rows. A column of texts becomes one feature
# of 0 and 1 for each of its values; where a number is missing, the mean stands, and a
# feature says so.

# %%
data = cr.data.read_csv("flats.csv", target="rent")
data

# %%
data.report.notes()

# %% [markdown]
# A fifth of the rows is kept for the test. `Standardize` measures the *training* rows
# and becomes a part of the model; `Unstandardize` turns the answer back into rents.

# %%
train, test = data.split(0.8, seed=0)
cr.manual_seed(0)
model = nn.Sequential(
    nn.Standardize.of(train.x),
    nn.Linear(len(data.feature_names), 16),
    nn.ReLU(),
    nn.Linear(16, 1),
    nn.Unstandardize.of(train.y),
)
trainer = cr.Trainer(model, loss=nn.MSELoss(), optimizer=optim.Adam(lr=1e-2))
history = trainer.fit(train, epochs=60, batch_size=32, validation=test)
history

# %% [markdown]
# The mean absolute error is close to that of the noise, 8: more cannot be known.

# %%
trainer.evaluate(test)

# %% [markdown]
# Does it know what the centre costs? Two flats that differ in nothing else:

# %%
trainer.save("flats.ckpt")
with open("new.csv", "w", encoding="utf-8") as file:
    file.write("district,area,floor\ncentre,60,2\nsouth,60,2\n")
new = cr.data.read("new.csv", format=trainer.format, target=False)
trainer.predict(new.x)

# %% [markdown]
# **Try it.** Your own file instead of `flats.csv`: the name of its target column is
# all that must be said. A target of texts makes a classification: then the last layer
# has as many outputs as there are classes, and the loss is `nn.CrossEntropyLoss()`.

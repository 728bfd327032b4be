# %% [markdown]
# # Search with Optuna
#
# How many neurons, which learning rate? Optuna proposes, a short training answers,
# and trials that are behind the others end early.

# %%
import optuna

import chainrule as cr
from chainrule import nn, optim
from chainrule.tracking import OptunaPruning

cr.set_language("en")
optuna.logging.set_verbosity(optuna.logging.WARNING)
data = cr.data.spiral(1500, classes=3, noise=0.05)
train, rest = data.split(0.6, seed=0, stratify=True)
validation, test = rest.split(0.5, seed=0, stratify=True)
train

# %% [markdown]
# A trial: a network and a learning rate that Optuna chooses, and the validation loss
# that they lead to. `OptunaPruning` reports each epoch, and ends the run where it
# does not pay.


# %%
def trainer_of(params):
    cr.manual_seed(0)
    width = params["width"]
    layers = [nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh()]
    return cr.Trainer(
        nn.Sequential(*layers, nn.Linear(width, 3)),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.Adam(lr=params["lr"]),
    )


def objective(trial):
    params = {
        "width": trial.suggest_categorical("width", [8, 16, 32, 64]),
        "lr": trial.suggest_float("lr", 1e-4, 0.3, log=True),
    }
    history = trainer_of(params).fit(
        train,
        epochs=20,
        validation=validation,
        callbacks=OptunaPruning(trial),
        progress=False,
    )
    return history.epochs[-1]["validation_loss"]


study = optuna.create_study(
    direction="minimize",
    sampler=optuna.samplers.TPESampler(seed=0),
    pruner=optuna.pruners.MedianPruner(n_warmup_steps=5),
)
study.optimize(objective, n_trials=30)
study.best_params

# %% [markdown]
# How many trials went to their end?

# %%
pruned = sum(trial.state.name == "PRUNED" for trial in study.trials)
f"{len(study.trials)} trials, {pruned} pruned"

# %% [markdown]
# The winner was chosen by its validation loss, so that this number flatters it. What
# it is worth says the test part, which nobody has looked at.

# %%
trainer = trainer_of(study.best_params)
history = trainer.fit(train, epochs=60, validation=validation)
history

# %%
trainer.evaluate(test)

# %% [markdown]
# **Try it.** The dropout rate as a third parameter; `n_trials=100`; no pruner
# (`optuna.pruners.NopPruner()`): how much longer does it take, and is the winner
# better?

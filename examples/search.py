"""Fifty trials of a search: how many units, which learning rate, how much dropout?

Optuna proposes, a short training answers, and trials that are behind the median end
early. Most of a search of small networks is their compilation, as each width is a
program of its own: this one names a few widths, so that programs are used again.

Sources: Akiba et al. 2019, "Optuna: A Next-generation Hyperparameter Optimization
Framework"; Bergstra et al. 2011 for the sampler.

    pip install 'chainrule[optuna]'
    python examples/search.py
"""

from __future__ import annotations

import time

import chainrule as cr
from chainrule import nn, optim
from chainrule.tracking import OptunaPruning

TRIALS = 50


def data():
    """Three arms of a spiral, in parts to learn from, to choose by and to test with."""
    points = cr.data.spiral(1500, classes=3, noise=0.05, seed=0)
    train, rest = points.split(0.6, seed=0, stratify=True)
    return train, *rest.split(0.5, seed=0, stratify=True)


def trainer_of(params, engine="auto"):
    """A Trainer with the settings of a trial."""
    cr.manual_seed(0)
    width = params["width"]
    layers = []
    for inputs in (2, width):
        layers += [nn.Linear(inputs, width), nn.Tanh(), nn.Dropout(params["dropout"])]
    return cr.Trainer(
        nn.Sequential(*layers, nn.Linear(width, 3)),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.Adam(lr=params["lr"]),
        engine=engine,
    )


def run(engine="auto", trials=TRIALS, epochs=20, seed=0) -> dict:
    """Search; the best settings, how many trials were pruned, and the test accuracy."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    train, validation, test = data()

    def fitted(params, callbacks=()):
        trainer = trainer_of(params, engine)
        trainer.fit(
            train,
            epochs=epochs,
            validation=validation,
            callbacks=callbacks,
            progress=False,
        )
        return trainer

    def objective(trial):
        params = {
            "width": trial.suggest_categorical("width", [8, 16, 32, 64]),
            "lr": trial.suggest_float("lr", 1e-4, 0.3, log=True),
            "dropout": trial.suggest_categorical("dropout", [0.0, 0.1]),
        }
        trainer = fitted(params, OptunaPruning(trial))
        return trainer.history.epochs[-1]["validation_loss"]

    study = optuna.create_study(
        direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_warmup_steps=5),
    )
    study.optimize(objective, n_trials=trials)
    # The best was chosen by its validation loss: what it is worth the test part says.
    accuracy = fitted(study.best_params).evaluate(test)["accuracy"]
    pruned = sum(trial.state.name == "PRUNED" for trial in study.trials)
    return {"best": study.best_params, "pruned": pruned, "accuracy": accuracy}


def main() -> None:
    """The search, and how long it took."""
    started = time.perf_counter()
    made = run()
    seconds = time.perf_counter() - started
    print(f"{TRIALS} trials in {seconds:.1f} s, {made['pruned']} of them pruned")
    print(f"best: {made['best']}, accuracy of the test part {made['accuracy']:.1%}")


if __name__ == "__main__":
    main()

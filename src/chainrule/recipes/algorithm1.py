"""The book's Algorithm 1 (3.5) in NumPy, compared with the Trainer's result.

`algorithm1` below is the page of the book in NumPy: its seven steps in its own words,
one sample at a time, every sample a column. It trains two of the book's networks:

    3.2.2   2 → 2 → 1, sigmoid, ½(ŷ − y)² (3.7), on the four rows of XOR
    3.2.3   784 → 128 → 64 → 10, ReLU and softmax, cross-entropy, on digits of MNIST

Then a Trainer does the same from the same initial weights, on the same samples in the
same order. What to look at: the last line of each part, where the weights of the two
are compared. One is sixty lines of NumPy, the other a graph that was derived and
compiled; what separates them is rounding.

Where the book is silent or says less than a program must, a "note to the book" stands
at the line concerned.

    chainrule train algorithm1
    python -m chainrule.recipes.algorithm1
"""

# ruff: noqa: E741  (l is the book's letter for a layer)

from __future__ import annotations

import inspect
from itertools import pairwise
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes import Experiment
from chainrule.text import _, say

SUMMARY = _(
    "the book's seven steps (3.5) in NumPy on 3.2.2 and 3.2.3, equal to a Trainer"
)

TOLERANCE = 1e-4
MOST_EPOCHS = 5000
#: Weights count as equal that differ by at most this share of the largest in its array.
EQUAL = 1e-12
#: Rounding stays below that in so many steps; each step carries on what others left.
MANY = 30_000

EPOCHS_NOTE = """\
Note to the book: 3.4.3 calls one update an epoch. Below, as elsewhere, one update is a
step, and an epoch is a pass over all samples.
"""

# -- activations (2.7) and losses (2.5): f and f′, ℒ and ∇_ŷ ℒ -------------------------


def σ(z):
    """σ(z) = 1 / (1 + e⁻ᶻ)."""
    return 1 / (1 + np.exp(-z))


def relu(z):
    """max(0, z)."""
    return np.maximum(0, z)


def softmax(z):
    """e^zᵢ / Σⱼ e^zⱼ; the largest z is subtracted first, to avoid overflow."""
    e = np.exp(z - z.max())
    return e / e.sum()


#: f′. Of softmax, whose every output depends on every input, the Jacobian matrix J.
SLOPE = {
    σ: lambda z: σ(z) * (1 - σ(z)),
    relu: lambda z: (z > 0) * 1.0,
    softmax: lambda z: np.diagflat(softmax(z)) - softmax(z) @ softmax(z).T,
}


def half_square(ŷ, y):
    """½ Σ (ŷ − y)² (2.6.1, 3.7)."""
    return 0.5 * np.sum((ŷ - y) ** 2)


def cross_entropy(ŷ, y):
    """−Σ yᵢ ln ŷᵢ (3.3 (2)); y is 1 at the right class and 0 elsewhere."""
    return -np.sum(y * np.log(ŷ))


#: ∇_ŷ ℒ.
GRADIENT = {
    half_square: lambda ŷ, y: ŷ - y,
    cross_entropy: lambda ŷ, y: -y / ŷ,
}

# -- the page --------------------------------------------------------------------------


def algorithm1(sizes, f, loss, samples, *, η, tolerance, most_epochs, seed):
    """【Algorithm 1】前向與反向傳播訓練流程 (3.5)."""
    L = len(sizes) - 1  # the number of layers; the book's other L, the loss, is ℒ here
    z, a, δ, losses = {}, {}, {}, []
    f_prime = {l: SLOPE[f[l]] for l in f}

    # 1️⃣ 初始化參數：隨機生成 W⁽ˡ⁾, b⁽ˡ⁾
    W, b = initialise(sizes, seed)

    for epoch in range(most_epochs):
        before, total = {**W}, 0.0
        for x, y in columns(samples, seed, epoch):
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
            if f[L] is softmax:
                # Note to the book: softmax does not act on each element by itself, so
                # δ⁽ᴸ⁾ = Jᵀ ∇_ŷ ℒ takes the place of ⊙. With cross-entropy it is ŷ − y.
                δ[L] = f_prime[L](z[L]).T @ GRADIENT[loss](ŷ, y)
            else:
                δ[L] = GRADIENT[loss](ŷ, y) * f_prime[L](z[L])
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


# -- what the page takes for granted ---------------------------------------------------


def initialise(sizes, seed):
    """Draw W⁽ˡ⁾ and b⁽ˡ⁾ from U(−1/√n, 1/√n), n being the layer's number of inputs."""
    rng = np.random.default_rng(seed)
    W, b = {}, {}
    for l, (n, m) in enumerate(pairwise(sizes), start=1):
        W[l] = rng.uniform(-1, 1, (m, n)) / np.sqrt(n)
        b[l] = rng.uniform(-1, 1, (m, 1)) / np.sqrt(n)
    return W, b


def columns(samples, seed, epoch):
    """Yield the samples in a Trainer's order, as columns x and y."""
    for x, y in samples.batches(1, seed=seed, epoch=epoch):
        yield x.T, np.eye(samples.classes)[:, y] if samples.classes else y.T


# -- the same by the Trainer -----------------------------------------------------------


def state_dict(W, b):
    """Return W⁽ˡ⁾ and b⁽ˡ⁾ by parameter names in a Sequential (layers 0, 2, 4)."""
    weights = {f"{2 * l - 2}.weight": W[l] for l in W}
    return weights | {f"{2 * l - 2}.bias": b[l].ravel() for l in b}


def compare(
    page: dict[str, Any],
    model: nn.Module,
    loss: nn.Module,
    *,
    seed: int,
    engine: str,
    threads: int | None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run Algorithm 1 and the Trainer, and compare their losses and weights."""
    samples, η = page["samples"], page["η"]
    W, b, losses, stopped = algorithm1(**page, seed=seed)

    model.load_state_dict(state_dict(*initialise(page["sizes"], seed)))
    trainer = cr.Trainer(
        model,
        loss=loss,
        optimizer=optim.SGD(lr=η),
        engine=engine,
        seed=seed,
        threads=threads,
    )
    trainer.fit(samples, epochs=len(losses), batch_size=1, progress=False)

    ours, theirs = state_dict(W, b), model.state_dict()
    apart = max(abs(ours[k] - theirs[k]).max() / abs(ours[k]).max() for k in ours)
    result = {
        "samples": len(samples),
        "learning_rate": η,
        "epochs": len(losses),
        "steps": len(samples) * len(losses),
        "stopped_by": stopped,
        "first_loss": float(losses[0]),
        "last_loss": float(losses[-1]),
        "trainer_loss": float(trainer.history.epochs[-1]["train_loss"]),
        "engine": trainer.engine,
        "difference": float(apart),
        "equal": bool(apart <= EQUAL),
    }
    say(
        "  samples: {samples:,}, η = {η:g}, {steps:,} steps, {losses:,} epochs",
        samples=len(samples),
        η=η,
        steps=result["steps"],
        losses=len(losses),
    )
    if stopped == "tolerance":
        why = f"no weight moved by more than {page['tolerance']:g} in the last epoch"
    else:
        why = f"some weight still moved by more than {page['tolerance']:g} an epoch"
    say("  stopped by the {stopped}: {why}", stopped=stopped, why=why)
    say(
        "  mean loss: {losses:.3g} in the first epoch, {losses2:.3g} in the last",
        losses=losses[0],
        losses2=losses[-1],
    )
    verdict = "equal up to rounding" if result["equal"] else "NOT EQUAL"
    say(
        "  the Trainer's weights: {verdict}, off by {apart:.1e} (engine {engine})",
        verdict=verdict,
        apart=apart,
        engine=trainer.engine,
    )
    if not result["equal"] and result["steps"] > MANY:
        say(
            "  (In {steps:,} steps rounding alone can come to that: each step "
            "builds on the last.)",
            steps=result["steps"],
        )
    return result, ours


# -- the two networks ------------------------------------------------------------------


def xor() -> cr.data.Dataset:
    """Return the four samples of XOR, with targets 0.1 and 0.9 for false and true.

    σ never reaches 0 or 1: with those as targets the weights would grow for ever, and
    nothing would converge (LeCun et al. 2012, "Efficient BackProp", 4.5).
    """
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float64)
    y = np.array([[0.1], [0.9], [0.9], [0.1]])
    return cr.data.Dataset(x, y, name="XOR")


def small(**how: Any) -> dict[str, Any]:
    """Train the network of 3.2.2 with the loss of 3.7 to convergence, and compare."""
    say("3.2.2: 2 → 2 → 1 with σ, ℒ = ½ (ŷ − y)² (3.7), XOR with 0.1 and 0.9")
    page = {
        "sizes": [2, 2, 1],
        "f": {1: σ, 2: σ},
        "loss": half_square,
        "samples": xor(),
        "η": 2.0,
        "tolerance": TOLERANCE,
        "most_epochs": MOST_EPOCHS,
    }
    model = nn.Sequential(
        nn.Linear(2, 2, dtype="float64"),
        nn.Sigmoid(),
        nn.Linear(2, 1, dtype="float64"),
        nn.Sigmoid(),
    )
    result, weights = compare(page, model, nn.HalfSquaredErrorLoss(), **how)
    if result["last_loss"] > 0.01:
        say(
            "  Note to the book: from these initial weights it has not come to "
            "the solution. Gradient\n  descent finds a place where the "
            "gradient is zero, which need not be the best one.\n  Try another "
            "--seed."
        )
    model.load_state_dict(weights)
    for x, y in xor():
        ŷ = model(x[None]).item()
        print(f"    x = ({x[0]:.0f}, {x[1]:.0f})   y = {y[0]}   ŷ = {ŷ:.4f}")
    return result


def digits(count: int) -> tuple[cr.data.Dataset, cr.data.Dataset]:
    """Return the first ``count`` images of MNIST and 1,000 others, in float64."""
    train, test = cr.data.mnist()
    samples, others = (
        cr.data.Dataset(part.x[:].astype(np.float64), part.y, classes=10)
        for part in (train.take(min(count, len(train))), test.take(1000))
    )
    return samples, others


def large(count: int, **how: Any) -> dict[str, Any]:
    """Train the network of 3.2.3 with cross-entropy for three epochs, and compare."""
    say("3.2.3: 784 → 128 → 64 → 10 with ReLU and softmax, cross-entropy, MNIST")
    samples, others = digits(count)
    page = {
        "sizes": [784, 128, 64, 10],
        "f": {1: relu, 2: relu, 3: softmax},
        "loss": cross_entropy,
        "samples": samples,
        "η": 0.02,
        "tolerance": TOLERANCE,
        "most_epochs": 3,
    }
    model = nn.Sequential(
        nn.Linear(784, 128, dtype="float64"),
        nn.ReLU(),
        nn.Linear(128, 64, dtype="float64"),
        nn.ReLU(),
        nn.Linear(64, 10, dtype="float64"),
        nn.Softmax(),
    )
    from_probabilities = nn.CrossEntropyLoss(from_logits=False)
    result, weights = compare(page, model, from_probabilities, **how)
    model.load_state_dict(weights)
    ŷ = model(others.x[:]).numpy()
    right = ŷ.argmax(1) == others.y
    result["test_accuracy"] = float(right.mean())
    say("  of 1,000 images that it has not seen it reads {mean:.1%}", mean=right.mean())

    doubtful = ŷ.max(1).argmin()
    say("  δ⁽³⁾ of the one that it is least sure of (a {y}):", y=others.y[doubtful])
    ŷ, y = ŷ[[doubtful]].T, np.eye(10)[:, others.y[[doubtful]]]
    J = np.diagflat(ŷ) - ŷ @ ŷ.T
    for name, δ in (("Jᵀ ∇_ŷ ℒ", J.T @ (-y / ŷ)), ("ŷ − y", ŷ - y)):
        print(f"    {name:8}  " + " ".join(f"{d:7.4f}" for d in δ.ravel()))
    return result


def run(experiment: Experiment, *, limit: int = 1000) -> dict[str, Any]:
    """Print Algorithm 1, run it on both networks, and compare with the Trainer.

    Args:
        experiment: the seed of initial weights and the order of the samples.
        limit: how many images of MNIST to learn from.
    """
    print(inspect.getsource(algorithm1))
    print(EPOCHS_NOTE)
    how = {"seed": experiment.seed, **experiment.engine_options}
    networks = {"3.2.2": small(**how)}
    print()
    networks["3.2.3"] = large(limit, **how)
    return {"seed": experiment.seed, "networks": networks}


if __name__ == "__main__":
    run(Experiment("algorithm1"))

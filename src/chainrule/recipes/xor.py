"""XOR: impossible for a single neuron, solved by two layers (1.3, 2.8).

Minsky and Papert showed in 1969 that one layer of perceptrons cannot tell when exactly
one of two inputs is on. What to look at, in this order:

    1   Rosenblatt's rule finds AND and OR in a few passes.
    2   On XOR its weights come back to where they were. The order of the samples is
        fixed, so from there everything repeats: it never ends. And no other weights
        exist, by four inequalities that contradict each other.
    3   Three perceptrons in two layers do it: XOR is OR and not AND.
    4   Such layers can be learned from the samples, once the step is replaced by a
        function that has a derivative: gradient descent on eight tanh neurons.

    chainrule train xor
    python -m chainrule.recipes.xor
"""

from __future__ import annotations

from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, viz
from chainrule.recipes import Experiment
from chainrule.recipes.pictures import xor as pictures
from chainrule.text import _, say

SUMMARY = _("the perceptron that cannot (1.3), the two-layer network that can, drawn")
X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
LABELS = {
    "AND": np.array([0, 0, 0, 1]),
    "OR": np.array([0, 1, 1, 1]),
    "NAND": np.array([1, 1, 1, 0]),
    "XOR": np.array([0, 1, 1, 0]),
}
HIDDEN, EPOCHS, LR = 8, 500, 1.0


def learn(name: str) -> tuple[nn.Perceptron, dict[str, Any]]:
    """Train a perceptron on a logical function by Rosenblatt's rule until a repeat."""
    neuron = nn.Perceptron(2)
    states, mistakes = [state(neuron)], []
    while states[-1] not in states[:-1]:
        mistakes.append(neuron.learn(X, LABELS[name]))
        states.append(state(neuron))
    return neuron, {
        "converged": mistakes[-1] == 0,  # nothing was wrong, so nothing has changed
        "mistakes": mistakes,
        "states": states,
        "repeats": [states.index(states[-1]), len(mistakes)],
    }


def state(neuron: nn.Perceptron) -> list[float]:
    """Return a perceptron's weights w₁, w₂ and bias b."""
    return [*neuron.weight.numpy()[0].tolist(), *neuron.bias.numpy().tolist()]


def one_layer() -> tuple[dict[str, nn.Perceptron], dict[str, Any]]:
    """Train single perceptrons on logical functions, and print their limits."""
    say("1  One perceptron, ŷ = step(w₁x₁ + w₂x₂ + b), by Rosenblatt's rule, η = 1\n")
    neurons, results = {}, {}
    say("         w₁  w₂   b   mistakes in each pass")
    for name in LABELS:
        neurons[name], results[name] = learn(name)
        if name != "XOR":
            w1, w2, b = results[name]["states"][-1]
            mistakes = results[name]["mistakes"]
            print(f"   {name:4} {w1:3g} {w2:3g} {b:3g}  ", *mistakes)

    say("\n2  The same on XOR\n")
    results["XOR"]["cycle"] = show_cycle(neurons["XOR"], results["XOR"])
    say(
        "\n   No other weights do it either, for they would have to satisfy\n\n"
        "     (0,0) and (1,1):  b < 0   and  w₁ + w₂ + b < 0,  so  w₁ + w₂ + 2b < 0\n"
        "     (0,1) and (1,0):  w₂ + b ≥ 0  and  w₁ + b ≥ 0,   so  w₁ + w₂ + 2b ≥ 0\n"
        "\n   Its line in the plane, with the four labels:\n"
    )
    neuron = neurons["XOR"]
    pictures.print_plane(lambda x: neuron(x).numpy()[:, 0], X, LABELS["XOR"])
    return neurons, results


def show_cycle(neuron: nn.Perceptron, result: dict[str, Any]) -> list[list[float]]:
    """Print a perceptron's passes over XOR until the weights repeat, and the cycle."""
    labels = LABELS["XOR"]
    say("   pass  mistakes   w₁  w₂   b   then right, of 4")
    for i, (w1, w2, b) in enumerate(result["states"]):
        right = ((X @ [w1, w2] + b >= 0) == labels).sum()
        mistakes = result["mistakes"][i - 1] if i else ""
        print(f"   {i:4}  {mistakes:8}  {w1:3g} {w2:3g} {b:3g}   {right}")
    first, last = result["repeats"]
    say(
        "\n   Pass {last} ends with the weights that pass {first} ended with. The "
        "samples come\n   in the same order each time, so it goes on for ever:\n",
        last=last,
        first=first,
    )
    say("   sample    y   ŷ   w₁  w₂   b")
    cycle = [state(neuron)]
    for i in [*range(4)] * (last - first):
        ŷ = int(neuron(X[[i]]).item())
        neuron.learn(X[[i]], labels[[i]])
        cycle.append(state(neuron))
        w1, w2, b = cycle[-1]
        x1, x2 = X[i]
        print(f"   ({x1:g}, {x2:g})    {labels[i]}   {ŷ}  {w1:3g} {w2:3g} {b:3g}")
    return cycle


def two_layers_of_perceptrons(neurons: dict[str, nn.Perceptron]) -> list[int]:
    """Compose XOR from three perceptrons, AND of OR and NAND; return the outputs."""
    say("\n3  Three perceptrons in two layers: h₁ = OR, h₂ = NAND, ŷ = h₁ AND h₂\n")
    weights = {name: neuron.state_dict() for name, neuron in neurons.items()}
    hidden, output = nn.Perceptron(2, 2), nn.Perceptron(2)
    for key, parameter in hidden.named_parameters():
        parameter.copy_(np.concatenate([weights["OR"][key], weights["NAND"][key]]))
    output.load_state_dict(weights["AND"])
    h = hidden(X)
    y = output(h).numpy()[:, 0].astype(int)
    print("   x₁ x₂   h₁ h₂   ŷ")
    for (x1, x2), (h1, h2), ŷ in zip(X, h.numpy(), y):
        print(f"   {x1:2g} {x2:2g}   {h1:2g} {h2:2g}   {ŷ}")
    say(
        "\n   Each was learned by itself, from labels of its own. Nobody has labels "
        "for hidden\n   neurons, and step′ is 0 wherever it exists: the chain rule "
        "carries nothing back."
    )
    return y.tolist()


def two_layers(experiment: Experiment) -> nn.Sequential:
    """Train a network with one hidden tanh layer on all samples of XOR."""
    cr.manual_seed(experiment.seed)
    model = nn.Sequential(nn.Linear(2, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 2))
    sgd = optim.SGD(model.parameters(), lr=LR)

    @experiment.compile
    def train(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        loss = nn.functional.cross_entropy(model(x), y)
        model.zero_grad()
        loss.backward()
        sgd.step()
        return loss

    for __ in experiment.steps("network", EPOCHS, model=model, sgd=sgd):
        train(X, LABELS["XOR"])
    return model


def show_network(model: nn.Sequential) -> dict[str, Any]:
    """Print and draw a trained network's results on XOR."""
    say(
        "\n4  2 → {HIDDEN} tanh → 2 scores, cross-entropy, gradient "
        "descent, η = {LR:g}, {EPOCHS} steps\n",
        HIDDEN=HIDDEN,
        LR=LR,
        EPOCHS=EPOCHS,
    )
    labels = LABELS["XOR"]
    scores = model(X)
    loss = nn.functional.cross_entropy(scores, labels).item()
    p = scores.softmax(1).numpy()[:, 1]
    print("   x₁ x₂   P(ŷ = 1)")
    for (x1, x2), p1 in zip(X, p):
        print(f"   {x1:2g} {x2:2g}   {p1:.3f}")
    accuracy = float(((p > 0.5) == labels).mean())
    right = round(4 * accuracy)
    say("\n   {count} of 4 right, mean loss {loss:.4f}\n", count=right, loss=loss)
    pictures.print_plane(lambda x: model(x).numpy().argmax(1), X, labels)
    return {"probabilities": p.tolist(), "accuracy": accuracy, "loss": loss}


def run(experiment: Experiment) -> dict[str, Any]:
    """Show on XOR the limits of one layer, and solutions with two layers."""
    neurons, perceptrons = one_layer()
    composed = two_layers_of_perceptrons(neurons)
    model = two_layers(experiment)
    network = show_network(model)
    samples = cr.data.Dataset(X, LABELS["XOR"], name="XOR", classes=2)
    draw = viz.draw_decision_regions
    title = _("XOR: one perceptron")
    experiment.draw("perceptron", draw, neurons["XOR"], samples, title=title)
    title, classifier = _("XOR: two layers"), lambda x: model(x).softmax(1).detach()
    experiment.draw("network", draw, classifier, samples, title=title)
    return {"perceptrons": perceptrons, "composed": composed, "network": network}


if __name__ == "__main__":
    run(Experiment("xor"))

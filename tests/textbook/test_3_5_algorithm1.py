"""3.5: Algorithm 1, its seven steps against plain arithmetic and the Trainer."""

from __future__ import annotations

import numpy as np
from mpmath import mpf

import chainrule as cr
from chainrule import nn, optim
from chainrule.random import permutation
from tests.textbook.oracle import Pass, close, descend, exact

RATE, EPOCHS = 0.5, 3


def test_3_5_step_1_parameters_start_at_random():
    """W⁽ˡ⁾ and b⁽ˡ⁾ are drawn anew for each seed, and are the same for the same one."""

    def drawn(seed):
        cr.manual_seed(seed)
        return nn.Linear(3, 2).weight.numpy()

    assert not np.array_equal(drawn(0), drawn(1))
    assert np.array_equal(drawn(7), drawn(7))


def test_3_5_steps_2_to_7_are_what_the_trainer_does(rng, network):
    """Sample by sample: forward, loss, δ from the output back, W ← W − ηδaᵀ (and b)."""
    model, layers = network([2, 2, 1], ["Sigmoid", "Sigmoid"])
    X, Y = rng.normal(size=(4, 2)), rng.uniform(size=(4, 1))
    for epoch in range(EPOCHS):  # step 7: again, until it is enough
        for i in permutation(4, 11, epoch):  # step 2: a sample
            p = Pass(layers, exact(X[i]), exact(Y[i]))  # steps 3, 4 and 5
            layers = [  # step 6
                (
                    descend(W, p.dW[l], mpf(RATE)),
                    descend(b, p.delta[l], mpf(RATE)),
                    name,
                )
                for l, (W, b, name) in enumerate(layers, 1)  # noqa: E741
            ]
    trainer = cr.Trainer(
        model,
        loss=nn.HalfSquaredErrorLoss(),
        optimizer=optim.SGD(lr=RATE),
        engine="numpy",
        seed=11,
    )
    trainer.fit((X, Y), epochs=EPOCHS, batch_size=1, progress=False)
    for l, (W, b, _) in enumerate(layers):  # noqa: E741
        close(model[2 * l].weight.numpy(), W)
        close(model[2 * l].bias.numpy(), b)


def test_3_5_step_5_the_error_of_the_output_layer(rng, network):
    """δ⁽ᴸ⁾ = ∇_ŷ L ⊙ f′(z⁽ᴸ⁾), for an elementwise f."""
    model, layers = network([3, 2], ["Tanh"])
    x, y = rng.normal(size=3), rng.normal(size=2)
    shown = cr.explain(model, x, y, nn.HalfSquaredErrorLoss())
    p = Pass(layers, exact(x), exact(y))
    gradient = [a - t for a, t in zip(p.a[1], exact(y))]
    slope = [1 - a**2 for a in p.a[1]]
    close(shown.layer(1).delta[:, 0], [g * s for g, s in zip(gradient, slope)])


def test_3_5_step_5_with_softmax_the_jacobian_takes_the_place_of_the_slope():
    """δ = Jᵀ∇L = ŷ − y: for z = (1, 2, ½) and class 2 it is (0.231, −0.371, 0.140)."""
    from tests.textbook.oracle import softmax

    z = exact([1.0, 2.0, 0.5])
    predicted = softmax(z)
    truth = [0, 1, 0]
    gradient = [-t / p for t, p in zip(truth, predicted)]
    jacobian = [
        [predicted[i] * ((i == j) - predicted[j]) for j in range(3)] for i in range(3)
    ]
    by_jacobian = [
        sum(jacobian[i][j] * gradient[i] for i in range(3)) for j in range(3)
    ]
    model = nn.Sequential(nn.Linear(3, 3, bias=False, dtype="float64"), nn.Softmax())
    model.load_state_dict({"0.weight": np.eye(3)})
    loss = nn.CrossEntropyLoss(from_logits=False)
    shown = cr.explain(model, [1.0, 2.0, 0.5], [1], loss)
    close(shown.layer(1).delta[:, 0], by_jacobian)
    close(shown.layer(1).delta[:, 0], [p - t for p, t in zip(predicted, truth)])
    assert np.round(shown.layer(1).delta[:, 0], 3).tolist() == [0.231, -0.371, 0.140]

"""Small updates as one loop: what joins, and that it is what each would have been."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.engines.numpy import loops
from chainrule.engines.schedule.horizontal_fusion import horizontal_loop


def network() -> nn.Sequential:
    cr.manual_seed(0)
    layers = nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 7), nn.Tanh(), nn.Linear(7, 2)
    return nn.Sequential(*layers)


def trained(engine: str | None, make: Any) -> tuple[dict[str, Any], list[int]]:
    """The weights after three steps, and how many updates are one in the program."""
    model = network()
    optimizer = make(model)
    x = cr.tensor(np.linspace(-1, 1, 20, dtype=np.float32).reshape(4, 5))

    def step(x: cr.Tensor) -> cr.Tensor:
        model.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    run = step if engine is None else cr.compile(step, engine=engine)
    for _ in range(3):
        run(x)
    state = {k: np.array(v) for k, v in model.state_dict().items()}
    if engine is None:
        return state, []
    (program,) = run.programs
    nodes = program.executable.entries["step"].graph.nodes
    return state, [n.attrs["members"] for n in nodes if n.primitive is horizontal_loop]


def two_rates(model: nn.Sequential) -> optim.SGD:
    parameters = list(model.parameters())
    groups = [{"params": parameters[:2], "lr": 0.5}, {"params": parameters[2:]}]
    return optim.SGD(groups, lr=0.1)


OPTIMIZERS = {
    "sgd": (lambda m: optim.SGD(m.parameters(), lr=0.1), [6]),
    "two rates": (two_rates, [2, 4]),
    "momentum": (
        lambda m: optim.SGD(
            m.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1
        ),
        [6],
    ),
    "adamw": (lambda m: optim.AdamW(m.parameters(), lr=0.1, clip_norm=0.5), [6]),
}


@pytest.mark.parametrize("small", [10, 40, 32768])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_updates_as_one_are_what_each_is(name, small, monkeypatch) -> None:
    """In pieces too; what is not small stays alone."""
    monkeypatch.setattr(loops, "SMALL", small)
    monkeypatch.setattr(loops, "CACHE", 1000)
    make, members = OPTIMIZERS[name]
    wanted, _ = trained(None, make)
    got, joined = trained("numpy", make)
    if small == 32768:
        assert sorted(joined) == members
    for key, value in wanted.items():
        np.testing.assert_allclose(got[key], value, rtol=1e-5, atol=1e-6)


def test_parameters_with_one_gradient() -> None:
    """Two members read the same array: it cannot lie beside itself."""

    def run(engine: str | None) -> list[Any]:
        pair = [cr.tensor([1.0, 2.0, k], requires_grad=True) for k in (3.0, 5.0)]
        optimizer = optim.Adam(pair, lr=0.1)

        def step(x: cr.Tensor) -> cr.Tensor:
            for p in pair:
                p.grad = None
            ((pair[0] + pair[1]) * x).sum().backward()
            optimizer.step()
            return x.sum()

        function = step if engine is None else cr.compile(step, engine=engine)
        for _ in range(2):
            function(cr.tensor([[1.0, 2.0, 3.0], [0.5, 0.0, -1.0]]))
        return [p.numpy() for p in pair]

    np.testing.assert_allclose(run("numpy"), run(None), rtol=1e-6)

"""Control flow in compiled functions: scan, cond, while_loop."""

import chainrule as cr


def cell(state: cr.Tensor, x: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
    new = (state * 0.9 + x).tanh()
    return new, new * 2


last, outputs = cr.scan(cell, cr.zeros(3), cr.ones(5, 3))
print(last.tolist(), outputs.shape)


def heavy(x: cr.Tensor) -> cr.Tensor:
    return x.exp()


def light(x: cr.Tensor) -> cr.Tensor:
    return x + 1


@cr.compile(engine="numpy")
def choose(x: cr.Tensor) -> cr.Tensor:
    return cr.cond(x.sum() > 0, heavy, light, x)


print(choose(cr.ones(2)).tolist(), choose(-cr.ones(2)).tolist())


def going(state: tuple[cr.Tensor, cr.Tensor]) -> cr.Tensor:
    return state[0] < 100


def double(state: tuple[cr.Tensor, cr.Tensor]) -> tuple[cr.Tensor, cr.Tensor]:
    value, count = state
    return value * 2, count + 1


start = cr.tensor(3.0), cr.tensor(0)
value, count = cr.while_loop(going, double, start, max_steps=20)
print(value.item(), count.item())


def fibonacci(n: int) -> list[int]:
    def step(
        pair: tuple[cr.Tensor, cr.Tensor], _: None
    ) -> tuple[tuple[cr.Tensor, cr.Tensor], cr.Tensor]:
        a, b = pair
        return (b, a + b), a

    _, numbers = cr.scan(step, (cr.tensor(0), cr.tensor(1)), length=n)
    return numbers.tolist()


print(fibonacci(10))

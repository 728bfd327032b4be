"""Functions with derivatives of their own."""

from typing import Any

import chainrule as cr
from chainrule.autograd import Function


class StraightThrough(Function):
    """Rounds forwards, and passes the gradient on."""

    @staticmethod
    def forward(ctx: Any, x: cr.Tensor) -> cr.Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, grad_output: cr.Tensor) -> cr.Tensor:
        return grad_output


class ScaledExp(Function):
    @staticmethod
    def forward(ctx: Any, x: cr.Tensor, scale: float) -> cr.Tensor:
        y = cr.exp(x * scale)
        ctx.save_for_backward(y)
        ctx.scale = scale
        return y

    @staticmethod
    def backward(ctx: Any, grad_output: cr.Tensor) -> tuple[cr.Tensor, None]:
        (y,) = ctx.saved_tensors
        return grad_output * y * ctx.scale, None


def quantise(x: cr.Tensor, levels: int = 4) -> cr.Tensor:
    return StraightThrough.apply(x * levels) / levels


x = cr.linspace(0, 1, 5, requires_grad=True)
y = quantise(x)
y.sum().backward()
print(y.tolist(), x.grad)

t = cr.tensor([0.0, 1.0], requires_grad=True, dtype="float64")
z = ScaledExp.apply(t, 0.5)
z.sum().backward()
print(t.grad.tolist())
report = cr.check_gradients(lambda v: ScaledExp.apply(v, 2.0).sum(), t.detach())
print(report.worst.error < 1e-6)

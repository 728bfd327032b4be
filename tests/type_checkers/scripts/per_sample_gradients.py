"""Gradients of functions: grad, vmap, jacobian, hessian, per-sample gradients."""

from collections.abc import Mapping

import chainrule as cr
from chainrule import nn
from chainrule.func import functional_call, grad, jacrev, vmap


def rosenbrock(p: cr.Tensor) -> cr.Tensor:
    x, y = p[0], p[1]
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


point = cr.tensor([-1.0, 1.0])
slope = cr.grad(rosenbrock)(point)
print(slope, slope.norm().item())
value, g = cr.value_and_grad(rosenbrock)(point)
print(value.item(), g.shape)
print(cr.hessian(rosenbrock)(point).diagonal())
step = cr.linalg.solve(cr.hessian(rosenbrock)(point), g)
second = cr.grad(cr.grad(cr.Tensor.sigmoid))(cr.tensor(0.4))
print(second.item(), cr.grad(cr.sin)(0.0).item())
print("Newton:", (point - step).tolist())

model = nn.Linear(3, 1)
params = dict(model.named_parameters())


def loss(params: Mapping[str, cr.Tensor], x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
    out = functional_call(model, params, (x,))
    return ((out - y) ** 2).sum()


x, y = cr.randn(10, 3), cr.randn(10, 1)
each = vmap(grad(loss), in_dims=(None, 0, 0))(params, x, y)
print({name: tuple(g.shape) for name, g in each.items()})

jacobian = jacrev(lambda v: v * v.sum())(cr.tensor([1.0, 2.0, 3.0]))
print(jacobian.trace().item())
out, push = cr.jvp(cr.sin, [cr.zeros(2)], [cr.ones(2)])
result, pull = cr.vjp(lambda a, b: a @ b, cr.ones(2, 3), cr.ones(3))
print(out.tolist(), push.tolist(), result.shape, len(pull(cr.ones(2))))
a = cr.tensor(2.0, requires_grad=True)
(first,) = cr.autograd.grad(a**3, a, create_graph=True)
first.backward()
print(a.grad)

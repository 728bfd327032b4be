"""A compiled training step and a compiled prediction."""

import chainrule as cr
from chainrule import nn, optim

cr.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 16), nn.GELU(), nn.Linear(16, 1))
optimizer = optim.RMSprop(model.parameters(), lr=1e-2, momentum=0.5)
criterion = nn.MSELoss()


@cr.compile(engine="numpy")
def step(x: cr.Tensor, y: cr.Tensor, scale: float = 1.0) -> cr.Tensor:
    optimizer.zero_grad()
    loss = criterion(model(x), y) * scale
    loss.backward()
    optimizer.step()
    return loss


@cr.compile
def predict(x: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
    out = model(x)
    return out, out.std(dim=0)


x = cr.randn(32, 4)
y = x.sum(dim=1, keepdim=True)
losses = [step(x, y, scale=0.5).item() for _ in range(20)]
print(f"from {losses[0]:.3f} to {losses[-1]:.3f}")
out, spread = predict(x)
print(out.shape, spread.item(), predict(x)[0].mean().item())


def wave(t: cr.Tensor) -> cr.Tensor:
    return (t * 2).sin().sum()


fast = cr.compile(wave, engine="numpy", threads=1)
print(fast(cr.ones(3)))
compiled_model = cr.compile(model, engine="numpy")
print(compiled_model(x).shape, len(step.programs))
print(step.graph(x, y))

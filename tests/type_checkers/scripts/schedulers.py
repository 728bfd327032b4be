"""Optimisers with groups, and schedulers that are stepped as in PyTorch."""

from chainrule import Tensor, nn, optim, randn
from chainrule.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
optimizer = optim.SGD(
    [
        {"params": model[0].parameters(), "lr": 0.1},
        {"params": model[2].parameters()},
    ],
    lr=0.05,
    momentum=0.9,
    nesterov=True,
    weight_decay=1e-3,
)
warmup = LinearLR(optimizer, start_factor=0.1, total_iters=3)
cosine = CosineAnnealingLR(optimizer, T_max=5, eta_min=1e-4)
scheduler = SequentialLR(optimizer, schedulers=[warmup, cosine], milestones=[3])


def closure_loss() -> Tensor:
    return model(randn(16, 4)).square().mean()


for epoch in range(6):
    optimizer.zero_grad()
    loss = closure_loss()
    loss.backward()
    optimizer.step()
    scheduler.step()
    rates = [group["lr"] for group in optimizer.param_groups]
    print(epoch, rates, scheduler.get_last_lr()[0])

adam = optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.98), amsgrad=True)
plateau = ReduceLROnPlateau(adam, mode="min", factor=0.5, patience=1)
for value in (1.0, 0.9, 0.95, 0.97, 0.99):
    plateau.step(value)
halving = StepLR(adam, step_size=2, gamma=0.5)
inverse = LambdaLR(adam, lr_lambda=lambda epoch: 1 / (1 + epoch))
print(adam.param_groups[0]["lr"], len(adam.state_dict()["param_groups"]))
for kind in (optim.Adagrad, optim.NAdam, optim.RAdam):
    kind(model.parameters(), lr=0.01).step()

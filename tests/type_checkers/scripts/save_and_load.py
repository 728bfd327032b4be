"""Saving and loading of weights, optimisers and tensors."""

import copy
import tempfile
from pathlib import Path

import chainrule as cr
from chainrule import nn, optim

cr.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))
optimizer = optim.Adam(model.parameters(), lr=1e-2)
x = cr.randn(8, 2)
loss = model(x).square().mean()
loss.backward()
optimizer.step()

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "weights.safetensors"
    cr.save(model.state_dict(), path)
    weights = cr.load(path)
    print(sorted(weights), weights["0.weight"].shape)
    again = copy.deepcopy(model)
    missing, unexpected = again.load_state_dict(weights, strict=True)
    print(missing, unexpected)

    state = optimizer.state_dict()
    other = optim.Adam(again.parameters(), lr=1.0)
    other.load_state_dict(state)
    print(other.param_groups[0]["lr"])

    trainer = cr.Trainer(again, loss=nn.MSELoss(), optimizer=optim.SGD(lr=0.01))
    trainer.fit((x.numpy(), x.sum(1, keepdim=True).numpy()), epochs=1, batch_size=4)
    trainer.save(Path(folder) / "run.ckpt")
    loaded = cr.Trainer.load(Path(folder) / "run.ckpt")
    print(loaded.epoch, type(loaded.model).__name__, loaded.notes)

model.eval()
again.eval()
best = {k: v.copy() for k, v in model.state_dict().items()}
for name, array in best.items():
    print(name, array.dtype, array.shape)
model.load_state_dict(best)
for p in model[0].parameters():
    p.requires_grad_(False)
trainable = [p for p in model.parameters() if p.requires_grad]
print(len(trainable), sum(p.numel() for p in trainable), model.training)

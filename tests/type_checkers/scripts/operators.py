"""Operators between tensors, numbers and NumPy arrays; changes in place."""

import numpy as np

import chainrule as cr

x = cr.tensor([[1.0, -2.0], [3.0, 4.0]])
array = np.ones((2, 2), dtype=np.float32)

y = x + array
y = y * np.float32(2) - 1
y = 1 / (y.abs() + 1) ** 0.5
print((x * array).sum().item(), (2**x).max().item(), (x // 2).tolist(), (-x % 3)[0])
print((x @ x.T).trace().item(), (x > 0) & ~(x == 4), (x >= 3).any().item(), x != x)
print(abs(x).sum().item(), round(x.mean().item(), 2), divmod(x, 2)[0].tolist())
mask = (x > 0) | (x < -1)
bits = cr.tensor([1, 2, 3]) << 1
print(mask.sum().item(), bits ^ 1, bits >> 2, bits & 3, +x, int(x[0, 0]) + 1)

z = cr.zeros(2, 2)
z += 1
z -= array
z *= x
z.add_(x, alpha=0.5).mul_(2).clamp_(min=-1, max=3)
z.fill_(0.0)
z.copy_(x)
z.sub_(1.0).div_(2).abs_().sqrt_().nan_to_num_(0.0).zero_()
z[0].normal_(0.0, 1.0)
z.uniform_(0, 1)
print(z.shape, bool((z < 1).all()), float(z.sum()) >= 0, x.pow(2).sum(0, keepdim=True))

if x.sum() > 0 and x.mean() < 10:
    print(f"{x.sum():.1f}", x.dtype == cr.float32, len(x), x.ndim, x.device)
total = sum(row.sum() for row in x)
print(total, max(x[0]), sorted(x.flatten().tolist()), [v.item() for v in x[0]])
print(np.asarray(x).mean(), np.sin(x.numpy()).shape, np.allclose(x, x.clone()))
print(cr.maximum(x, cr.tensor(0.0)), cr.add(x, 1), cr.pow(x, 2), cr.clamp(x, 0, 1))
loss = cr.lerp(x, y, 0.25).square().mean() + 0.1 * x.norm(p=1)
print(loss.sqrt().exp().log1p().neg().item() < 0)

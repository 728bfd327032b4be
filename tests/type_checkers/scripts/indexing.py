"""Indexing, slicing, and moving elements."""

import numpy as np

import chainrule as cr

x = cr.arange(24).reshape(2, 3, 4)
print(x[0, 1, 2].item(), x[..., -1].shape, x[:, None].shape, x[1, ::2].tolist())
rows = cr.tensor([0, 2])
print(x[:, rows].shape, x[:, [0, 2], 1].shape, x[x > 20].tolist())
print(x[np.array([1, 0])].shape, x[0][1][2:].sum().item())

y = cr.zeros(3, 4)
y[0] = 1.0
y[:, 1] = cr.tensor([5.0, 6.0, 7.0])
y[1, 2:] += 3
y[y == 0] = -1
print(y)

first, second = x.unbind(0)
a, b = y.split(2, dim=1)
c, d, e = y.chunk(3)
print(first.shape, second.shape, a.shape, b.shape, c.shape, d.shape, e.shape)
print(cr.stack([a, b], dim=0).shape, cr.cat((a, b), dim=-1).shape)
print(y.gather(1, cr.tensor([[0], [1], [2]])).squeeze(1).tolist())
print(y.scatter(1, cr.tensor([[3], [3], [3]]), 9.0)[:, 3].tolist())
print(x.permute(2, 0, 1).shape, x.transpose(0, 1).shape, y.T.shape, x.mT.shape)
print(x.flatten(1).shape, y.unsqueeze(0).expand(2, -1, -1).shape, y.flip(0)[0, 1])
print(cr.where(y > 0, y, 0.0).sum().item(), y.index_select(1, rows).shape)
print(y.repeat(2, 1).shape, y.roll(1, dims=0).shape, y.diagonal().tolist())
values, indices = y.topk(2, dim=1)
ordered, order = y.sort(dim=1, descending=True)
largest = y.max(dim=1)
print(values.shape, indices[0, 0], ordered[0, 0], order.shape, largest.values.tolist())
for row in y:
    print(row.max().item(), len(row))
grid_y, grid_x = cr.meshgrid(cr.arange(2), cr.arange(3), indexing="ij")
print(grid_y.shape, grid_x[0].tolist(), cr.nonzero(y > 5).shape, int(y.argmax()))
n, m = y.shape
for i in range(n):
    for j in range(m):
        y[i, j] = i * m + j
print(y.view(-1)[:3], y.numel() // n)

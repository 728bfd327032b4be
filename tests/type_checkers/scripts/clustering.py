"""K-means and a soft assignment, written with tensors alone."""

import chainrule as cr


class KMeans:
    def __init__(self, k: int, rounds: int = 20, tolerance: float = 1e-4) -> None:
        self.k, self.rounds, self.tolerance = k, rounds, tolerance
        self.centres = cr.empty(0)

    def fit(self, x: cr.Tensor) -> "KMeans":
        self.centres = x[cr.randperm(len(x))[: self.k]].clone()
        for _ in range(self.rounds):
            labels = self.predict(x)
            before = self.centres.clone()
            for j in range(self.k):
                members = x[labels == j]
                if len(members):
                    self.centres[j] = members.mean(dim=0)
            if (self.centres - before).norm() < self.tolerance:
                break
        return self

    def predict(self, x: cr.Tensor) -> cr.Tensor:
        return cr.cdist(x, self.centres).argmin(dim=1)

    def inertia(self, x: cr.Tensor) -> float:
        nearest, _ = cr.cdist(x, self.centres).min(dim=1)
        return nearest.square().sum().item()


def student(x: cr.Tensor, centres: cr.Tensor, alpha: float = 1.0) -> cr.Tensor:
    d2 = (x[:, None] - centres[None]).square().sum(-1)
    q = (1 + d2 / alpha) ** (-(alpha + 1) / 2)
    return q / q.sum(dim=1, keepdim=True)


cr.manual_seed(0)
blobs = cr.data.blobs(90, classes=3, seed=1)
x = cr.tensor(blobs.x[:], dtype=cr.float32)
means = KMeans(3).fit(x)
q = student(x, means.centres)
p = q**2 / q.sum(dim=0)
p = p / p.sum(dim=1, keepdim=True)
print(means.inertia(x) >= 0, means.predict(x).bincount().tolist(), p.shape)
centres = means.centres.clone().requires_grad_()
loss = (p.detach() * (p.detach() / student(x, centres)).log()).sum(1).mean()
loss.backward()
print(loss.item(), centres.grad.shape, cr.unique(means.predict(x)).tolist())

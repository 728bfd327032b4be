"""A model with two inputs and two results: ratings of users for items."""

from typing import NamedTuple

import chainrule as cr
from chainrule import nn, optim


class Rating(NamedTuple):
    score: cr.Tensor
    confidence: cr.Tensor


class Recommender(nn.Module):
    def __init__(self, users: int, items: int, dim: int = 8) -> None:
        super().__init__()
        self.users = nn.Embedding(users, dim)
        self.items = nn.Embedding(items, dim)
        self.head = nn.Sequential(nn.Linear(2 * dim, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, user: cr.Tensor, item: cr.Tensor, scale: float = 1.0) -> Rating:
        u, i = self.users(user), self.items(item)
        score = (u * i).sum(dim=-1) * scale
        confidence = self.head(cr.cat([u, i], dim=-1)).squeeze(-1).sigmoid()
        return Rating(score, confidence)


cr.manual_seed(1)
model = Recommender(users=20, items=30)
optimizer = optim.AdamW(model.parameters(), lr=0.01, weight_decay=1e-4)
user = cr.randint(0, 20, (128,))
item = cr.randint(0, 30, (128,))
stars = ((user + item) % 5).float()

for epoch in range(5):
    rating = model(user, item, scale=2.0)
    error = nn.functional.mse_loss(rating.score, stars)
    loss = error + 0.01 * rating.confidence.mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
    optimizer.step()
    print(epoch, round(error.item(), 3))

score, confidence = model(user[:3], item[:3])
print(score.tolist(), confidence.shape)

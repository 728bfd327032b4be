"""Texts as bags of words: tokens, padding, an embedding bag, a classifier."""

import chainrule as cr
from chainrule import nn, optim

TEXTS = ["good film", "bad film", "very good", "very bad", "good good", "bad bad"]
LABELS = [1, 0, 1, 0, 1, 0]


class Vocabulary:
    def __init__(self, texts: list[str]) -> None:
        words = sorted({word for text in texts for word in text.split()})
        self.index = {word: i + 1 for i, word in enumerate(words)}

    def __len__(self) -> int:
        return len(self.index) + 1

    def encode(self, text: str) -> cr.Tensor:
        return cr.tensor([self.index.get(word, 0) for word in text.split()])


class Classifier(nn.Module):
    def __init__(self, vocabulary: int, dim: int = 8) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(vocabulary, dim, mode="mean", padding_idx=0)
        self.fc = nn.Linear(dim, 1)

    def forward(self, tokens: cr.Tensor) -> cr.Tensor:
        return self.fc(self.bag(tokens)).squeeze(-1)


cr.manual_seed(0)
vocabulary = Vocabulary(TEXTS)
tokens = nn.utils.rnn.pad_sequence(
    [vocabulary.encode(text) for text in TEXTS], batch_first=True, padding_value=0
)
labels = cr.tensor(LABELS, dtype=cr.float32)
model = Classifier(len(vocabulary))
optimizer = optim.Adagrad(model.parameters(), lr=0.5)
criterion = nn.BCEWithLogitsLoss(pos_weight=cr.tensor(1.5))
for _ in range(20):
    loss = criterion(model(tokens), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
with cr.inference_mode():
    probability = model(tokens).sigmoid()
right = (probability > 0.5) == labels.bool()
print(f"{right.float().mean():.0%}", [round(p, 2) for p in probability.tolist()])
for text, p in zip(TEXTS, probability):
    print(f"{text:12s} {p.item():.2f}")

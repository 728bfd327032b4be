"""An LSTM and a GRU that read sequences of characters."""

import chainrule as cr
from chainrule import nn, optim

TEXT = "hello world, hello words"
letters = sorted(set(TEXT))
index = {letter: i for i, letter in enumerate(letters)}


class CharModel(nn.Module):
    def __init__(self, vocabulary: int, hidden: int = 16, layers: int = 1) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, 8)
        self.lstm = nn.LSTM(8, hidden, num_layers=layers, batch_first=True)
        self.head = nn.Linear(hidden, vocabulary)

    def forward(
        self, x: cr.Tensor, state: tuple[cr.Tensor, cr.Tensor] | None = None
    ) -> tuple[cr.Tensor, tuple[cr.Tensor, cr.Tensor]]:
        out, state = self.lstm(self.embed(x), state)
        return self.head(out), state


def sample(model: CharModel, start: str, length: int) -> str:
    state = None
    text = start
    with cr.no_grad():
        for _ in range(length):
            logits, state = model(cr.tensor([[index[text[-1]]]]), state)
            text += letters[logits[0, -1].argmax().item()]
    return text


cr.manual_seed(0)
codes = cr.tensor([index[letter] for letter in TEXT])
model = CharModel(len(letters))
optimizer = optim.Adam(model.parameters(), lr=0.02)
criterion = nn.CrossEntropyLoss()
losses: list[float] = []
for _ in range(15):
    logits, (h, c) = model(codes[None, :-1])
    loss = criterion(logits.transpose(1, 2), codes[None, 1:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
logits, (h, c) = model(codes[None])
print(f"{losses[-1]:.2f} {sample(model, 'h', 8)!r} {h.shape} {c.shape}")

gru = nn.GRU(3, 5, bidirectional=True)
outputs, last = gru(cr.randn(7, 2, 3))
print(outputs.shape, last.shape)
cell = nn.GRUCell(3, 5)
hidden = cell(cr.randn(2, 3))
hidden = cell(cr.randn(2, 3), hidden)
packed = nn.utils.rnn.pad_sequence([cr.ones(2), cr.ones(3)])
print(hidden.shape, packed.shape)

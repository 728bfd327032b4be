"""A language model of a transformer's encoder, which stores its mask as it goes."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from tests.strangers.given import fill, labels

WORDS, WIDTH = 7, 4


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, dropout=0.0, max_len=10):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        pe = torch.zeros(max_len, d_model)
        position = torch.arange(0, max_len, dtype=torch.get_default_dtype())
        position = position.unsqueeze(1)
        div_term = torch.exp(
            torch.arange(0, d_model, 2).to(pe.dtype) * (-math.log(10000.0) / d_model)
        )
        pe[:, 0::2] = torch.sin(position * div_term)
        pe[:, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe.unsqueeze(0).transpose(0, 1))

    def forward(self, x):
        return self.dropout(x + self.pe[: x.size(0), :])


class TransformerModel(nn.Transformer):
    def __init__(self, ntoken, ninp, nhead, nhid, nlayers, dropout=0.0):
        super().__init__(
            d_model=ninp,
            nhead=nhead,
            dim_feedforward=nhid,
            num_encoder_layers=nlayers,
            dropout=dropout,
        )
        self.src_mask = None
        self.pos_encoder = PositionalEncoding(ninp, dropout)
        self.input_emb = nn.Embedding(ntoken, ninp)
        self.ninp = ninp
        self.decoder = nn.Linear(ninp, ntoken)

    def forward(self, src):
        if self.src_mask is None or self.src_mask.size(0) != len(src):
            mask = torch.log(torch.tril(torch.ones(len(src), len(src))))
            self.src_mask = mask.to(src.device)
        src = self.pos_encoder(self.input_emb(src) * math.sqrt(self.ninp))
        return F.log_softmax(self.decoder(self.encoder(src, mask=self.src_mask)), -1)


def main():
    source = torch.from_numpy(labels(WORDS, 28)).view(4, -1).t().contiguous()
    criterion = nn.NLLLoss()
    model = fill(TransformerModel(WORDS, WIDTH, 2, 8, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)

    @torch.compile
    def attend(data, targets):
        optimizer.zero_grad()
        loss = criterion(model(data).view(-1, WORDS), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.encoder.parameters(), 0.25)
        optimizer.step()
        return loss

    made = []
    for i in (0, 3, 4):
        seq_len = min(3, len(source) - 1 - i)
        data, targets = source[i : i + seq_len], source[i + 1 : i + 1 + seq_len]
        made.append(attend(data, targets.view(-1)).item())
    return made, model.decoder.weight

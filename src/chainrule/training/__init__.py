"""Training: the Trainer, its history, callbacks, checkpoints and progress."""

from chainrule.training.callbacks import Callback
from chainrule.training.history import History
from chainrule.training.trainer import Trainer

__all__ = ["Callback", "History", "Trainer"]

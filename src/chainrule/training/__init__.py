"""Training: the Trainer, its metrics, history, callbacks, checkpoints and progress."""

from chainrule.training import metrics
from chainrule.training.callbacks import Callback, LambdaCallback
from chainrule.training.history import History
from chainrule.training.logs import CSVLogger, JSONLinesLogger
from chainrule.training.metrics import Metric
from chainrule.training.stopping import BestCheckpoint, EarlyStopping
from chainrule.training.summary import Summary, summary
from chainrule.training.trainer import Trainer

__all__ = [
    "BestCheckpoint",
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "History",
    "JSONLinesLogger",
    "LambdaCallback",
    "Metric",
    "Summary",
    "Trainer",
    "metrics",
    "summary",
]

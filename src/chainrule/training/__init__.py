"""Training: the loop, the Trainer, history, callbacks, checkpoints, progress.

Where to look, from the outside to the inside:

    trainer       fit, resume, evaluate, predict, save, load: what users call
    checks,       what is refused, or warned of, before anything begins;
    suited        numbers whose size does not suit the network
    supervised    the loop of a Trainer: validation, losses and rate of an epoch
    loop          chunks of steps of any program, snapshots, signals, checkpoints
    state         where a run stands, and what it depends on, as one object
    snapshots     what a loop goes back to
    compiling     several functions as one program, for the loop
    source        where a loop's work comes from
    environments  where agents act: several side by side, which can be written down
    data_adapter  rows for training, shuffled in blocks
    programs      the compiled programs, made when data first ask for them
    entries       what they are traced from: a training step, evaluation, prediction

    probes                    numbers from within a step
    callbacks, stopping,      what runs between the chunks: your own, early stopping
    logs, progress            and the best checkpoint, logs on the disk, the display
    interrupt, nonfinite      signals; a loss that is no longer a number
    history                   what happened, as a table
    saving, document,         what a checkpoint holds, and what it must hold; the file
    checkpoint, lock          and who may write it
"""

from chainrule.training.callbacks import Callback, LambdaCallback
from chainrule.training.compiling import compile_program
from chainrule.training.environments import Environments, Transition
from chainrule.training.history import History
from chainrule.training.logs import CSVLogger, JSONLinesLogger
from chainrule.training.loop import Loop
from chainrule.training.source import Batches, BatchSource, StepInputs
from chainrule.training.state import RunState
from chainrule.training.stopping import BestCheckpoint, EarlyStopping
from chainrule.training.trainer import Trainer

__all__ = [
    "BatchSource",
    "Batches",
    "BestCheckpoint",
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "Environments",
    "History",
    "JSONLinesLogger",
    "LambdaCallback",
    "Loop",
    "RunState",
    "StepInputs",
    "Trainer",
    "Transition",
    "compile_program",
]

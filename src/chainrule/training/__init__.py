"""Training: the loop, the Trainer, history, callbacks, checkpoints, progress bars.

Where to look, from the outside to the inside:

    trainer       fit, resume, evaluate, predict, save, load: what users call
    checks,       what is refused, or warned of, before anything begins;
    suited        numbers whose size does not suit the network
    supervised    the loop of a Trainer: validation, losses and rate of an epoch
    saved         what a Trainer says of its run; how it is saved, loaded and copied
    loop          chunks of steps of any program, signals, callbacks
    recovery      what a loop records; snapshots, replays, checkpoints
    state         the position of a run, and what it depends on, as one object
    snapshots     the values that a snapshot holds, and how they are restored
    compiling     several functions as one program, for the loop
    source        the inputs of a loop's steps
    environments  where agents act: several side by side, whose state can be saved;
                  environment_checks: what they are given and return
    data_adapter  rows for training, shuffled: block has what they come in,
                  stream_adapter where a stream stands
    programs      the compiled programs, made when data first ask for them
    entries       what they are traced from: a training step, evaluation, prediction

    probes                    numbers from within a step
    callbacks, stopping,      what runs between the chunks: your own, early stopping
    logs, progress            and the best checkpoint, a log on the disk, the display
    resumable                 a loop of one's own that outlives a kill
    interrupt, nonfinite      signals; a loss that is no longer a number
    history                   what happened, as a table
    saving, document,         what a checkpoint holds, and what it must hold; the file
    checkpoint, lock          and who may write it
"""

from chainrule.engines import EngineName
from chainrule.engines.spread import Devices
from chainrule.training.callbacks import Callback, LambdaCallback
from chainrule.training.compiling import compile_program
from chainrule.training.environments import Environments, Transition
from chainrule.training.history import History
from chainrule.training.logs import CSVLogger
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
    "Devices",
    "EarlyStopping",
    "EngineName",
    "Environments",
    "History",
    "LambdaCallback",
    "Loop",
    "RunState",
    "StepInputs",
    "Trainer",
    "Transition",
    "compile_program",
]

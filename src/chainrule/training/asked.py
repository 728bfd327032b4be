"""The part of the Trainer that is asked: evaluation, prediction, what it is made of."""

from __future__ import annotations

from typing import Any

from chainrule.compilation.program import CompiledProgram
from chainrule.data import Dataset, Stream
from chainrule.data.adapter import as_column, as_data
from chainrule.errors import ArgumentError
from chainrule.nn import Module, output_semantics
from chainrule.optim import RuleOptimizer
from chainrule.text import _
from chainrule.training import checks
from chainrule.training.accumulation import Accumulator
from chainrule.training.averaging import WeightAverage
from chainrule.training.data_adapter import as_weights
from chainrule.training.entries import Entries
from chainrule.training.objective import Objective
from chainrule.training.programs import Programs
from chainrule.training.saved import SavedTrainer
from chainrule.util.keywords import strict
from chainrule.util.pytree import is_nest, leaves
from chainrule.util.validation import whole


@strict
class AskedTrainer(SavedTrainer):
    """Base class of the Trainer: its parts, its programs, evaluation and prediction."""

    _entries: Entries
    _programs: Programs

    @property
    def model(self) -> Module:
        """The Trainer's network; another network needs a new Trainer."""
        return self._entries.model

    @property
    def loss(self) -> Any:
        """The Trainer's loss function, or its losses; others need a new Trainer."""
        return self._entries.objective.given

    @property
    def objective(self) -> Objective:
        """The Trainer's losses and their weights."""
        return self._entries.objective

    @property
    def batch_transform(self) -> Any:
        """The Trainer's transform of training batches, or None."""
        return self._entries.transform

    @property
    def average(self) -> WeightAverage | None:
        """The running mean of the Trainer's weights, or None."""
        return self._entries.average

    @property
    def accumulator(self) -> Accumulator:
        """The sums of gradients of the batches of the Trainer's next update."""
        return self._entries.accumulator

    @property
    def averaged_model(self) -> Module:
        """A copy of the Trainer's network with the running mean of its weights.

        Raises:
            ArgumentError: a Trainer without ``ema_decay``.
        """
        self._recover()
        if self.average is None:
            raise ArgumentError(
                _("This Trainer keeps no mean of the weights."),
                expected="Trainer(…, ema_decay=0.999)",
                got="ema_decay=None",
                fix=_("trainer.model has the weights of the last update"),
            )
        self.average.follow()
        return self.average.copy()

    @property
    def optimizer(self) -> RuleOptimizer:
        """The Trainer's optimiser; another one needs a new Trainer."""
        return self._entries.optimizer

    @property
    def program(self) -> CompiledProgram:
        """The Trainer's compiled program: ``print(trainer.program.schedule)``.

        Raises:
            ArgumentError: nothing has been trained yet, so nothing is compiled.
        """
        if self._programs.training is None:
            raise ArgumentError(
                _("This Trainer has no program yet: it is traced for the data."),
                expected=_("trainer.program after fit"),
                got=_("a Trainer that has not seen data"),
                fix=_("trainer.fit(train, epochs=1), or trainer.profile(train)"),
            )
        return self._programs.training.program

    def like(self, data: Any) -> Dataset | Stream:
        """Convert data to the columns and classes of the Trainer's training data.

        Columns of frames and of data sets are found by their names, and so are the
        labels of named classes; those of arrays count by their places. All methods do
        so with what they are given.

        Raises:
            DataError: a column of the training data is missing, or a class is new.
        """
        return as_data(data, self.plan)

    # -- using -----------------------------------------------------------------------

    def evaluate(
        self,
        data: Any,
        batch_size: int | None = None,
        *,
        sample_weight: Any = None,
    ) -> dict[str, Any]:
        """Compute the model's loss and metrics over a whole data set.

        Args:
            data: a ``Dataset``, a pair (inputs, targets), or a ``Stream``.
            batch_size: samples a batch; it changes the results by rounding at most.
                None: 1000, or fewer of a large network, so that its largest value
                takes 128 MiB in float32, and 32 at least.
            sample_weight: how much the loss of each row counts, one number ≥ 0 a row:
                Σ w ℓ / Σ w. Metrics count every row once.

        Returns:
            ``loss``, then each metric under its name. The loss is the mean over the
            samples: for a loss with weights Σ w ℓ / Σ w over all of them, whatever the
            batches, and also for a loss whose ``reduction`` is ``"sum"``. Of several
            losses their weighted sum, then each as ``NAME_loss``; metrics of outputs
            are ``NAME_accuracy`` and so on.

        Raises:
            NonFiniteError: the model gives NaN or infinity, with the rows.
        """
        self._recover()
        fix = _("evaluate((x, y), batch_size=1000)")
        size = None if batch_size is None else whole("batch_size", batch_size, fix=fix)
        dataset = self.like(data)
        checks.same_scale(self.scales, dataset)
        weights = as_weights(sample_weight, dataset, self.objective)
        if self.average is not None:
            self.average.follow()
        return self._programs.evaluate(dataset, size, weights)

    def predict(
        self, x: Any, output: str | None = None, *, batch_size: int | None = None
    ) -> Any:
        """Compute the Trainer's predictions: the model's output for each row of x.

        Args:
            x: features of shape (n, …): an array, several inputs as in training, a
                ``Dataset`` (its ``x``) or a ``Stream``.
            output: None gives what the network gives; ``"probabilities"`` and
                ``"logits"`` (scores before softmax or sigmoid; the logarithms of the
                probabilities where the network ends in these) what that means under the
                loss; ``"classes"`` the decided classes: their names where the training
                data had names, −1 and 1 under a hinge loss, else numbers from 0.
            batch_size: samples a batch; None as in :meth:`evaluate`.

        Returns:
            An array; of several outputs a dictionary or a tuple of arrays.

        Raises:
            ArgumentError: an output that does not exist, or not for this network.
            NonFiniteError: NaN or infinity in x, or in what the model gives.
        """
        self._recover()
        size = None if batch_size is None else whole("batch_size", batch_size)
        if output is not None:
            output_semantics.check_output(output, self.loss)
        column = as_column(x, self.plan)
        checks.same_scale(self.scales, column)
        if self.average is not None:
            self.average.follow()
        outputs = self._programs.predict(column, size)
        if output is None:
            return outputs
        if is_nest(outputs):
            raise ArgumentError(
                _("predict(output=…) translates the output of a network that has one."),
                expected=_("output=None for several outputs"),
                got=f"output={output!r}, {', '.join(leaves(outputs, 'output'))}",
                fix=_("predict(x) gives all of them by their names"),
            )
        names = self.class_names
        return output_semantics.translate(
            outputs, output, model=self.model, loss=self.loss, class_names=names
        )

    @property
    def seconds_compile(self) -> float:
        """The seconds that the Trainer has spent on tracing and compiling."""
        return self._programs.seconds

    @property
    def seconds_training(self) -> float:
        """The seconds that the Trainer has spent inside the training loop.

        The steps and the shuffling count, and waiting for a stream; compiling,
        evaluation, checkpoints, display and callbacks do not. A resumed run counts all
        of its parts.
        """
        earlier = sum(row["seconds"] for row in self.history.epochs)
        return self.state.seconds + earlier

"""The trial runs of a diagnosis: what they may cost, and the scores of what came."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property

import numpy as np

from chainrule.doctor import evidence, labels, network
from chainrule.doctor.draws import other_draw
from chainrule.doctor.finding import Change, shown
from chainrule.doctor.initialising import redrawn
from chainrule.doctor.setup import PROBES, Record, Setup, as_drawn, run
from chainrule.doctor.subject import SCORED, Subject, is_own
from chainrule.errors import ChainruleError, NonFiniteError
from chainrule.graph.node import Array
from chainrule.nn import output_semantics
from chainrule.text import _, ngettext

#: So far apart are the seeds of trial runs: people's are small numbers, and what one of
#: them has drawn is no other draw.
APART = 1_000_003


class Trials(Subject):
    """A subject, and trial runs of it on copies, the one as asked made once.

    See :class:`~chainrule.doctor.subject.Subject` for arguments and attributes.
    """

    @cached_property
    def step_cost(self) -> float:
        """The assumed seconds of one training step."""
        found = self.network
        if found is None:
            return evidence.step_seconds(self.setup.engine, 0.0)
        sizes = dict.fromkeys(("N", *found.graph.size_names), self.setup.batch_size)
        work = network.cost(found.graph, sizes) * evidence.BACKWARD
        return evidence.step_seconds(self.setup.engine, work)

    @cached_property
    def trial_steps(self) -> int:
        """The largest number of steps of a trial run."""
        return max(20, int(evidence.TRIAL * self.budget.seconds / self.step_cost))

    def cost(self, setup: Setup) -> float:
        """Return the assumed seconds of a run: of its steps, and of its epochs."""
        return setup.steps * self.step_cost + setup.epochs * evidence.EPOCH

    def prepared(self, *changes: Change, seed: int = 0, steps: int = 0) -> Setup:
        """Return a copy with changes, for a trial run of at most so many steps."""
        setup = self.setup.copy()
        setup.train = self.part or setup.train
        if len(setup.held_out) > SCORED:
            setup.held_out = setup.held_out.take(SCORED)
        setup.seed = setup.seed + APART * seed
        for change in changes:
            change.apply(setup)
        setup.epochs = self._epochs(setup)
        setup.batch_size = min(setup.batch_size, len(setup.train))
        times = max([change.times for change in changes], default=1)
        besides = 0.0 if steps else evidence.EPOCH / self.step_cost
        return setup.shortened((steps or self.trial_steps) * times, besides)

    def _epochs(self, setup: Setup) -> int:
        """Return the epochs for as many steps as were asked for.

        Rows that the doctor holds out itself would else shorten the run.
        """
        if self.part is None:
            return setup.epochs
        asked = replace(setup, train=self.train)
        longer = asked.steps_per_epoch / setup.steps_per_epoch
        return max(setup.epochs, round(setup.epochs * longer))

    @cached_property
    def complete(self) -> bool:
        """A flag: trial runs are as long as the run that was asked for."""
        return self.prepared().epochs >= self.setup.epochs and (
            self.setup.steps <= self.trial_steps
        )

    @cached_property
    def share(self) -> float:
        """The share of the asked steps that the trial runs have.

        What ends without numbers does not catch up: that counts as all of them. 0
        where they only began, and their loss did not rise.
        """
        if self.complete or isinstance(self.trial.error, NonFiniteError):
            return 1.0
        share = min(1.0, self.prepared().steps / self.setup.steps)
        first, last = self.trial.loss_at_start(), self.trial.loss_at_end()
        rises = last > first + (evidence.RISEN - 1) * abs(first)
        return share if share >= evidence.BEGINNING or rises else 0.0

    @cached_property
    def trial(self) -> Record:
        """The run as asked, or a shorter one, with probes."""
        setup = self.prepared()
        self.budget.takes(self.cost(setup))
        record = run(setup, PROBES, watch=True)
        self.examined["trial_run"] = (
            ngettext(
                "it ended in an error, after {n:,} step",
                "it ended in an error, after {n:,} steps",
                n=len(record.losses),
            )
            if record.error is not None
            else _(
                "it was stopped early, after {n:,} of the {all:,} steps",
                n=len(record.losses),
                all=self.setup.steps,
            )
            if record.stopped
            else ngettext(
                "the {n:,} step that was asked for",
                "all of the {n:,} steps that were asked for",
                n=setup.steps,
            )
            if self.complete
            else _(
                "{n:,} of the {all:,} steps that were asked for",
                n=setup.steps,
                all=self.setup.steps,
            )
        )
        return record

    @property
    def runs(self) -> bool:
        """A flag: the trial run was not refused, whatever numbers it gave."""
        if self.network is None:
            return False
        error = self.trial.error
        return error is None or isinstance(error, NonFiniteError)

    @property
    def never_begins(self) -> bool:
        """A flag: the first step already gives no number, so no rate plays a part."""
        return self.trial.error is not None and not len(self.trial.losses)

    @cached_property
    def score(self) -> float | None:
        """The score of the trial run; None where it gave no numbers."""
        score = self.score_of(self.trial)
        if score is not None:
            n = min(SCORED, len(self.setup.held_out))
            trained_on = self.setup.held_out is self.train or self.fitted
            rows = (
                ngettext("{n} training row", "{n} training rows", n=n)
                if trained_on
                else ngettext("{n} held-out row", "{n} held-out rows", n=n)
            )
            self.examined["score"] = _(
                "{name} {score} on {rows}; {base} for a constant answer",
                name=labels.METRICS[self.metric],
                score=shown(self.metric, score),
                rows=rows,
                base=shown(self.metric, self.baseline),
            )
        return score

    @property
    def can_be_sick(self) -> bool:
        """A flag: a change could better the score by about what counts as sick.

        Half of it is enough to look: other seeds may be worse than the first.
        """
        return self.score is None or self.score < 1 - evidence.SICK[self.metric] / 2

    def score_of(self, record: Record) -> float | None:
        """Return the score of a run on the held-out rows; None without numbers."""
        if record.error is not None or record.trainer is None:
            return None
        if self.metric == "share_of_loss_gone":
            # Another loss has another first one, and a refused trial has none.
            own = record.setup.other_loss or not len(self.trial.losses)
            first = (record if own else self.trial).loss_at_start()
            last = record.rows[-1]["validation_loss"] if record.rows else math.nan
            known = first > 0 and math.isfinite(last)
            return float(np.clip(1 - last / first, -1, 1)) if known else None
        held = record.setup.held_out.take(min(SCORED, len(record.setup.held_out)))
        try:
            outputs = record.trainer.predict(held)
        except ChainruleError:
            return None
        if self.metric == "r2":
            y = np.asarray(held.y, np.float64).reshape(len(held), -1)
            if outputs.size != y.size:
                return None
            off = ((outputs.reshape(y.shape).astype(np.float64) - y) ** 2).sum()
            spread = float(((y - y.mean(0)) ** 2).sum())
            return max(-1.0, 1 - float(off) / spread) if spread else None
        known, said = self.classes(held.y), self._said(record, outputs)
        return float((said == known).mean()) if len(said) == len(known) else None

    def _said(self, record: Record, outputs: Array) -> Array:
        """Return the classes that outputs mean."""
        if outputs.ndim == 2 and outputs.shape[1] > 1 and self.task == "classes":
            return outputs.argmax(1)
        return (outputs.reshape(-1) >= self._cut(record, outputs)).astype(int)

    @cached_property
    def answers(self) -> Array | None:
        """The classes that the trial gives the first held-out rows; None without."""
        trained = self.trial.trainer
        if self.score is None or self.metric != "accuracy" or trained is None:
            return None
        held = self.setup.held_out.take(min(SCORED, len(self.setup.held_out)))
        try:
            return self._said(self.trial, trained.predict(held))
        except ChainruleError:
            return None

    def _cut(self, record: Record, outputs: Array) -> float:
        """Return the output from which on a run says 1.

        Under a loss of one's own of 0 and 1 it is a half where the network ends in
        probabilities: a margin of them has its sign there. A loss that takes a sigmoid
        itself has not.
        """
        loss = record.setup.loss
        cut = output_semantics.threshold(loss)
        if is_own(loss):
            cut = self.asked.cut
            known = self.network
            ends = known is not None and known.end_kind == network.SIGMOID
            parts = outputs, self.train.y
            shares = ends and all(bool(((a >= 0) & (a <= 1)).all()) for a in parts)
            if shares and not self.sigmoid_in_loss:
                return 0.5
        return 0.5 if cut is None else cut

    def run_scored(self, setup: Setup) -> float | None:
        """Run a copy and return its score."""
        watch = self.metric == "share_of_loss_gone"
        return self.score_of(run(setup, watch=watch))

    def drawn(self, *changes: Change, seed: int) -> Setup:
        """Return a copy with changes whose initial weights and order are of a seed.

        Weights that have an order, which may have been trained, are kept. The seed 0
        has the weights as they are.
        """
        draw = self._redraw if self.fitted else self._other_draw
        return self.prepared(*([draw] if draw and seed else []), *changes, seed=seed)

    def known_as_it_is(self, seed: int) -> bool:
        """Run the setup as it is with a seed, once; return whether the budget reaches.

        Without changes a seed gives the same beside every change.
        """
        if not self.before:
            self.before[0] = self.score
        if seed not in self.before:
            setup = self.drawn(seed=seed)
            if not self.budget.takes(self.cost(setup)):
                return False
            self.before[seed] = self.run_scored(setup)
        return True

    def as_it_is(self) -> float:
        """Return the mean score of the run as it is, over the seeds that were run.

        Without numbers a run is worth what a constant answer is.
        """
        known = self.before or {0: self.score}
        found = [self.baseline if s is None else s for s in known.values()]
        return float(np.mean(found))

    @cached_property
    def _redraw(self) -> Change:
        """Other initial weights, where those given look like a draw."""
        return redrawn(as_drawn(self.setup.model))

    @cached_property
    def _other_draw(self) -> Change | None:
        """Other initial weights of the same rule, where all look like a draw."""
        return other_draw(self.setup)

    def noise(self, before: float | None, after: float | None) -> float:
        """Return the standard error of the difference of two scores.

        Of rows that are all there is, none are drawn.
        """
        if self.fitted:
            return 0.0
        n = min(SCORED, len(self.setup.held_out))
        a, b = (self.baseline if s is None else s for s in (before, after))
        if self.metric == "accuracy":
            # Two hits and two misses more: of a few rows, all or none right is chance.
            a, b = ((s * n + 2) / (n + 4) for s in (a, b))
            return math.sqrt(max(a * (1 - a) + b * (1 - b), 0.0) / n)
        # A mean of n squares of normal numbers has a relative error of √(2/n).
        return math.sqrt(2 / n) * math.hypot(1 - a, 1 - b)

"""The standing of a run beside references that know nothing of its network or plan."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from chainrule.doctor import evidence, reference, standard
from chainrule.doctor.columns import ASKED, KNOWN
from chainrule.doctor.subject import BLOCK
from chainrule.doctor.trials import Trials
from chainrule.graph.node import Array
from chainrule.random import permutation
from chainrule.text import _, ngettext

#: Rows below which a standard network is not trained; below which its score decides
#: nothing on its own.
FEWEST, ENOUGH = 8, 20
#: Standard errors that are no chance, of half of the rows beside all of them.
ERRORS = 2.0
#: A standard network of convolutions takes no more of the budget than this share.
CONVOLVED = 0.25
#: As many words as are counted at most.
WORDS = 2000
#: So many columns of words at places are looked at, at most.
PLACES = 1024


class Standing(Trials):
    """Trial runs, and references beside them, each made once.

    See :class:`~chainrule.doctor.subject.Subject` for arguments and attributes.
    """

    @cached_property
    def _pictures(self) -> tuple[Array, Array, Array, Array] | None:
        """Training rows, some held-out rows, and their targets, all as matrices.

        None where there are no single features and targets, or too few rows.
        """
        if not self.single or self.task == "unknown":
            return None
        train, held = self.part or self.train, self.setup.held_out
        if len(train) < FEWEST and not self.fitted:
            return None
        rows = np.sort(permutation(len(train), 0, 0)[:KNOWN])
        x = self._features(train.x[rows])
        count = min(ASKED, len(held))
        asked = self._features(held.x[:count])
        y, truth = self._targets(train.y[rows]), self._targets(held.y[:count])
        if len(y) != len(x) or len(truth) != count or x.shape[1] != asked.shape[1]:
            return None
        return x, y, asked, truth

    @cached_property
    def signal(self) -> float | None:
        """The score of references that know nothing of the network or its training.

        The best one of the five nearest neighbours, a linear fit and a standard
        network; where the rows that are asked are the training rows, of rows known by
        heart. None where there are no single features and targets, or too few rows.
        """
        if self._pictures is None or (len(self.train) < ENOUGH and not self.fitted):
            return None
        x, y, asked, truth = self._pictures
        if self.fitted:
            return reference.agreement(
                self.task, reference.by_heart(asked, truth), truth
            )
        found = [reference.by_neighbours(x, y, asked), reference.by_line(x, y, asked)]
        scores = [self.standard]
        scores += [
            reference.agreement(self.task, said, truth)
            for said in found
            if said is not None
        ]
        self.examined["signal"] = ngettext(
            "the five nearest neighbours of {n} row among {k}, and a linear fit",
            "the five nearest neighbours of {n} rows among {k}, and a linear fit",
            n=len(asked),
            k=len(x),
        )
        return max((s for s in scores if s is not None), default=None)

    @cached_property
    def standard(self) -> float | None:
        """The score of a standard network of the training rows; None: no budget."""
        if self._pictures is None or self.fitted:
            return None
        x, y, asked, truth = self._pictures
        sizes = len(x), x.shape[1], y.shape[1]
        form = self._form_within(*sizes)
        cost = standard.seconds(self.setup.engine, *sizes, form)
        if not self.budget.takes(cost):
            self.not_examined["standard"] = _("a standard network: the budget is spent")
            return None
        said = standard.answers(self.task, x, y, asked, *self._engine, form)
        self.examined["standard"] = ngettext(
            "one of {n} row, asked for {asked}",
            "one of {n} rows, asked for {asked}",
            n=len(x),
            asked=len(asked),
        )
        return None if said is None else reference.agreement(self.task, said, truth)

    @cached_property
    def standard_of_half(self) -> float | None:
        """The mean score of two standard networks, each of one half of the rows.

        None where not all of the training rows are looked at, or beyond the budget.
        """
        if self.standard is None or self._pictures is None:
            return None
        x, y, asked, truth = self._pictures
        if len(x) < 2 * FEWEST or len(x) < len(self.part or self.train):
            return None
        order = permutation(len(x), 0, 0)
        halves = [np.sort(order[k::2]) for k in range(2)]
        sizes = len(halves[0]), x.shape[1], y.shape[1]
        form = self._form_within(*sizes)
        cost = 2 * standard.seconds(self.setup.engine, *sizes, form)
        if not self.budget.takes(cost):
            self.not_examined["learning_curve"] = _("of half the rows: no budget left")
            return None
        self.examined["learning_curve"] = _(
            "two standard networks, each of half of the rows ({k})", k=len(x)
        )
        found = list[float]()
        for rows in halves:
            said = standard.answers(
                self.task, x[rows], y[rows], asked, *self._engine, form
            )
            score = (
                said if said is None else reference.agreement(self.task, said, truth)
            )
            if score is None:
                return None
            found.append(score)
        return float(np.mean(found))

    @cached_property
    def of_twice_the_rows(self) -> float | None:
        """The score that a standard network of twice the rows should have.

        By a power law of errors e, e(2n) = e(n)² / e(n/2). None where a half of the
        rows is as good, or nobody knows.
        """
        whole, half = self.standard, self.standard_of_half
        if whole is None or half is None or half >= 1:
            return None
        if whole - half <= ERRORS * self.noise(half, whole):
            return None
        return 1 - (1 - whole) ** 2 / (1 - half)

    @property
    def _engine(self) -> tuple[Any, dict[str, Any]]:
        """The engine of trial runs, and its threads."""
        return self.setup.engine, {"threads": self.setup.resources.get("threads")}

    @cached_property
    def among(self) -> float | None:
        """The score of held-out rows that are predicted from other held-out rows.

        By a standard network of two thirds of them. None beyond the budget.
        """
        if (held := self._known_rows) is None:
            return None
        asked, truth = held
        form = self._among_within(self.known_among, standard.FOLDS)
        if form is None:
            return None
        said = standard.among(self.task, asked, truth, *self._engine, *form)
        return None if said is None else reference.agreement(self.task, said, truth)

    @cached_property
    def known_among(self) -> int:
        """The number of held-out rows that a network of :attr:`among` knows."""
        count = min(ASKED, len(self.setup.held_out))
        return count - count // standard.FOLDS

    @cached_property
    def as_many(self) -> tuple[float, float] | None:
        """The score of networks that know as many held-out rows as there are to train.

        Two thirds of the held-out rows at most, see :attr:`among`; of fewer the mean
        over draws of them, and its standard deviation. None beyond the budget.
        """
        rows = len(self.train)
        if (held := self._known_rows) is None:
            return None
        if rows >= self.known_among:
            return None if self.among is None else (self.among, 0.0)
        asked, truth = held
        form = self._among_within(rows, standard.DRAWS)
        if form is None:
            return None
        found = standard.draws(self.task, asked, truth, rows, *self._engine, *form)
        if found is None:
            return None
        return float(np.mean(found)), float(np.std(found, ddof=1))

    @cached_property
    def _known_rows(self) -> tuple[Array, Array] | None:
        """Some held-out rows and their targets, as matrices; None: nothing to ask."""
        held = self.setup.held_out
        count = min(ASKED, len(held))
        if not self.single or self.task == "unknown" or count < 2 * standard.FOLDS:
            return None
        asked, truth = self._features(held.x[:count]), self._targets(held.y[:count])
        return (asked, truth) if len(truth) == count else None

    def _among_within(
        self, known: int, networks: int
    ) -> tuple[tuple[int, ...] | None] | None:
        """Return the shape that networks of held-out rows read; None: no budget.

        Args:
            known: the number of rows that each knows.
            networks: their number.
        """
        assert self._known_rows is not None
        inputs, outputs = (part.shape[1] for part in self._known_rows)
        sizes = known, inputs, outputs
        form = self._form_within(*sizes)
        cost = networks * standard.seconds(self.setup.engine, *sizes, form)
        if not self.budget.takes(cost):
            self.not_examined["among"] = _("held-out rows alone: the budget is spent")
            return None
        self.examined["among"] = _(
            "a standard network of held-out rows, asked for the rest of them"
        )
        return (form,)

    def _features(self, x: Array) -> Array:
        """Return features as a matrix: numbers as they are; of words which is where.

        That is, their counts, and of short rows a column for each word and place.
        """
        if (form := self._form) is not None and x.shape[1:] == form[::-1]:
            x = np.moveaxis(np.asarray(x), -1, 1)  # channels first
        table = np.asarray(x, np.float64).reshape(len(x), -1)
        if self.network is None or not self.takes_indices:
            return table
        words = table.astype(np.int64)
        most = max(
            int(np.max(p.x[:BLOCK], initial=0))
            for p in (self.train, self.setup.held_out)
        )
        if words.min(initial=0) < 0 or most >= WORDS:
            return table
        words = np.minimum(words, most)
        rows = (most + 1) * np.arange(len(words))[:, None]
        counts = np.bincount(
            (words + rows).reshape(-1), minlength=len(words) * (most + 1)
        )
        found = counts.reshape(len(words), -1).astype(np.float64)
        if words.shape[1] * (most + 1) > PLACES:
            return found
        there = (words[:, :, None] == np.arange(most + 1)).reshape(len(words), -1)
        return np.concatenate([found, there], 1)

    def _form_within(
        self, rows: int, inputs: int, outputs: int
    ) -> tuple[int, ...] | None:
        """Return that shape where a network of convolutions leaves budget for more."""
        cost = standard.seconds(self.setup.engine, rows, inputs, outputs, self._form)
        return self._form if cost <= CONVOLVED * self.budget.seconds else None

    @cached_property
    def _form(self) -> tuple[int, ...] | None:
        """The shape of a row, channels first, where a convolution reads it.

        None where no convolution reads the features themselves.
        """
        found = None if self.network is None else self.network.windows
        if found is None or not self.single:
            return None
        given = self.train.x.shape[1:]
        channels_last = len(found) == 2 and given == found[::-1]
        planes = found, found[1:] if found[0] == 1 else found, (int(np.prod(found)),)
        same = channels_last or given in planes
        return found if same and min(found[1:]) >= standard.SIDE else None

    def _targets(self, y: Array) -> Array:
        """Return targets as columns of numbers: of classes one each."""
        if self.task == "quantities":
            return np.asarray(y, np.float64).reshape(len(y), -1)
        if self.task == "binary":
            return (np.asarray(y).reshape(len(y), -1) > 0.5).astype(np.float64)
        known = self.classes(y)
        parts = self.train, self.setup.held_out
        count = 1 + max(int(self.classes(part.y).max()) for part in parts)
        return (known[:, None] == np.arange(count)).astype(np.float64)

    @property
    def behind(self) -> bool:
        """A flag: the trial is behind its references by half of what is sick.

        Beyond the standard error, for so many held-out rows: enough to try treatments.
        """
        signal = self.signal
        if signal is None or self.trial.error is not None:
            return False
        lost = signal - (self.baseline if self.score is None else self.score)
        noise = self.noise(self.score, signal)
        return lost > max(evidence.SICK[self.metric] / 2, noise)

    @property
    def far_behind(self) -> bool:
        """A flag: complete runs are far behind a network that is known to learn.

        By more than what is sick, over several seeds where it is near that, and beyond
        twice the standard error.
        """
        if not self.complete or self.trial.error is not None:
            return False
        if self._lost_to(self.signal):
            return True
        # As many rows of the held-out ones may teach what the training rows do not.
        own = self.given_validation is not None and not self.fitted
        return own and self.can_be_sick and self._lost_to(self.among)

    def _lost_to(self, signal: float | None) -> bool:
        """Return whether complete runs are that far behind a reference's score."""
        if signal is None:
            return False
        bar, found = evidence.BEHIND * evidence.SICK[self.metric], list[float]()
        for seed in range(1 if self.fitted else evidence.SEEDS):
            if not self.known_as_it_is(seed):
                return False
            score = self.before[seed]
            found.append(self.baseline if score is None else score)
            mean = float(np.mean(found))
            lost = signal - mean
            if not evidence.is_near(lost, self.metric):
                break
        return lost > max(bar, 2 * self.noise(mean, signal))

    @property
    def stalls(self) -> bool:
        """A flag: a trial finds almost nothing where references find much.

        Less than a quarter of what references find beyond a constant
        answer, which must be twice what counts as sick; and beyond chance, for so few
        or many held-out rows. The trial has three quarters of the asked steps or more.
        """
        signal = self.signal
        if (
            signal is None
            or self.share < evidence.TELLS
            or self.trial.error is not None
        ):
            return False
        there = signal - self.baseline
        found = (self.baseline if self.score is None else self.score) - self.baseline
        if there - found <= 2 * self.noise(self.score, signal):
            return False
        return there > 2 * evidence.SICK[self.metric] and found < 0.25 * there

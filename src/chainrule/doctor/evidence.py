"""The budget of a diagnosis: work in units that a clock does not decide.

Seconds are turned into numbers of steps by the FLOPs of the step's graph and by what a
step costs besides, at the :data:`SPEEDS` of the engine. A fast machine takes less time
for the same steps, and finds the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.doctor.finding import Comparison

#: FLOPs a second that a step is assumed to make, and the seconds that it is assumed to
#: take besides, by the engine; a small machine. Measured with small networks: steps of
#: the native engine took 13 to 40 µs, those of the NumPy engine 80 to 700 µs.
SPEEDS = {"native": (4e10, 5e-5)}
#: Of other engines.
USUAL = (2e10, 2e-4)
#: Seconds that an epoch is assumed to take besides its steps. Measured with one step an
#: epoch: 300 to 380 µs, and 500 µs where held-out rows are evaluated after it.
EPOCH = 4e-4
#: A backward pass and an update take about twice the FLOPs of a prediction.
BACKWARD = 3
#: Seconds of a diagnosis where nobody says.
SECONDS = 10.0
#: This share of the seconds is kept for what no other symptom explains.
KEPT = 0.3
#: The stage of those.
LAST = 9
#: One trial run takes at most this share of a diagnosis.
TRIAL = 1 / 12

#: From which gain of the score on held-out rows a run is sick without the change, and
#: from which it is at risk: ten points of accuracy, 20 % of R²; two, and 5 %. Of other
#: losses the score is the share of the first loss that is gone.
SICK = {"accuracy": 0.10, "r2": 0.20, "share_of_loss_gone": 0.20}
RISK = {"accuracy": 0.02, "r2": 0.05, "share_of_loss_gone": 0.05}
#: A run is sick as well where it is so many times as much behind a reference that knows
#: nothing of it; a little more, since the two have not the same family in common.
BEHIND = 1.25
#: How many times as much a gain must be where the runs had next to none of the asked
#: steps: 1 where they had all, and evenly in between.
SHORT = 2
#: Runs with a smaller share of the asked steps than this show how a training begins,
#: not how it ends: they prove nothing sick, unless their loss rises by this factor.
#: Ours: a network of sigmoids stood still for 33 of 24,000 steps, and then learnt.
BEGINNING, RISEN = 0.01, 2.0
#: From this share of the asked steps on trial runs tell how the run ends. Ours.
TELLS = 0.75
#: A gain within this distance of :data:`SICK` is measured with further seeds.
NEAR = 0.5
#: Their number, the first one included; at most, where the mean gain is still within
#: its standard error of :data:`SICK`.
SEEDS, MOST = 3, 5


def step_seconds(engine: str, work: float) -> float:
    """Return the assumed seconds of a training step of so many FLOPs."""
    rate, besides = SPEEDS.get(engine, USUAL)
    return work / rate + besides


@dataclass
class Budget:
    """The budget of a diagnosis, in steps.

    Attributes:
        seconds: altogether, at the assumed rate.
        spent: so far.
        kept: for later.
    """

    seconds: float
    spent: float = 0.0
    kept: float = 0.0

    @property
    def left(self) -> float:
        """The seconds that are left, without those that are kept for later."""
        return self.seconds - self.kept - self.spent

    def takes(self, cost: float) -> bool:
        """Return whether so many seconds are left, and spend them."""
        if cost > self.left:
            return False
        self.spent += cost
        return True


def kept(seconds: float, stage: int) -> float:
    """Return the seconds that symptoms of a stage leave to the last one."""
    return KEPT * seconds if stage < LAST else 0.0


def severity(comparison: Comparison | None) -> str | None:
    """Return how bad a setup is beside one with a change: sick, risk, or None.

    The gain must also be beyond twice the standard error of the held-out rows. Of runs
    that were cut short it must be larger, up to twice: what is behind early is not
    lost. Runs that only began (a share of 0) show a risk at most.
    """
    if comparison is None:
        return None
    gain, noise, metric = comparison.gain, comparison.noise, comparison.metric
    sick = SICK[metric] * (SHORT - (SHORT - 1) * comparison.share)
    if gain > max(sick, 2 * noise) and comparison.share > 0:
        return "sick"
    return "risk" if gain > max(RISK[metric], noise) else None


def is_near(gain: float, metric: str) -> bool:
    """Return whether a gain is so near the threshold that one seed is too few."""
    return abs(gain - SICK[metric]) < NEAR * SICK[metric]


#: Comparisons by what was changed.
Compared = dict[tuple[str, str], Comparison]

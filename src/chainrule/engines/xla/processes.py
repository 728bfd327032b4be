"""Several processes as one run: who they are, what they exchange, how one is missed.

JAX connects them. What a scheduler says of them it finds by itself (SLURM, Open MPI,
Kubernetes); ``chainrule launch`` says it in three variables of the environment. XLA
exchanges gradients; what is exchanged here are a few bytes, to agree on what a clock or
a file decides, and to find out that the processes run the same on the same.
"""

from __future__ import annotations

import atexit
import os
import sys
import zlib
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, cast

import numpy as np

from chainrule.engines.contract import Parts
from chainrule.engines.xla.failures import clear_errors, speak_before_abort
from chainrule.errors import EngineError
from chainrule.graph.program import Program
from chainrule.text import _
from chainrule.util import processes
from chainrule.version import __version__

#: What ``chainrule launch`` tells each process: the address of the first, how many
#: there are, and its number.
ADDRESS, COUNT, NUMBER = (
    "CHAINRULE_COORDINATOR",
    "CHAINRULE_PROCESSES",
    "CHAINRULE_PROCESS",
)
#: Seconds without a sign of life after which a process is given up, and those for which
#: one that ends waits for the others.
HEARTBEAT, SHUTDOWN = 30, 10
_SAME = _(
    "start all processes with the same command, files and versions; call "
    "cr.manual_seed(…) before a model is made, and seed what else is drawn"
)


def of_a_cluster(environment: Mapping[str, str]) -> bool:
    """Return whether a scheduler has started this process as one of several.

    JAX knows the rest: the address of the first, how many there are, and which this is.

    >>> of_a_cluster({"OMPI_COMM_WORLD_SIZE": "4", "OMPI_MCA_orte_hnp_uri": "1;tcp://…"})
    True
    >>> of_a_cluster({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "8"})  # no step of srun
    False
    """
    get = environment.get

    def several(name: str) -> bool:
        return get(name, "1").isdigit() and int(get(name, "1")) > 1

    slurm = "SLURM_STEP_NODELIST" in environment and "SLURM_LOCALID" in environment
    if slurm and several("SLURM_STEP_NUM_TASKS"):
        return True
    if "OMPI_MCA_orte_hnp_uri" in environment and several("OMPI_COMM_WORLD_SIZE"):
        return True
    kubernetes = "KUBERNETES_SERVICE_HOST", "JOB_COMPLETION_INDEX"
    return all(name in environment for name in kubernetes)


def start() -> None:
    """Join the processes of a run, where the environment says that there are several.

    It has to be done before the first device is asked for, and is done once. A process
    of a cluster that is to be a run of its own has ``CHAINRULE_PROCESSES=1``.

    Raises:
        EngineError: JAX was used before; the others do not come.
    """
    environment = os.environ
    if processes.count() > 1 or environment.get(COUNT) == "1":
        return
    ours = ADDRESS in environment
    if not ours and not of_a_cluster(environment) and "jax" not in sys.modules:
        return
    from chainrule.engines.xla.backend import jax

    if not jax.distributed.is_initialized():
        if not ours and not of_a_cluster(environment):
            return
        how: dict[str, Any] = {}
        if ours:
            how["coordinator_address"] = environment[ADDRESS]
            how["num_processes"] = int(environment[COUNT])
            how["process_id"] = int(environment[NUMBER])
            how["local_device_ids"] = [int(environment[NUMBER])]  # of GPUs
            how["cluster_detection_method"] = "deactivate"
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.config.update("jax_enable_preemption_service", False)
        try:
            jax.distributed.initialize(
                heartbeat_timeout_seconds=HEARTBEAT,
                shutdown_timeout_seconds=SHUTDOWN,
                **how,
            )
        except (RuntimeError, ValueError) as error:
            raise EngineError(
                _("The processes of this run do not come together."),
                expected=_("JAX unused so far, and the first process within reach"),
                got=str(error)[:300],
                fix=_(
                    "make the Trainer, or call "
                    "chainrule.engines.resolve_engine('xla'), before other code asks "
                    "JAX for a device"
                ),
            ) from error
    if jax.process_count() > 1:
        processes.join(JaxProcesses())
        speak_before_abort()
        atexit.register(_end)


def _end() -> None:
    """Wait at the end of a program for the others, however long the first one writes.

    JAX waits for seconds, and then aborts them all. Where the others are not at their
    end they hear of this one's.
    """
    with suppress(EngineError):
        processes.meet(_("the end of its program"))


class JaxProcesses:
    """The processes that JAX has connected.

    Attributes:
        index: the number of this one.
        count: how many there are.
    """

    def __init__(self) -> None:
        from chainrule.engines.xla.backend import jax

        self.index, self.count = jax.process_index(), jax.process_count()
        first: dict[int, Any] = {}
        for device in jax.devices():
            first.setdefault(device.process_index, device)
        devices = np.array([first[i] for i in range(self.count)])
        self._mesh = jax.sharding.Mesh(devices, ("process",))

    def gather(self, content: bytes) -> list[bytes]:
        """Return the content that each process has given, of one length, in order."""
        from chainrule.engines.xla.backend import jax

        named, spec = jax.sharding.NamedSharding, jax.sharding.PartitionSpec
        row = np.frombuffer(content, np.uint8)[None]
        rows = named(self._mesh, spec("process"))
        whole = named(self._mesh, spec())
        with clear_errors():
            mine = jax.make_array_from_callback(
                (self.count, row.shape[1]), rows, partial(_mine, row)
            )
            everywhere = jax.jit(_same, out_shardings=whole)(mine)
            return [bytes(got) for got in np.asarray(everywhere)]


def _mine(row: Any, where: Any) -> Any:
    """Return this process's row, the only one of an array that it has."""
    return row


def _same(x: Any) -> Any:
    return x


class Witness:
    """A digest of a process' program and inputs, compared with the others' before runs.

    A difference would not stop XLA: it would make wrong numbers, or wait forever.

    Args:
        program: the entry points and their state.
    """

    def __init__(self, program: Program) -> None:
        self._notes: dict[str, str] = {}
        if processes.count() == 1:
            return
        from chainrule.engines.xla.backend import jax

        parts = {
            _("the version of Chainrule"): __version__,
            _("the version of JAX"): jax.__version__,
            _("the version of NumPy"): np.__version__,
            _("the version of Python"): processes.name_of_python(),
        }
        for name, entry in program.entries.items():
            said = f"{entry.inputs} {entry.each} {entry.state} {entry.graph}"
            parts[_("the entry point {name!r}", name=name)] = _sum(said.encode())
        processes.require_same(parts, _SAME)

    def note(self, name: str, array: Any) -> None:
        """Remember the numbers of an array of the host, until the next run."""
        if processes.count() == 1:
            return
        if isinstance(array, Parts):
            self._notes[name] = f"{array.dtype}{[*array.shape]} {array.note}"
        elif isinstance(array, np.ndarray):
            whole: Any = np.ascontiguousarray(cast("Any", array))
            kind = f"{whole.dtype}{[*whole.shape]}"
            self._notes[name] = f"{kind} {_sum(whole.reshape(-1).view(np.uint8).data)}"

    def check(self, entry: str, steps: int | None, inputs: Mapping[str, Any]) -> None:
        """Compare what all processes were given since the last run, and this run.

        Raises:
            EngineError: it differs; each process raises it.
        """
        if processes.count() == 1:
            return
        for name, array in inputs.items():
            self.note(_("the input {name!r}", name=name), array)
        self._notes[_("what is run")] = f"{entry}, {steps}"
        notes, self._notes = self._notes, {}
        processes.require_same(notes, _SAME)


def _sum(content: Any) -> str:
    return f"{zlib.crc32(content):08x}"

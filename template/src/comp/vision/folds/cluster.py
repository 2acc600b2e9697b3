"""Commands as jobs of a cluster, through submitit. The jobs import this file, so it imports little."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import TYPE_CHECKING

from comp.distributed.processes import start
from comp.errors import CompError, first_line
from comp.readback import read_text, remembered
from comp.vision.schema import ImageConfig

if TYPE_CHECKING:
    import submitit
    from submitit.helpers import DelayedSubmission

A_DAY_MIN = 24 * 60


@dataclass
class LoggedCommand:
    """A command that writes to `log`, started here or called by a job on another machine."""

    command: list[str]
    environment: Mapping[str, str]  # in addition to what there is
    log: Path

    def start(self) -> "Popen[bytes]":
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as file:
            return start(self.command, self.environment, file)

    def __call__(self) -> int:
        with self.start() as process:  # when the job's time is over, the command is asked to stop, and waited for
            return process.wait()

    def checkpoint(self) -> "DelayedSubmission":
        """What goes into the queue again when the job's time is over: the same, as it has saved its state."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


@dataclass
class Submitted:
    """A job of submitit, asked what a process is asked."""

    job: "submitit.Job[int]"
    cancelled: bool = False

    def poll(self) -> int | None:
        if not self.job.done():
            return None
        return 1 if self.cancelled or self.job.exception() else self.job.result()

    def terminate(self) -> None:
        self.cancelled = True
        self.job.cancel(check=False)

    kill = terminate


def executor_for(config: ImageConfig, run: Path) -> "submitit.AutoExecutor":
    """What submits to `jobs.cluster`; it keeps its files in `submitit/` of the run's folder.

    Raises:
        CompError: submitit is not installed, there is no such cluster here, or `jobs.cluster_args` are wrong.
    """
    cluster = config.jobs.cluster
    try:
        import submitit
    except ImportError:
        raise CompError(f"jobs.cluster={cluster} needs submitit: pip install submitit") from None
    try:
        executor = submitit.AutoExecutor(run / "submitit", cluster=cluster)
    except RuntimeError as error:  # no srun
        raise CompError(f"jobs.cluster={cluster}: {error} Start comp train there, or set jobs.cluster=none") from None
    try:
        executor.update_parameters(**{"name": config.name, "timeout_min": A_DAY_MIN, **config.jobs.cluster_args})
    except (NameError, TypeError, ValueError, AssertionError) as error:
        raise CompError(f"jobs.cluster_args: {first_line(error)}") from None
    return executor


def submit(executor: "submitit.AutoExecutor", work: LoggedCommand, name: str) -> Submitted:
    """Submits `work`, or finds the Slurm job that still does it because only its starter was lost."""
    import submitit

    note = executor.folder / f"{name}.txt"
    number = remembered(note, lambda: read_text(note, r"\d+(_\d+)?", "the fold is submitted again"))
    if executor.cluster == "slurm" and number is not None:
        before: submitit.Job[int] = submitit.SlurmJob(executor.folder, number)
        if not before.done():
            return Submitted(before)
    job = executor.submit(work)
    note.write_text(job.job_id, encoding="utf-8")
    return Submitted(job)

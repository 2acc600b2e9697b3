"""Folds as processes of their own: several at once on this machine, or each as a job of a cluster."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from comp.distributed.launch import QUIET
from comp.distributed.processes import POLL_S, Process, cores, stop
from comp.distributed.signals import Stopped, stop_requests
from comp.errors import CompError
from comp.files.lock import HELD
from comp.registry import names
from comp.runs.rundir import RunDir
from comp.vision.folds.cluster import LoggedCommand, executor_for, submit
from comp.vision.model import build_model
from comp.vision.schema import ImageConfig

JOB = "COMP_JOB"  # set for the processes that train one fold
LARGE = 150_000_000  # parameters from which on a fold trains on all GPUs together


def is_job() -> bool:
    """Whether this process trains one fold for another one, which has started the run and collects."""
    return JOB in os.environ


def folds_at_once(config: ImageConfig, left: int, gpus: int, parameters: Callable[[], int]) -> tuple[int, str]:
    """How many of `left` folds train at once on each device (0: one after the other, on all devices), and why.

    Raises:
        CompError: `jobs.per_gpu` and `train.processes` contradict each other.
    """
    wanted, processes = config.jobs.per_gpu, config.train.processes
    if config.jobs.cluster == "slurm":
        return left, "jobs.cluster=slurm"
    if config.jobs.cluster == "local":
        return (1 if wanted == "auto" else max(1, wanted)), "jobs.cluster=local"
    if left < 2 or wanted == 0:
        return 0, ""
    if wanted != "auto":
        if processes not in ("auto", 1):
            raise CompError(f"jobs.per_gpu={wanted} gives each fold one process: leave out train.processes={processes}")
        return wanted, f"jobs.per_gpu={wanted}"
    if gpus < 2:
        return 0, ""
    if processes != "auto":
        return 0, f"train.processes={processes}"
    if left < gpus:
        return 0, f"{left} folds for {gpus} GPUs"
    size = parameters()
    about = f"a model of {size / 1e6:.3g} million parameters is"
    return (0, f"{about} large") if size >= LARGE else (1, f"{about} small")


def parameter_count(config: ImageConfig, classes: int) -> int:
    """How many parameters the model has, without memory for them; a registered one is really built."""
    with torch.device("cpu" if config.model.backbone in names("model") else "meta"):
        model = build_model(config.model, classes, load=False)
    return sum(parameter.numel() for parameter in model.parameters())


def visible_gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES has to say for each GPU, in order; it may already name some of them only."""
    count, named = torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES")
    return [name.strip() for name in named.split(",")][:count] if named else [str(number) for number in range(count)]


def startable(waiting: list[int], busy: list[str], devices: list[str], per_device: int) -> list[tuple[int, str]]:
    """Which folds start now, and where: in order, each on the least busy device. `busy`: one entry per fold."""
    room = [device for others in range(per_device) for device in devices if busy.count(device) <= others]
    return list(zip(waiting, room, strict=False))


@dataclass
class Job:
    """A fold that trains in a process of its own."""

    fold: int
    device: str
    process: Process
    log: Path
    shown_bytes: int  # bytes of the log that were shown
    last: str = ""  # line of it
    error: str = ""

    def show_log(self) -> None:
        """Shows what is new in the log. An error is kept for the end."""
        if not self.log.is_file():
            return
        with self.log.open("rb") as file:
            file.seek(self.shown_bytes)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self.shown_bytes += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            if line.startswith("error: "):
                self.error = line.removeprefix("error: ")
            elif line:
                self.last = line
                print(line, flush=True)

    def why(self, status: int) -> str:
        """One line about how it failed."""
        what = self.error or f"fold {self.fold} ended with status {status}: {self.last or 'it wrote nothing'}"
        return f"{what} ({self.log})"


def train_as_jobs(config: ImageConfig, run: RunDir, folds: list[int], per_device: int) -> None:
    """Trains `folds`, `per_device` at once on each device; each writes `fold<k>/train.log`.

    Raises:
        CompError: folds have failed. Those beside them were trained to the end, no other was started.
        Stopped: a signal asked for it; the folds have saved their states.
    """
    slurm = config.jobs.cluster == "slurm"
    devices = [""] if slurm else visible_gpus() or [""]
    start_fold = _starter(config, run, min(len(folds), per_device * len(devices)))
    waiting, running, failed = list(folds), list[Job](), list[str]()
    with stop_requests() as request:
        try:
            while (running or (waiting and not failed)) and request.number is None:
                new = [] if failed else startable(waiting, [job.device for job in running], devices, per_device)
                for number, device in new:
                    waiting.remove(number)
                    running.append(start_fold(number, device))
                time.sleep(POLL_S)
                for job in list(running):
                    status = job.process.poll()  # asked first: what it wrote before it ended is told
                    job.show_log()
                    if status is not None:
                        running.remove(job)
                    if status:
                        failed.append(job.why(status))
        finally:
            stop([job.process for job in running])
    if request.number is not None:
        raise Stopped(request.number)
    if failed:
        raise CompError("\n".join(failed))


def _starter(config: ImageConfig, run: RunDir, at_once: int) -> Callable[[int, str], Job]:
    """Starts the training of one fold on one device."""
    executor = None if config.jobs.cluster == "none" else executor_for(config, run.path)

    def start_fold(number: int, device: str) -> Job:
        log = run.fold(number) / "train.log"
        shown_bytes = log.stat().st_size if log.is_file() else 0
        # The run's own file: the user may change the one in conf/ while folds wait.
        command = [sys.executable, "-m", "comp", "train", str(run.config), f"folds.use=[{number}]"]
        command += ["jobs.per_gpu=0", "jobs.cluster=none"]
        environment = {QUIET: "yes", JOB: "yes", "PYTHONUNBUFFERED": "1", HELD: os.environ.get(HELD, "")}
        if config.jobs.cluster != "slurm":
            environment |= share_of_this_machine(device, at_once)
        work = LoggedCommand(command, environment, log)
        process = work.start() if executor is None else submit(executor, work, f"fold{number}")
        return Job(number, device, process, log, shown_bytes)

    return start_fold


def share_of_this_machine(device: str, at_once: int) -> dict[str, str]:
    """The environment of one of `at_once` processes of this machine."""
    threads = os.environ.get("OMP_NUM_THREADS", str(max(1, cores() // at_once)))
    # The last one is what a launcher sets for as many processes: loader workers are counted by it.
    return {"CUDA_VISIBLE_DEVICES": device, "OMP_NUM_THREADS": threads, "LOCAL_WORLD_SIZE": str(at_once)}

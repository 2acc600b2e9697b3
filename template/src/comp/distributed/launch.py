"""One process per GPU: starts `accelerate launch` where several are wanted and nobody has started it yet."""

import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from accelerate import Accelerator

from comp.config import Experiment
from comp.distributed.accelerator import accelerator_for
from comp.distributed.processes import POLL_S, SAVING_S, cores, is_launched, start, stop
from comp.distributed.signals import Stopped, stop_requests
from comp.files.lock import locked
from comp.runs.rundir import RunDir

Data = TypeVar("Data")
QUIET = "COMP_QUIET"  # set for processes whose starter prints what is known of the data, and what comes next


@dataclass(frozen=True)
class Work(Generic[Data]):
    """What a command does on all devices.

    `open(quiet)` reads the data. `prepare` runs once, and so does the decoding; `check` gets the number of processes:
    what is wrong with data or settings is said before any process starts. `as_jobs` may do all of the work in its own
    way; it says whether it did.
    """

    open: Callable[[bool], Data]
    do: Callable[[Data, Accelerator], None]
    prepare: Callable[[], None] = lambda: None
    check: Callable[[Data, int], None] = lambda *_: None
    as_jobs: Callable[[Data], bool] = lambda _: False


def on_all_devices(config: Experiment, arguments: list[str], work: Work[Data]) -> int:
    """Does `work` here or, where several processes are wanted, starts `comp ARGUMENTS` in each; the exit status.

    Raises:
        CompError: another command writes into the run's folder.
    """
    if os.environ.get("RANK", "0") != "0":
        return _on_all_devices(config, arguments, work)
    with locked(RunDir.of(config).path, arguments[0]):
        return _on_all_devices(config, arguments, work)


def _on_all_devices(config: Experiment, arguments: list[str], work: Work[Data]) -> int:
    if is_launched():
        accelerator = accelerator_for(config)
        if accelerator.is_main_process:
            work.prepare()
        with accelerator.local_main_process_first():
            data = work.open(not accelerator.is_main_process or QUIET in os.environ)
        accelerator.wait_for_everyone()
        work.check(data, accelerator.num_processes)
    else:
        work.prepare()
        data = work.open(QUIET in os.environ)
        if work.as_jobs(data):
            return 0
        processes = processes_wanted(config)
        work.check(data, processes)
        if processes > 1:
            return launch(processes, arguments)
        accelerator = accelerator_for(config)
    work.do(data, accelerator)
    accelerator.end_training()
    return 0


def processes_wanted(config: Experiment) -> int:
    """`train.processes`, or one for each visible GPU."""
    if config.train.processes != "auto":
        return config.train.processes
    visible = max(1, torch.cuda.device_count())
    batch_size, parts = config.train.effective_batch_size, config.train.micro_batches or 1
    wanted = max((n for n in range(1, visible + 1) if batch_size % (n * parts) == 0), default=visible)
    if wanted < visible:
        print(f"launch  {wanted} of {visible} GPUs: train.batch_size={batch_size} cannot be divided among more")
    return wanted


def launch(processes: int, arguments: list[str]) -> int:
    """Runs `comp ARGUMENTS` in `processes` processes and returns their exit status.

    Raises:
        Stopped: a signal asked for it; the processes have saved what they save.
    """
    command = [sys.executable, "-m", "comp.distributed.accelerate_launch", "--num_processes", str(processes)]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    command += ["--main_process_port", str(_free_port())]
    command += ["--gpu_ids", "all", "--multi_gpu"]  # on CPUs too: its `--cpu` starts one process, whatever the number
    threads = os.environ.get("OMP_NUM_THREADS", str(max(1, cores() // processes)))
    environment = {"OMP_NUM_THREADS": threads, QUIET: "yes", "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(SAVING_S - 5)}
    print(f"launch  {processes} processes through accelerate", flush=True)
    process = start([*command, "-m", "comp", *arguments], environment)
    with stop_requests() as request:
        try:
            while process.poll() is None and request.number is None:
                time.sleep(POLL_S)
        finally:
            stop([process])
    if request.number is not None:
        raise Stopped(request.number)
    return process.returncode


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

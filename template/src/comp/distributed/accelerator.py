"""The Accelerator of this process: device, precision, how many processes there are."""

import ctypes
import gc
import sys
import warnings
from contextlib import suppress
from datetime import timedelta
from typing import Literal

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs

from comp.config import Experiment
from comp.distributed.fsdp import also_on_cpu, sharding
from comp.distributed.tf32 import allow_tf32
from comp.errors import CompError
from comp.runs.rundir import RunDir

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's mallopt
Precision = Literal["fp32", "bf16", "fp16"]


def accelerator_for(config: Experiment) -> Accelerator:
    """Accelerate as the configuration asks for it."""
    precision = resolve_precision(config.train.precision)
    wanted = "no" if precision == "fp32" else precision
    if precision == "fp16" and not (torch.cuda.is_available() or torch.backends.mps.is_available()):
        raise CompError("train.precision=fp16 needs a GPU: set it to auto, bf16 or fp32")
    look_at_libraries_once()
    on_cpu = not torch.cuda.is_available() and not torch.backends.mps.is_available()
    if on_cpu:
        keep_freed_memory()
    allow_tf32(config.train.tf32)
    torch.backends.cudnn.benchmark = True  # all batches of a training have one shape
    if AcceleratorState._shared_state and AcceleratorState().mixed_precision != wanted:
        AcceleratorState._reset_state()  # a member before this one had another; the processes stay what they are
    # For statistics that are each process's own, torch advises to go on with the word that it warns of.
    warnings.filterwarnings("ignore", ".*broadcast_buffers.* is deprecated", FutureWarning)
    plugin = sharding()
    accelerator = Accelerator(
        mixed_precision=wanted,
        cpu=on_cpu,
        log_with=None if config.tracker == "none" else config.tracker,
        project_dir=str(RunDir.of(config).path),
        fsdp_plugin=plugin,
        kwargs_handlers=[
            InitProcessGroupKwargs(timeout=timedelta(hours=6)),  # one process may decode for long
            DistributedDataParallelKwargs(
                broadcast_buffers=False,  # batch statistics are averaged once an epoch
                gradient_as_bucket_view=True,  # what is exchanged is the gradients themselves, not a second copy
            ),
        ],
    )
    return also_on_cpu(accelerator, plugin)


def look_at_libraries_once() -> None:
    """Keeps what is there now, libraries above all, out of later garbage collections: each would take half a second."""
    gc.collect()
    gc.freeze()


def keep_freed_memory() -> None:
    """Lets this process keep what it frees, for its next step.

    glibc gives large blocks back to the system at once; to fetch and clear them again would take a fifth of each step.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):  # another libc
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def resolve_precision(wanted: str) -> Precision:
    """bf16 only where the hardware has it: the T4 emulates it, slowly, and PyTorch's own check says yes to that."""
    if wanted != "auto":
        return wanted  # type: ignore[return-value]
    if not torch.cuda.is_available():
        return "fp32"
    capability = min(torch.cuda.get_device_capability(number) for number in range(torch.cuda.device_count()))
    return "bf16" if capability >= (8, 0) else "fp16"

"""The GPU's memory: into how many micro-batches a batch must be cut to fit, and what to say when it does not."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from torch import nn

from comp.errors import CompError, first_line


def fewest_micro_batches(batch_size: int, fits: Callable[[int], bool], accelerator: Accelerator) -> int:
    """The smallest number of equal micro-batches of each process's share of a batch that fits every process's memory.

    `fits(n)` tries `n` images on this process.

    Raises:
        CompError: not even single images fit, or the batch cannot be divided equally.
    """
    share, rest = divmod(batch_size, accelerator.num_processes)
    if rest or not share:
        raise CompError(
            f"train.batch_size={batch_size} cannot be divided among {accelerator.num_processes} processes: "
            f"set it to a multiple of {accelerator.num_processes}"
        )
    for count in (number for number in range(1, share + 1) if share % number == 0):
        fits_here = torch.tensor([fits(share // count)], device=accelerator.device)
        if bool(accelerator.gather(fits_here).all()):
            return count
    raise CompError(
        "there is not enough memory for a single image: train.grad_checkpointing=true, a smaller model.image_size or "
        "a smaller backbone"
    )


def step_fits(model: nn.Module, step: Callable[[int], None], images: int) -> bool:
    """Whether `step(images)`, forward and backward, fits beside what an optimizer needs. The model stays as it is."""
    kept: list[torch.Tensor] = []
    with unchanged(model):
        try:
            kept += [
                torch.empty_like(weight) for weight in model.parameters() for _ in range(3)
            ]  # AdamW's two, and one to spare
            step(images)
        except torch.OutOfMemoryError:
            return False
        finally:
            kept.clear()
    return True


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Within the block, steps may be tried: gradients and batch statistics are undone, memory is given back."""
    buffers = [buffer.clone() for buffer in model.buffers()]
    try:
        yield
    finally:
        model.zero_grad(set_to_none=True)
        with torch.no_grad():
            for buffer, before in zip(model.buffers(), buffers, strict=True):
                buffer.copy_(before)
        _empty()


@contextmanager
def step_errors_explained() -> Iterator[None]:
    """Turns "CUDA out of memory", or a batch too small to normalize, into a line that says what to change."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise CompError(
            "the GPU is out of memory: train.accumulate=auto, train.grad_checkpointing=true, a smaller "
            f"model.image_size, or a smaller predict.batch_size ({first_line(error)})"
        ) from error
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise CompError(
            "batch normalization needs two images at a time on each process: a larger train.batch_size, a smaller "
            "train.accumulate, or fewer train.processes. With train.accumulate=auto there is not enough memory for "
            "two: a smaller model.image_size"
        ) from error


def _empty() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()

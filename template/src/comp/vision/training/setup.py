"""What the training of a fold needs before its first step: the model, the loss, the batches, and how they are cut."""

import time
from collections.abc import Callable
from typing import Any, Literal

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import nn

from comp.distributed.fsdp import is_sharded
from comp.errors import CompError, shown
from comp.vision.augment import cpu_images_per_s, where_to_augment
from comp.vision.batches import TrainingBatches, balancing_weights, workers_for
from comp.vision.folds.fold import Fold
from comp.vision.model import Classifier, build_model, load_weights
from comp.vision.parallel import cores
from comp.vision.schema import ImageConfig, Train
from comp.vision.training.losses import Loss, balanced_weights, build_loss
from comp.vision.training.memory import fewest_pieces, step_fits, unchanged

MEASURED_STEPS = 5  # with which it is found how fast the model trains


def model_for(config: ImageConfig, fold: Fold, device: torch.device) -> Classifier:
    """The model with the weights that it starts from, on `device`."""
    model = build_model(config.model, len(fold.targets.classes), fold.start is None, fold.encoder)
    if fold.start is not None:
        load_weights(model, fold.start)
    if config.train.grad_checkpointing:
        try:
            model.backbone.set_grad_checkpointing(True)  # type: ignore[operator]
        except (AttributeError, AssertionError):
            raise CompError(
                f"train.grad_checkpointing: the backbone {config.model.backbone} does not support it"
            ) from None
    return model.to(device, memory_format=memory_order(config.train))  # type: ignore[call-overload]


def memory_order(settings: Train) -> torch.memory_format:
    """How weights and images lie in memory. A convolution computes channels-last as soon as one of the two does."""
    return torch.channels_last if settings.channels_last else torch.contiguous_format


def loss_for(config: ImageConfig, fold: Fold, device: torch.device) -> Loss:
    """The loss, with class weights of the fold's training rows where they are asked for."""
    weights = None
    if config.train.class_weights == "balanced":
        weights = balanced_weights(torch.from_numpy(fold.y[fold.train_rows]), fold.targets).to(device)
    return build_loss(config.train, fold.targets, weights)


def batches_for(config: ImageConfig, fold: Fold, pieces: int, accelerator: Accelerator) -> TrainingBatches:
    """This process's share of the batches."""
    weighted = config.train.sampler == "weighted"
    return TrainingBatches(
        fold.train_rows,
        config.train.images_per_update,
        seed=(config.seed, *fold.left_out),
        weights=balancing_weights(fold.y[fold.train_rows]) if weighted else None,
        rank=accelerator.process_index,
        processes=accelerator.num_processes,
        accumulate=pieces,
    )


def learning(model: nn.Module) -> list[nn.Parameter]:
    """The weights that are not frozen. A model of one's own may keep some frozen for good."""
    return [weight for weight in model.parameters() if weight.requires_grad]


def wrapped_for(model: Classifier, backbone: list[nn.Parameter], frozen: bool, accelerator: Accelerator) -> Any:
    """The model as it is called in training, its `backbone` weights frozen or not.

    What is frozen is settled before: the wrapper looks at it once.
    """
    for weight in backbone:
        weight.requires_grad_(not frozen)
    if is_sharded(accelerator):
        return model
    return accelerator.prepare_model(accelerator.unwrap_model(model, keep_fp32_wrapper=False))


def compiled(
    wrapped: Any, config: ImageConfig, fold: Fold, loss_of: Loss, pieces: int, accelerator: Accelerator
) -> Any:
    """The wrapped model, compiled as `train.compile` says. Tells how long that took.

    Raises:
        CompError: the compiler cannot do it.
    """
    wanted, began = config.train.compile, time.perf_counter()
    torch.compiler.reset()  # what was compiled for the fold before would count towards a limit
    try:
        faster = torch.compile(wrapped, backend=wanted if isinstance(wanted, str) else "inductor")
        with unchanged(wrapped):  # it compiles when it is called first
            _rehearsal(config, fold, faster, loss_of, accelerator)(_images_a_step(config, fold, pieces, accelerator))
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise CompError(f"train.compile={wanted}: {str(error).splitlines()[0]}") from None
    if accelerator.is_main_process:
        print(f"compile  {fold.label}: {time.perf_counter() - began:.0f} s", flush=True)
    return faster


def freeze_unused(model: Classifier, config: ImageConfig, fold: Fold, loss_of: Loss, accelerator: Accelerator) -> None:
    """Freezes weights that have no part in the logits: several processes would wait for their gradients in vain."""
    if accelerator.num_processes == 1 or is_sharded(accelerator):
        return
    with unchanged(model):
        _rehearsal(config, fold, model, loss_of, accelerator)(2)
        unused = [name for name, weight in model.named_parameters() if weight.requires_grad and weight.grad is None]
    for name in unused:
        model.get_parameter(name).requires_grad_(False)
    if unused and accelerator.is_main_process:
        print(
            f"model   {len(unused)} weights have no part in the logits and are not trained: {shown(unused)}", flush=True
        )


def pieces_that_fit(config: ImageConfig, fold: Fold, model: Classifier, loss_of: Loss, accelerator: Accelerator) -> int:
    """For `train.accumulate: auto`. Tells what was found."""
    if is_sharded(accelerator):  # a process without memory would leave the others waiting for its part
        raise CompError("train.accumulate=auto and train.batch_size=auto are not for FSDP: set both to numbers")
    step = _rehearsal(config, fold, model, loss_of, accelerator)
    batch_size = batches_for(config, fold, 1, accelerator).batch_size
    pieces = fewest_pieces(batch_size, lambda images: step_fits(model, step, images), accelerator)
    if accelerator.is_main_process:
        print(f"memory  a batch of {batch_size} is cut into {pieces} on each of {accelerator.num_processes} processes")
    return pieces


def place_to_augment(
    config: ImageConfig, fold: Fold, model: Classifier, loss_of: Loss, pieces: int, accelerator: Accelerator
) -> Literal["cpu", "device"]:
    """For `augment.on`: the same on all processes. Tells what `auto` found on a GPU."""
    images = _images_a_step(config, fold, pieces, accelerator)
    workers = max(1, min(cores(), workers_for(config, accelerator, fold.pixels.streamed)))

    def supply_per_s() -> float:
        return workers * cpu_images_per_s(fold.pixels, config.model.image_size, config.augment)

    def demand_per_s() -> float:
        step = _rehearsal(config, fold, model, loss_of, accelerator)
        with unchanged(model):
            step(images)
            torch.cuda.synchronize()
            began = time.perf_counter()
            for _ in range(MEASURED_STEPS):
                step(images)
            torch.cuda.synchronize()
            return MEASURED_STEPS * images / (time.perf_counter() - began)

    found = where_to_augment(config.augment.on, accelerator.device, supply_per_s, demand_per_s)
    shared = broadcast_object_list([found]) if accelerator.num_processes > 1 else [found]
    if config.augment.on == "auto" and accelerator.device.type != "cpu" and accelerator.is_main_process:
        print(f"augment on the {shared[0]}: {workers} loader workers, measured against the model's own speed")
    return shared[0]


def _images_a_step(config: ImageConfig, fold: Fold, pieces: int, accelerator: Accelerator) -> int:
    """Of this process: its share of a batch that is cut into `pieces`."""
    return batches_for(config, fold, pieces, accelerator).batch_size // (pieces * accelerator.num_processes)


def _rehearsal(
    config: ImageConfig, fold: Fold, model: Any, loss_of: Loss, accelerator: Accelerator
) -> Callable[[int], None]:
    """A step of so many blank images, forward and backward, to measure with."""

    def step(images: int) -> None:
        size, columns = config.model.image_size, None if fold.metadata is None else fold.metadata.shape[1]
        inputs = torch.zeros(images, 3, size, size, device=accelerator.device)
        metadata = None if columns is None else torch.zeros(images, columns, device=accelerator.device)
        targets = torch.full((images, fold.y.shape[1]), 1 / fold.y.shape[1], device=accelerator.device)
        with accelerator.autocast():
            logits = model(inputs.to(memory_format=memory_order(config.train)), metadata)
        accelerator.backward(loss_of(logits.float(), targets))

    return step

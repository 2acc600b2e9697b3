"""What the training of a fold needs before its first step: the model, the loss, the batches, and how they are cut."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import nn

from comp.distributed.fsdp import is_sharded
from comp.distributed.gathering import alone
from comp.distributed.processes import cores
from comp.errors import CompError, first_line, shown
from comp.vision.augment import cpu_images_per_s, where_to_augment
from comp.vision.batches import TrainingBatches, balancing_weights, workers_for
from comp.vision.folds.fold import Fold
from comp.vision.model import Classifier, build_model, load_weights
from comp.vision.model.cut import Cut
from comp.vision.model.frozen import freeze, table
from comp.vision.model.link import Link, link_of
from comp.vision.pixels import Evaluation
from comp.vision.schema import ImageConfig, Train
from comp.vision.training.batch_norm import synchronize_batch_norm
from comp.vision.training.losses import Loss, adjusted, balanced_weights, build_loss
from comp.vision.training.memory import fewest_micro_batches, step_fits, unchanged

LEAST_LR_FROM_RANDOM = 3e-4  # below it, recipes mean pretrained weights
MEASURED_STEPS = 5  # with which it is found how fast the model trains


@dataclass(frozen=True)
class Setup:
    """What is trained, on what, and with what."""

    config: ImageConfig
    fold: Fold
    accelerator: Accelerator
    model: Classifier
    criterion: Loss
    still: list[nn.Module]  # of the model: never in training (train.freeze)

    @classmethod
    def of(cls, config: ImageConfig, fold: Fold, accelerator: Accelerator) -> "Setup":
        """With a new model, on the device.

        Raises:
            CompError: the settings are not for FSDP, or no such model can be built.
        """
        if config.train.cache_frozen and is_sharded(accelerator):
            raise CompError(f"train.cache_frozen={config.train.cache_frozen} is not for FSDP: set it to 0")
        model = build_classifier(config, fold)
        criterion = build_criterion(config, fold, link_of(model, fold.samples.targets), accelerator.device)
        size, order = config.model.image_size, memory_format(config.train)
        still = freeze(model.backbone, config.train.freeze, torch.zeros(1, 3, size, size))
        if still and accelerator.is_main_process:
            print(table(model), flush=True)
        on_device = model.to(accelerator.device, memory_format=order)  # type: ignore[call-overload]
        setup = cls(config, fold, accelerator, on_device, criterion, still)
        setup.set_training_mode()
        return setup

    def set_training_mode(self, frozen: bool = False) -> None:
        """The model in training but for what is held still; with `frozen`, its whole backbone is."""
        self.model.train()
        for module in [self.model.backbone] if frozen else self.still:
            module.eval()  # batch statistics stay those of the pretraining


def note_on_random_weights(config: ImageConfig) -> None:
    """Prints a note where a network that knows nothing yet is to learn at a rate for pretrained weights."""
    if not config.model.pretrained and config.model.weights is None and config.train.lr < LEAST_LR_FROM_RANDOM:
        print(
            f"note    model.pretrained=false: the weights are random, and train.lr={config.train.lr:g} is a rate for "
            f"pretrained ones: {config.train.epochs} epochs may learn little; train.lr=1e-3 is where to start"
        )


def build_classifier(config: ImageConfig, fold: Fold) -> Classifier:
    """The model with the weights that it starts from."""
    link = Link.of(config.train.loss, fold.samples.targets, fold.samples.y[fold.train_rows])
    model = build_model(config.model, link.outputs, fold.start is None, fold.encoder)
    model.link = None if link.kind in {"softmax", "sigmoid"} else link
    if fold.start is not None:
        load_weights(model, fold.start)
    if config.train.grad_checkpointing:
        try:
            model.backbone.set_grad_checkpointing(True)  # type: ignore[operator]
        except (AttributeError, AssertionError):
            raise CompError(
                f"train.grad_checkpointing: the backbone {config.model.backbone} does not support it"
            ) from None
    return model


def build_criterion(config: ImageConfig, fold: Fold, link: Link, device: torch.device) -> Loss:
    """The loss, with class weights or the prior of the fold's training rows where they are asked for."""
    samples, weights = fold.samples, None
    y = torch.from_numpy(samples.y[fold.train_rows])
    if config.train.logit_adjustment:
        return adjusted(config.train, y.to(device), samples.targets)
    if config.train.class_weights == "balanced":
        weights = balanced_weights(y, samples.targets).to(device)
    loss = build_loss(config.train, samples.targets, weights)
    return lambda outputs, truth: loss(outputs, link.encode(truth))


def memory_format(settings: Train) -> torch.memory_format:
    """How weights and images lie in memory. A convolution computes channels-last as soon as one of the two does."""
    return torch.channels_last if settings.channels_last else torch.contiguous_format


def trainable_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The weights that are not frozen. A model of one's own may keep some frozen for good."""
    return [weight for weight in model.parameters() if weight.requires_grad]


def batches_for(setup: Setup, micro_batches: int) -> TrainingBatches:
    """This process's share of the batches."""
    config, fold, accelerator = setup.config, setup.fold, setup.accelerator
    weighted = config.train.sampler == "weighted"
    return TrainingBatches(
        fold.train_rows,
        config.train.effective_batch_size,
        seed=(config.seed, *fold.left_out),
        weights=balancing_weights(fold.samples.y[fold.train_rows]) if weighted else None,
        rank=accelerator.process_index,
        processes=accelerator.num_processes,
        accumulate=micro_batches,
    )


def wrapped_for_training(
    setup: Setup, backbone: list[nn.Parameter], frozen: bool, micro_batches: int, cut: Cut | None = None
) -> Any:
    """The model as it is called in training, its `backbone` weights frozen or not, compiled if `train.compile` is set.

    With a `cut` it is what lies above it. What is frozen is settled before: the wrapper looks at it once.
    """
    for weight in backbone:
        weight.requires_grad_(not frozen)
    accelerator, wrapped = setup.accelerator, setup.model
    if accelerator.num_processes > 1 and setup.config.train.sync_batchnorm:
        # Not before: of the dry runs until here, a process may do one alone.
        synchronize_batch_norm(setup.model, accelerator.device)
    if not is_sharded(accelerator):
        bare = accelerator.unwrap_model(setup.model, keep_fp32_wrapper=False)
        wrapped = accelerator.prepare_model(bare if cut is None else cut.tail(bare))
    return _compiled(setup, wrapped, micro_batches, cut) if setup.config.train.compile else wrapped


def _compiled(setup: Setup, wrapped: Any, micro_batches: int, cut: Cut | None) -> Any:
    """The wrapped model, compiled. Prints how long that took.

    Raises:
        CompError: the compiler cannot do it.
    """
    wanted, started = setup.config.train.compile, time.perf_counter()
    torch.compiler.reset()  # what was compiled for the fold before would count towards a limit
    try:
        faster = torch.compile(wrapped, backend=wanted if isinstance(wanted, str) else "inductor")
        with unchanged(wrapped):  # it compiles when it is called first
            dry_run_step(setup, faster, cut)(_images_a_step(setup, micro_batches))
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise CompError(f"train.compile={wanted}: {first_line(error)}") from None
    if setup.accelerator.is_main_process:
        print(f"compile  {setup.fold.label}: {time.perf_counter() - started:.0f} s", flush=True)
    return faster


def freeze_unused(setup: Setup) -> None:
    """Freezes weights that have no part in the logits: several processes would wait for their gradients in vain."""
    accelerator, model = setup.accelerator, setup.model
    if accelerator.num_processes == 1 or is_sharded(accelerator):
        return
    with unchanged(model):
        dry_run_step(setup, model)(2)
        unused = [name for name, weight in model.named_parameters() if weight.requires_grad and weight.grad is None]
    for name in unused:
        model.get_parameter(name).requires_grad_(False)
    if unused and accelerator.is_main_process:
        print(
            f"model   {len(unused)} weights have no part in the logits and are not trained: {shown(unused)}", flush=True
        )


def micro_batches_that_fit(setup: Setup) -> int:
    """For `train.accumulate: auto`. Prints what was found."""
    accelerator, model = setup.accelerator, setup.model
    if is_sharded(accelerator):  # a process without memory would leave the others waiting for its part
        raise CompError("train.accumulate=auto and train.batch_size=auto are not for FSDP: set both to numbers")
    step = dry_run_step(setup, model)
    batch_size = batches_for(setup, 1).batch_size
    found = fewest_micro_batches(batch_size, lambda images: step_fits(model, step, images), accelerator)
    if accelerator.is_main_process:
        print(f"memory  a batch of {batch_size} is cut into {found} on each of {accelerator.num_processes} processes")
    return found


def place_to_augment(setup: Setup, micro_batches: int) -> Literal["cpu", "device"]:
    """For `augment.on`: the same on all processes. Prints what `auto` found on a GPU."""
    config, fold, accelerator = setup.config, setup.fold, setup.accelerator
    if config.train.cache_frozen:
        return "cpu"
    images = _images_a_step(setup, micro_batches)
    pixels = fold.samples.pixels
    workers = max(1, min(cores(), workers_for(config, accelerator, pixels.streamed)))

    def supply_per_s() -> float:
        geometry = Evaluation.of(config).geometry
        return workers * cpu_images_per_s(pixels, config.model.image_size, config.augment, geometry)

    def demand_per_s() -> float:
        step = dry_run_step(setup, setup.model)
        with unchanged(setup.model):
            step(images)
            torch.cuda.synchronize()
            started = time.perf_counter()
            for _ in range(MEASURED_STEPS):
                step(images)
            torch.cuda.synchronize()
            seen = MEASURED_STEPS * images * fold.samples.images_per_row
            return seen / (time.perf_counter() - started)

    found = where_to_augment(config.augment.on, accelerator.device, supply_per_s, demand_per_s)
    shared = broadcast_object_list([found]) if accelerator.num_processes > 1 else [found]
    if config.augment.on == "auto" and accelerator.device.type != "cpu" and accelerator.is_main_process:
        print(f"augment on the {shared[0]}: {workers} loader workers, measured against the model's own speed")
    return shared[0]


def _images_a_step(setup: Setup, micro_batches: int) -> int:
    """Of this process: its share of a batch that is cut into `micro_batches`."""
    batches = batches_for(setup, micro_batches)
    return batches.batch_size // (micro_batches * setup.accelerator.num_processes)


def dry_run_step(setup: Setup, model: Any, cut: Cut | None = None) -> Callable[[int], None]:
    """A step of so many blank images (rows, where they have several) through `model`, forward and backward.

    With a `cut`, `model` is what lies above it.
    """
    config, samples, device = setup.config, setup.fold.samples, setup.accelerator.device

    def step(images: int) -> None:
        size, classes, each = config.model.image_size, samples.y.shape[1], samples.images_per_row
        inputs = torch.zeros(images * each, *((3, size, size) if cut is None else cut.shape), device=device)
        counts = [torch.full((images,), each)] if each > 1 else []
        metadata = None
        if samples.metadata is not None:
            metadata = torch.zeros(images * each, samples.metadata.shape[1], device=device)
        targets = torch.full((images, classes), 1 / classes, device=device)
        with setup.accelerator.autocast():
            logits = model(inputs if cut else inputs.to(memory_format=memory_format(config.train)), metadata, *counts)
        with alone():
            loss = setup.criterion(logits.float(), targets)
        setup.accelerator.backward(loss)

    return step

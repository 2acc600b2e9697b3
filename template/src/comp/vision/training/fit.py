"""Trains one model on one fold: the loop that everybody opens first. It reads from top to bottom."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from timm.utils import ModelEmaV3, distribute_bn
from torch import nn
from torch.amp import GradScaler
from tqdm import tqdm

from comp.distributed.fsdp import shard
from comp.distributed.signals import stop_requests
from comp.loop.saving import Saving, mean_loss
from comp.loop.seeds import seed_of
from comp.loop.state import Progress, State, read_tensors, write_tensors
from comp.vision.augment import OnDevice
from comp.vision.batches import TrainingImages, loader, to_device, workers_for
from comp.vision.folds.fold import Fold
from comp.vision.inference.predict_rows import predict_rows
from comp.vision.metrics import greater_is_better, log_loss, score
from comp.vision.model import Classifier
from comp.vision.schema import ImageConfig
from comp.vision.training.optimizer import build_optimizer, learning_rate, set_learning_rate
from comp.vision.training.setup import (
    batches_for,
    compiled,
    freeze_unused,
    learning,
    loss_for,
    memory_order,
    model_for,
    pieces_that_fit,
    place_to_augment,
    wrapped_for,
)


def fit(config: ImageConfig, fold: Fold, folder: Path, accelerator: Accelerator) -> Classifier:
    """The trained model of one fold, with the weights that `train.keep` asks for.

    It writes `history.csv` after each epoch and its state to `last/` every `train.save_every`; a training that was cut
    short goes on from there.

    Raises:
        CompError: the loss is not finite, or the settings do not fit the data, the memory or the number of processes.
        Stopped: a signal asked for it; the state is saved.
    """
    settings, seed = config.train, (config.seed, *fold.left_out)
    torch.manual_seed(seed_of(*seed))
    model = model_for(config, fold, accelerator.device).train()
    loss_of = loss_for(config, fold, accelerator.device)
    ema = ModelEmaV3(model, decay=settings.ema_decay, use_warmup=True) if settings.ema_decay else None
    whole = shard(model, ema, accelerator)
    optimizer = accelerator.prepare_optimizer(build_optimizer(model, settings))
    if accelerator.scaler is not None:  # each fold starts as the first one does
        accelerator.scaler.load_state_dict(GradScaler(accelerator.device.type).state_dict())
    state = State(model, ema, optimizer, torch.zeros((), device=accelerator.device), Progress())
    _resume(state, folder / "last", accelerator)
    progress = state.progress
    freeze_unused(model, config, fold, loss_of, accelerator)
    backbone = learning(model.backbone)
    progress.pieces = progress.pieces or settings.pieces or pieces_that_fit(config, fold, model, loss_of, accelerator)
    accelerator.gradient_accumulation_steps = progress.pieces
    batches = batches_for(config, fold, progress.pieces, accelerator)
    progress.augment_on = on = progress.augment_on or place_to_augment(
        config, fold, model, loss_of, progress.pieces, accelerator
    )
    size_px = config.model.image_size
    images = TrainingImages(fold.pixels, fold.y, size_px, config.augment, seed, on, fold.metadata)
    loading = loader(images, batches, workers_for(config, accelerator, fold.pixels.streamed), accelerator.device)
    augment = OnDevice(config.augment)
    order = memory_order(settings)

    with stop_requests() as request:
        saving = Saving(state, fold.label, folder, settings, accelerator, request)
        wrapped: Any = None
        while progress.epoch < settings.epochs and not _stops_early(progress, config):
            epoch = progress.epoch
            frozen = epoch < settings.freeze_epochs
            _training_mode(model, frozen)
            if wrapped is None or epoch == settings.freeze_epochs:
                wrapped = wrapped_for(model, backbone, frozen, accelerator)
                if settings.compile:
                    wrapped = compiled(wrapped, config, fold, loss_of, progress.pieces, accelerator)
            mix = epoch < settings.epochs - config.augment.mix_off_epochs
            batches.start_at(epoch, progress.batch)
            val_losses = [row["val_loss"] for row in progress.history]
            began = time.perf_counter() - progress.seconds
            for batch in (bar := _progress_bar(loading, fold.label, progress, settings.epochs, accelerator)):
                lr = learning_rate(progress.update, batches.updates, settings, val_losses)
                set_learning_rate(optimizer, lr)
                torch.manual_seed(seed_of(*seed, epoch, progress.batch, accelerator.process_index))  # dropout, mixing
                with accelerator.accumulate(wrapped):
                    inputs, metadata, targets = to_device(batch, accelerator.device, order)
                    inputs, targets, mixed = augment(inputs, targets, mix)
                    with accelerator.autocast():
                        logits = wrapped(inputs, None if mixed else metadata)
                    loss = loss_of(logits.float(), targets)
                    accelerator.backward(loss)
                    if accelerator.sync_gradients and settings.clip_norm:
                        accelerator.clip_grad_norm_(model.parameters(), settings.clip_norm)
                    optimizer.step()
                    optimizer.zero_grad()
                state.loss += loss.detach()
                progress.batch += 1
                progress.seconds = time.perf_counter() - began
                if accelerator.sync_gradients:
                    progress.update += 1
                    if ema is not None:
                        ema.update(model, step=progress.update)
                    if progress.update % settings.log_every == 0:
                        bar.set_postfix_str(f"loss {mean_loss(state, fold.label, accelerator):.4f}")
                    saving.after_update()
            train_loss = mean_loss(state, fold.label, accelerator)
            progress.seconds = time.perf_counter() - began

            _share_batch_statistics([model] if ema is None else [model, ema.module], accelerator)
            validated = whole(model if ema is None or settings.keep == "last" else ema.module)
            row = {
                "epoch": epoch + 1,
                "lr": learning_rate(progress.update - 1, batches.updates, settings, val_losses),
                "train_loss": train_loss,
                **_validate(validated, config, fold, accelerator),
                "seconds": round(progress.seconds, 2),
                "images_per_s": round(batches.updates * batches.batch_size / progress.seconds, 1),
            }
            progress.history.append(row)
            _judge(progress, row, validated, config, folder, accelerator)
            del validated  # a whole copy of a sharded model would take the next epoch's memory
            _tell(row, fold, config, accelerator)
            progress.epoch, progress.batch, progress.seconds = epoch + 1, 0, 0.0
            state.loss.zero_()
            saving.after_epoch()
    return _kept(state, whole, config, folder, accelerator)


def _training_mode(model: Classifier, frozen: bool) -> None:
    model.train()
    if frozen:
        model.backbone.eval()  # batch statistics stay those of the pretraining


def _share_batch_statistics(models: list[nn.Module], accelerator: Accelerator) -> None:
    """Each process has batch statistics of its own share: their mean is what is validated, kept and saved."""
    if accelerator.num_processes > 1:
        for model in models:
            distribute_bn(model, accelerator.num_processes, reduce=True)


def _validate(model: nn.Module, config: ImageConfig, fold: Fold, accelerator: Accelerator) -> dict[str, float]:
    p = predict_rows(
        model, fold.pixels, fold.valid_rows, fold.targets, config, accelerator, ["identity"], fold.metadata
    )
    y = fold.y[fold.valid_rows]
    measured = {name: score(name, y, p, fold.targets) for name in dict.fromkeys([config.metric, *config.metrics])}
    return {"val_loss": log_loss(y, p, fold.targets), **measured}


def _judge(
    progress: Progress,
    row: dict[str, Any],
    validated: nn.Module,
    config: ImageConfig,
    folder: Path,
    accelerator: Accelerator,
) -> None:
    """Keeps the best weights so far, and counts the epochs that brought nothing."""
    metric = row[config.metric] if greater_is_better(config.metric) else -row[config.metric]
    if config.train.keep == "best" and _is_better(metric, progress.best):
        progress.best = metric
        if accelerator.is_main_process:
            write_tensors(folder / "last" / "best.pt", validated.state_dict())
    if config.train.early_stop is not None:
        watched = -row["val_loss"] if config.train.early_stop.watch == "loss" else metric
        gained = _is_better(watched, progress.stop_best)
        progress.stop_best = watched if gained else progress.stop_best
        progress.epochs_without_gain = 0 if gained else progress.epochs_without_gain + 1


def _is_better(new: float, best: float | None) -> bool:
    return best is None or math.isnan(best) or new > best


def _stops_early(progress: Progress, config: ImageConfig) -> bool:
    stop = config.train.early_stop
    return stop is not None and progress.epochs_without_gain >= stop.patience


def _progress_bar(loading: Any, label: str, progress: Progress, epochs: int, accelerator: Accelerator) -> Any:
    quiet = None if accelerator.is_local_main_process else True  # None: quiet where no terminal shows it
    return tqdm(
        loading, f"{label} epoch {progress.epoch + 1}/{epochs}", initial=progress.batch, leave=False, disable=quiet
    )


def _tell(row: dict[str, Any], fold: Fold, config: ImageConfig, accelerator: Accelerator) -> None:
    figures = "  ".join(f"{name} {row[name]:.4f}" for name in ("train_loss", "val_loss", config.metric))
    if accelerator.is_main_process:
        tqdm.write(f"{fold.label}  epoch {row['epoch']:>3}  {figures}  {row['images_per_s']:.0f} images/s")
    if config.tracker != "none" and len(fold.left_out) == 1:
        step = fold.left_out[0] * config.train.epochs + row["epoch"]  # trackers drop what goes back in steps
        accelerator.log(
            {f"{fold.label.replace(' ', '')}/{name}": value for name, value in row.items() if name != "epoch"}, step
        )


def _resume(state: State, folder: Path, accelerator: Accelerator) -> None:
    if state.load(folder, accelerator) and accelerator.is_main_process:
        batches = f" and {state.progress.batch} batches" if state.progress.batch else ""
        print(f"resume  {folder.parent} after epoch {state.progress.epoch}{batches}")


def _kept(
    state: State, whole: Callable[[Classifier], Classifier], config: ImageConfig, folder: Path, accelerator: Accelerator
) -> Classifier:
    """The model with the weights of `train.keep`."""
    kept: Any = state.ema.module if state.ema is not None and config.train.keep == "ema" else state.model
    model = accelerator.unwrap_model(whole(kept), keep_fp32_wrapper=False)
    if config.train.keep == "best":
        model.load_state_dict(read_tensors(folder / "last" / "best.pt"))
    return model.requires_grad_(True).eval()

"""Trains one model on one fold: the loop that everybody opens first. It reads from top to bottom."""

import time
from pathlib import Path

import torch
from accelerate import Accelerator
from timm.utils import ModelEmaV3, distribute_bn
from torch import nn
from torch.amp import GradScaler

from comp.distributed.fsdp import shard
from comp.distributed.signals import stop_requests
from comp.loop.epochs import Epochs
from comp.loop.saving import Saving, mean_loss
from comp.loop.seeds import seed_of
from comp.loop.state import Progress, State
from comp.registry import metrics_for
from comp.vision.augment import BatchAugment
from comp.vision.batches import TrainDataset, counts_of, loader, to_device, workers_for
from comp.vision.folds.fold import Fold
from comp.vision.inference.predict_rows import predict_rows
from comp.vision.inference.views import EPOCH_VIEWS, epochs_measured_on
from comp.vision.metrics import log_loss, score
from comp.vision.model import Classifier, save_checkpoint
from comp.vision.model.link import link_of
from comp.vision.pixels import Evaluation
from comp.vision.schema import ImageConfig
from comp.vision.training.cache_frozen import Cached, cached_features
from comp.vision.training.optimizer import build_optimizer, learning_rate, set_learning_rate
from comp.vision.training.setup import (
    Setup,
    batches_for,
    freeze_unused,
    memory_format,
    micro_batches_that_fit,
    place_to_augment,
    trainable_parameters,
    wrapped_for_training,
)


def fit(config: ImageConfig, fold: Fold, folder: Path, accelerator: Accelerator) -> Classifier:
    """The trained model of one fold, with the weights that `train.keep` asks for.

    It writes `history.csv` after each epoch and its state to `last/` every `train.save_every`; an interrupted training
    resumes from there.

    Raises:
        CompError: the loss is not finite, or the settings do not fit the data, the memory or the number of processes.
        Stopped: a signal asked for it; the state is saved.
    """
    settings, seed, device = config.train, (config.seed, *fold.left_out), accelerator.device

    # Setup: model, averaged weights, optimizer
    torch.manual_seed(seed_of(*seed))
    setup = Setup.of(config, fold, accelerator)
    model, criterion = setup.model, setup.criterion
    ema = ModelEmaV3(model, decay=settings.ema_decay, use_warmup=True) if settings.ema_decay else None
    gather_full = shard(model, ema, accelerator)
    optimizer = accelerator.prepare_optimizer(build_optimizer(model, settings))
    if accelerator.scaler is not None:  # each fold starts as the first one does
        accelerator.scaler.load_state_dict(GradScaler(device.type).state_dict())

    # Setup: where it stands
    state = State(model, ema, optimizer, torch.zeros((), device=device), Progress())
    measured_on = epochs_measured_on(config.predict.views)
    epochs = Epochs(state, config, fold.label, folder, accelerator, unit="images", measured_on=measured_on)
    fitting = settings.micro_batches or micro_batches_that_fit(setup)  # before what was saved takes memory
    epochs.resume()
    progress = state.progress
    # With more memory than before, what was saved goes on as it was: it ends with the same bits.
    micro_batches = settings.micro_batches or max(fitting, progress.micro_batches or 1)
    state.cut_into(micro_batches)
    cached = cached_features(setup, folder)
    freeze_unused(setup)
    backbone = trainable_parameters(model.backbone)

    # Setup: batches
    accelerator.gradient_accumulation_steps = micro_batches
    batches = batches_for(setup, micro_batches)
    progress.augment_on = progress.augment_on or place_to_augment(setup, micro_batches)
    geometry = Evaluation.of(config).geometry
    views = TrainDataset(fold.samples, config.model.image_size, config.augment, seed, progress.augment_on, geometry)
    workers = workers_for(config, accelerator, fold.samples.pixels.streamed)
    loading = loader(cached.training if cached else views, batches, workers, device, every_epoch=True)
    augment, order = BatchAugment(config.augment), torch.preserve_format if cached else memory_format(settings)

    with stop_requests() as request:
        saving = Saving(state, fold.label, folder, settings, accelerator, request)
        wrapped = None
        while epochs.left():
            # Epoch: what is frozen, which rows come
            epoch = progress.epoch
            frozen = epoch < settings.freeze_epochs
            setup.set_training_mode(frozen)
            if wrapped is None or epoch == settings.freeze_epochs:
                cut = cached.cut if cached else None
                wrapped = wrapped_for_training(setup, backbone, frozen, micro_batches, cut)
            mix = epoch < settings.epochs - config.augment.mix_off_epochs
            batches.set_epoch(epoch, progress.batch)
            val_losses = [scores["val_loss"] for scores in progress.history]
            started = time.perf_counter() - progress.seconds

            for batch in (bar := epochs.progress_bar(loading, len(batches))):
                # Batch: learning rate, random numbers
                lr = learning_rate(progress.update, batches.updates, settings, val_losses)
                set_learning_rate(optimizer, lr)
                torch.manual_seed(seed_of(*seed, epoch, progress.batch, accelerator.process_index))  # dropout, mixing

                # Batch: forward, backward, step
                with accelerator.accumulate(wrapped):
                    inputs, metadata, targets = to_device(batch, device, order)
                    inputs, targets, mixed = augment(inputs, targets, mix)
                    with accelerator.autocast():
                        logits = wrapped(inputs, None if mixed else metadata, *counts_of(batch))
                    loss = criterion(logits.float(), targets)
                    accelerator.backward(loss)
                    if accelerator.sync_gradients and settings.clip_norm:
                        accelerator.clip_grad_norm_(model.parameters(), settings.clip_norm)
                    optimizer.step()
                    optimizer.zero_grad()

                # Batch: what is counted, averaged, saved
                state.loss += loss.detach()
                progress.batch += 1
                progress.seconds = time.perf_counter() - started
                if accelerator.sync_gradients:
                    progress.update += 1
                    model.after_update()
                    if ema is not None:
                        ema.update(model, step=progress.update)
                    if progress.update % settings.log_every == 0:
                        bar.set_postfix_str(f"loss {mean_loss(state, fold.label, accelerator):.4f}")
                    saving.after_update()
            train_loss = mean_loss(state, fold.label, accelerator)
            progress.seconds = time.perf_counter() - started

            # Validate
            _share_batch_statistics([model] if ema is None else [model, ema.module], accelerator)
            eval_model = gather_full(model if ema is None or settings.keep == "last" else ema.module)
            scores = {
                "epoch": epoch + 1,
                "lr": learning_rate(progress.update - 1, batches.updates, settings, val_losses),
                "train_loss": train_loss,
                **_validate(eval_model, config, fold, accelerator, cached),
                "seconds": round(progress.seconds, 2),
                "images_per_s": round(batches.updates * batches.batch_size / progress.seconds, 1),
            }

            # Keep
            epochs.record(scores, eval_model)
            if (path := epochs.checkpoint()) is not None:
                save_checkpoint(accelerator.unwrap_model(eval_model, keep_fp32_wrapper=False), path, fold.facts)
            del eval_model  # a full copy of a sharded model would take the next epoch's memory
            own_fold = fold.left_out[0] if len(fold.left_out) == 1 else None
            epochs.log(scores, ("train_loss", "val_loss", config.metric), own_fold)
            epochs.end()
            saving.after_epoch()

    # The weights that `train.keep` asks for
    kept = gather_full(ema.module if ema is not None and settings.keep == "ema" else model)
    trained: Classifier = accelerator.unwrap_model(kept, keep_fp32_wrapper=False)
    if settings.keep == "best":
        epochs.load_best(trained)
    return trained.requires_grad_(True).eval()


def _share_batch_statistics(models: list[nn.Module], accelerator: Accelerator) -> None:
    """Without train.sync_batchnorm, each process has statistics of its share: their mean is validated and kept."""
    if accelerator.num_processes > 1:
        for model in models:
            distribute_bn(model, accelerator.num_processes, reduce=True)


def _validate(
    model: Classifier, config: ImageConfig, fold: Fold, accelerator: Accelerator, cached: Cached | None
) -> dict[str, float]:
    """The loss and the metrics of the validation rows, without test-time augmentation."""
    above, dataset = (cached.cut.tail(model), cached.validation) if cached else (model, None)
    p = predict_rows(above, fold.samples, fold.valid_rows, config, accelerator, EPOCH_VIEWS, dataset)
    y, targets = fold.samples.y[fold.valid_rows], fold.samples.targets
    metrics = {name: score(name, y, p, targets) for name in metrics_for([config.metric, *config.metrics], targets.kind)}
    error = link_of(model, targets).error(y, p)
    return {"val_loss": log_loss(y, p, targets) if error is None else error, **metrics}

"""Trains one projector on one fold: the loop that everybody opens first. It reads from top to bottom."""

import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn

from comp.align.baselines.closed_form import Captions
from comp.align.data.fold import Fold
from comp.align.ranking.metrics import scores as ranking_scores
from comp.align.schema import AlignConfig, Train
from comp.align.training.losses import Keys, alignment_loss, needs_whole_batch
from comp.align.training.noise import noisy
from comp.align.training.projector import Projector, build_model, predicted, save_projector
from comp.distributed.fsdp import is_sharded
from comp.distributed.gathering import of_all_processes
from comp.distributed.signals import stop_requests
from comp.errors import CompError
from comp.loop.epochs import Epochs
from comp.loop.saving import Saving, mean_loss
from comp.loop.schedule import scheduled
from comp.loop.seeds import seed_of
from comp.loop.state import Progress, State


def fit(config: AlignConfig, fold: Fold, folder: Path, accelerator: Accelerator) -> Projector:
    """The trained model of one fold, with the weights that `train.keep` asks for.

    It writes `history.csv` after each epoch and its state to `last/` every `train.save_every`; an interrupted training
    resumes from there.

    Raises:
        CompError: the loss is not finite, or the batch cannot be divided among the processes.
        Stopped: a signal asked for it; the state is saved.
    """
    settings, seed = config.train, (config.seed, fold.number)
    rank, processes, device = accelerator.process_index, accelerator.num_processes, accelerator.device
    if is_sharded(accelerator):
        raise CompError("FSDP is for models that do not fit one GPU; this one does: conf/launch/multi-node.yaml")

    # Setup: model, averaged weights, optimizer
    torch.manual_seed(seed_of(*seed))
    model = _build(config, fold, accelerator)
    ema = Averaged(model, settings.ema_decay) if settings.ema_decay else None
    optimizer = accelerator.prepare(_build_optimizer(model, settings))

    # Setup: where it stands
    state = State(model, ema, optimizer, torch.zeros((), device=device), Progress(micro_batches=1))
    epochs = Epochs(state, config, fold.label, folder, accelerator, unit="captions")
    epochs.resume()
    progress = state.progress
    wrapped = accelerator.prepare_model(model)

    # Setup: batches, and the images that captions are told from
    batch_size, updates = batches_of(len(fold.texts), settings.batch_size, processes)
    share = batch_size // processes
    own = slice(rank * share, (rank + 1) * share)
    gathers = processes > 1 and needs_whole_batch(config.loss)
    keys = Keys.of(model.keys(fold.images), fold, config.loss)

    with stop_requests() as request:
        saving = Saving(state, fold.label, folder, settings, accelerator, request)
        while epochs.left():
            # Epoch: which captions come
            epoch = progress.epoch
            model.train()
            order = _order(len(fold.texts), (*seed, epoch)).to(device)
            val_losses = [scores["val_loss"] for scores in progress.history]
            started = time.perf_counter() - progress.seconds

            for batch in (bar := epochs.progress_bar(range(progress.batch, updates), updates)):
                # Batch: learning rate, texts with noise
                lr = scheduled(progress.update, updates, settings.epochs, settings, val_losses)
                for group in optimizer.param_groups:
                    group["lr"] = lr
                rows = order[batch * batch_size : (batch + 1) * batch_size]  # of all processes
                texts = noisy(fold, rows, config.augment, seed_of(*seed, epoch, batch))[own]
                torch.manual_seed(seed_of(*seed, epoch, batch, rank))  # dropout

                # Batch: forward, backward, step
                with accelerator.autocast():
                    coordinates = wrapped(texts)
                predictions = model.as_unit(coordinates.float())
                predictions = of_all_processes(predictions) if gathers else predictions
                image_of = fold.image_of[rows if gathers else rows[own]]
                loss = alignment_loss(predictions, image_of, keys, fold, model.scale, config.loss)
                accelerator.backward(loss)
                if settings.clip_norm:
                    accelerator.clip_grad_norm_(model.parameters(), settings.clip_norm)
                optimizer.step()
                model.limit_scale()
                optimizer.zero_grad()

                # Batch: what is counted, averaged, saved
                state.loss += loss.detach()
                progress.batch, progress.update = batch + 1, progress.update + 1
                progress.seconds = time.perf_counter() - started
                if ema is not None:
                    ema.update(model, progress.update)
                if progress.update % settings.log_every == 0:
                    bar.set_postfix_str(f"loss {mean_loss(state, fold.label, accelerator):.4f}")
                saving.after_update()
            train_loss = mean_loss(state, fold.label, accelerator)
            progress.seconds = time.perf_counter() - started

            # Validate
            eval_model: Any = model if ema is None or settings.keep == "last" else ema.module
            scores = {
                "epoch": epoch + 1,
                "lr": scheduled(progress.update - 1, updates, settings.epochs, settings, val_losses),
                "train_loss": train_loss,
                **_validate(eval_model, config, fold, accelerator),
                "seconds": round(progress.seconds, 2),
                "captions_per_s": round(updates * batch_size / progress.seconds, 1),
            }

            # Keep
            epochs.record(scores, eval_model)
            epochs.log(scores, ("train_loss", config.metric, "cosine"), fold.number)
            if (path := epochs.checkpoint()) is not None:
                save_projector(eval_model, path, fold.facts)
            epochs.end()
            saving.after_epoch()

    # The weights that `train.keep` asks for
    kept: Any = ema.module if ema is not None and settings.keep == "ema" else model
    trained: Projector = accelerator.unwrap_model(kept, keep_fp32_wrapper=False)
    if settings.keep == "best":
        epochs.load_best(trained)
    return trained.eval()


class Averaged:
    """The average of a model's weights. The decay warms up, so that the first weights are soon forgotten."""

    def __init__(self, model: Projector, decay: float) -> None:
        self.module: nn.Module = deepcopy(model)
        self._decay = decay

    @torch.no_grad()
    def update(self, model: Projector, count: int) -> None:
        """Takes in the weights after update `count`, from 1. The count is the training's own: no device is asked."""
        now = min(self._decay, count / (count + 9)) if count > 1 else 0.0
        torch._foreach_lerp_(list(self.module.parameters()), list(model.parameters()), 1 - now)


def batches_of(rows: int, batch_size: int, processes: int) -> tuple[int, int]:
    """Captions an update, equally many on each process, and updates an epoch. What is left over waits for the next.

    Raises:
        CompError: the batch cannot be divided.
    """
    if batch_size % processes:
        raise CompError(f"train.batch_size={batch_size} cannot be divided among {processes} processes")
    batch_size = min(batch_size, rows // processes * processes)
    if not batch_size:
        raise CompError(f"{rows} training captions are too few for {processes} processes")
    return batch_size, rows // batch_size


def _build(config: AlignConfig, fold: Fold, accelerator: Accelerator) -> Projector:
    tensors = (fold.texts, fold.images, fold.image_of, fold.group_of)
    captions = Captions(*(tensor.cpu().numpy() for tensor in tensors))
    return build_model(config.model, config.loss, captions).to(accelerator.device)


def _build_optimizer(model: Projector, settings: Train) -> torch.optim.Optimizer:
    """Adam or AdamW; what is no matrix does not decay."""
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.optimizer]
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    others = [weight for weight in model.parameters() if weight.ndim < 2]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return kind(groups, lr=settings.lr, fused=True)


def _order(rows: int, seed: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).permutation(rows))


def _validate(model: Projector, config: AlignConfig, fold: Fold, accelerator: Accelerator) -> dict[str, float]:
    """The metrics among the fold's own images; every process goes by what the first one measured."""
    measured: dict[str, float] = {}
    if accelerator.is_main_process:
        found = predicted(model, fold.valid_texts, config.predict.batch_size, accelerator.device)
        names = [config.metric, *config.metrics, "cosine"]
        image_of = np.searchsorted(fold.gallery, fold.valid_image_of)
        measured = ranking_scores(names, found, fold.gallery_images, image_of, device=str(accelerator.device))
        measured = {"val_loss": 1 - measured["cosine"], **measured}
    if accelerator.num_processes > 1:
        [measured] = broadcast_object_list([measured])
    return measured

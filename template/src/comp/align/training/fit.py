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
from tqdm import tqdm

from comp.align.data.fold import Fold
from comp.align.ranking.metrics import scores
from comp.align.schema import AlignConfig, Train
from comp.align.training.losses import alignment_loss, needs_whole_batch, of_all_processes
from comp.align.training.noise import noisy
from comp.align.training.projector import Projector, build_model, predicted, save_projector
from comp.distributed.fsdp import is_sharded
from comp.distributed.signals import stop_requests
from comp.errors import CompError
from comp.loop.saving import Saving, mean_loss
from comp.loop.schedule import scheduled
from comp.loop.seeds import seed_of
from comp.loop.state import Progress, State, read_tensors, write_tensors
from comp.registry import greater_is_better


def fit(config: AlignConfig, fold: Fold, folder: Path, accelerator: Accelerator) -> Projector:
    """The trained model of one fold, with the weights that `train.keep` asks for.

    It writes `history.csv` after each epoch and its state to `last/` every `train.save_every`; a training that was cut
    short goes on from there.

    Raises:
        CompError: the loss is not finite, or the batch cannot be dealt out to the processes.
        Stopped: a signal asked for it; the state is saved.
    """
    settings, seed = config.train, (config.seed, fold.number)
    rank, processes, device = accelerator.process_index, accelerator.num_processes, accelerator.device
    batch_size, updates = batches_of(len(fold.texts), settings.batch_size, processes)
    share = batch_size // processes
    torch.manual_seed(seed_of(*seed))
    model = _start(config, fold, accelerator)
    ema = Averaged(model, settings.ema_decay) if settings.ema_decay else None
    if is_sharded(accelerator):
        raise CompError("FSDP is for models that train on no single GPU; this one does: conf/launch/multi-node.yaml")
    optimizer = accelerator.prepare(_optimizer(model, settings))
    state = State(model, ema, optimizer, torch.zeros((), device=device), Progress(pieces=1))
    _resume(state, folder / "last", accelerator)
    progress = state.progress
    wrapped = accelerator.prepare_model(model)
    keys = model.keys(fold.images)

    with stop_requests() as request:
        saving = Saving(state, fold.label, folder, settings, accelerator, request)
        while progress.epoch < settings.epochs and not _stops_early(progress, config):
            epoch = progress.epoch
            model.train()
            order = _order(len(fold.texts), (*seed, epoch)).to(device)
            val_losses = [row["val_loss"] for row in progress.history]
            began = time.perf_counter() - progress.seconds
            for batch in (bar := _progress_bar(progress, updates, fold.label, settings.epochs, accelerator)):
                lr = scheduled(progress.update, updates, settings.epochs, settings, val_losses)
                for group in optimizer.param_groups:
                    group["lr"] = lr
                rows = order[batch * batch_size : (batch + 1) * batch_size]  # of all processes
                mine = slice(rank * share, (rank + 1) * share)
                texts = noisy(fold, rows, config.augment, seed_of(*seed, epoch, batch))[mine]
                torch.manual_seed(seed_of(*seed, epoch, batch, rank))  # dropout
                with accelerator.autocast():
                    coordinates = wrapped(texts)
                said = model.as_unit(coordinates.float())
                together = processes > 1 and needs_whole_batch(config.loss)
                said = of_all_processes(said) if together else said
                image_of = fold.image_of[rows if together else rows[mine]]
                loss = alignment_loss(said, image_of, keys, fold, model.scale, config.loss)
                accelerator.backward(loss)
                if settings.clip_norm:
                    accelerator.clip_grad_norm_(model.parameters(), settings.clip_norm)
                optimizer.step()
                model.limit_scale()
                optimizer.zero_grad()
                state.loss += loss.detach()
                progress.batch, progress.update = batch + 1, progress.update + 1
                progress.seconds = time.perf_counter() - began
                if ema is not None:
                    ema.update(model, progress.update)
                if progress.update % settings.log_every == 0:
                    bar.set_postfix_str(f"loss {mean_loss(state, fold.label, accelerator):.4f}")
                saving.after_update()
            train_loss = mean_loss(state, fold.label, accelerator)
            progress.seconds = time.perf_counter() - began

            validated: Any = model if ema is None or settings.keep == "last" else ema.module
            row = {
                "epoch": epoch + 1,
                "lr": scheduled(progress.update - 1, updates, settings.epochs, settings, val_losses),
                "train_loss": train_loss,
                **_validate(validated, config, fold, accelerator),
                "seconds": round(progress.seconds, 2),
                "captions_per_s": round(updates * batch_size / progress.seconds, 1),
            }
            progress.history.append(row)
            _judge(progress, row, validated, config, folder, accelerator)
            _tell(row, fold, config, accelerator)
            if settings.checkpoint_epochs and (epoch + 1) % settings.checkpoint_epochs == 0:
                _checkpoint(validated, folder / f"epoch{epoch + 1}.safetensors", fold, accelerator)
            progress.epoch, progress.batch, progress.seconds = epoch + 1, 0, 0.0
            state.loss.zero_()
            saving.after_epoch()
    return _kept(state, config, folder, accelerator)


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
        CompError: the batch cannot be dealt out.
    """
    if batch_size % processes:
        raise CompError(f"train.batch_size={batch_size} cannot be dealt out to {processes} processes")
    batch_size = min(batch_size, rows // processes * processes)
    if not batch_size:
        raise CompError(f"{rows} training captions are too few for {processes} processes")
    return batch_size, rows // batch_size


def facts_of(fold: Fold) -> dict[str, str]:
    """What a saved model says beside its weights."""
    return {"texts": str(fold.texts.shape[1]), "images": str(fold.images.shape[1]), "fold": str(fold.number)}


def _start(config: AlignConfig, fold: Fold, accelerator: Accelerator) -> Projector:
    tensors = (fold.texts, fold.images, fold.image_of, fold.group_of)
    return build_model(config.model, config.loss, *(tensor.cpu().numpy() for tensor in tensors)).to(accelerator.device)


def _optimizer(model: Projector, settings: Train) -> torch.optim.Optimizer:
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
        images = fold.images.cpu().numpy()
        measured = scores(names, found, images, fold.valid_image_of, fold.gallery, device=str(accelerator.device))
        measured = {"val_loss": 1 - measured["cosine"], **measured}
    if accelerator.num_processes > 1:
        [measured] = broadcast_object_list([measured])
    return measured


def _judge(
    progress: Progress,
    row: dict[str, Any],
    validated: Projector,
    config: AlignConfig,
    folder: Path,
    accelerator: Accelerator,
) -> None:
    """Keeps the best weights so far, and counts the epochs that brought nothing."""
    metric = row[config.metric] if greater_is_better(config.metric) else -row[config.metric]
    if config.train.keep == "best" and (progress.best is None or metric > progress.best):
        progress.best = metric
        if accelerator.is_main_process:
            write_tensors(folder / "last" / "best.pt", validated.state_dict())
    if config.train.early_stop is not None:
        watched = -row["val_loss"] if config.train.early_stop.watch == "loss" else metric
        gained = progress.stop_best is None or watched > progress.stop_best
        progress.stop_best = watched if gained else progress.stop_best
        progress.epochs_without_gain = 0 if gained else progress.epochs_without_gain + 1


def _stops_early(progress: Progress, config: AlignConfig) -> bool:
    stop = config.train.early_stop
    return stop is not None and progress.epochs_without_gain >= stop.patience


def _progress_bar(progress: Progress, updates: int, label: str, epochs: int, accelerator: Accelerator) -> Any:
    quiet = None if accelerator.is_local_main_process else True  # None: quiet where no terminal shows it
    done = progress.batch
    return tqdm(
        range(done, updates),
        f"{label} epoch {progress.epoch + 1}/{epochs}",
        updates,
        initial=done,
        leave=False,
        disable=quiet,
    )


def _tell(row: dict[str, Any], fold: Fold, config: AlignConfig, accelerator: Accelerator) -> None:
    figures = "  ".join(f"{name} {row[name]:.4f}" for name in dict.fromkeys(["train_loss", config.metric, "cosine"]))
    if accelerator.is_main_process:
        tqdm.write(f"{fold.label}  epoch {row['epoch']:>3}  {figures}  {row['captions_per_s']:.0f} captions/s")
    if config.tracker != "none":
        step = fold.number * config.train.epochs + row["epoch"]  # trackers drop what goes back in steps
        accelerator.log({f"fold{fold.number}/{name}": value for name, value in row.items() if name != "epoch"}, step)


def _checkpoint(model: Projector, path: Path, fold: Fold, accelerator: Accelerator) -> None:
    if accelerator.is_main_process:
        save_projector(model, path, facts_of(fold))


def _resume(state: State, folder: Path, accelerator: Accelerator) -> None:
    if state.load(folder, accelerator) and accelerator.is_main_process:
        batches = f" and {state.progress.batch} batches" if state.progress.batch else ""
        print(f"resume  {folder.parent} after epoch {state.progress.epoch}{batches}")


def _kept(state: State, config: AlignConfig, folder: Path, accelerator: Accelerator) -> Projector:
    """The model with the weights of `train.keep`."""
    model: Any = accelerator.unwrap_model(state.model, keep_fp32_wrapper=False)
    if config.train.keep == "best":
        model.load_state_dict(read_tensors(folder / "last" / "best.pt"))
    elif state.ema is not None and config.train.keep == "ema":
        model.load_state_dict(state.ema.module.state_dict())
    return model.eval()

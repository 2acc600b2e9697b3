"""The bound: the engine's step on uint8 batches that lie on the device already. It learns nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import Clock, Settings, autocast, build_model, cosine_lr, engine, main, mean_and_std

BATCHES = 4  # different ones, in turn


def train(settings: Settings, folder: Path) -> Clock:
    if settings.device == "cpu" and settings.keep_freed_memory:
        engine.keep_freed_memory()
    step = bare_step(settings)
    updates = len(list((Path(settings.data) / "by_class" / "train").glob("*/*"))) // settings.batch_size
    clock = Clock(settings.device)
    for epoch in range(settings.epochs):
        clock.start()
        for index in range(updates):
            step(cosine_lr(settings, epoch * updates + index, settings.epochs * updates))
        clock.stop(updates * settings.batch_size)
        clock.validated(None)
    return clock


def bare_step(settings: Settings) -> Callable[[float], None]:
    """One update of a new model with this learning rate: normalize, forward, backward, AdamW, and nothing else."""
    import torch
    from timm.optim import param_groups_weight_decay

    model = build_model(settings).train()
    mean, std = (torch.tensor(each, device=settings.device).view(1, 3, 1, 1) for each in mean_and_std(model))
    groups = param_groups_weight_decay(model, settings.weight_decay)
    optimizer = torch.optim.AdamW(groups, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    trained: Any = torch.compile(model) if settings.compile else model
    shape = (BATCHES, settings.batch_size, settings.size_px, settings.size_px, 3)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, device=settings.device).permute(0, 1, 4, 2, 3)
    targets = torch.randint(settings.classes, (BATCHES, settings.batch_size), device=settings.device)
    number = 0

    def step(lr: float) -> None:
        nonlocal number
        for group in optimizer.param_groups:
            group["lr"] = lr
        inputs = (images[number % BATCHES].float() / 255 - mean) / std
        with autocast(settings):
            logits = trained(inputs)
        loss = torch.nn.functional.cross_entropy(logits.float(), targets[number % BATCHES])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        number += 1

    return step


if __name__ == "__main__":
    main(train)

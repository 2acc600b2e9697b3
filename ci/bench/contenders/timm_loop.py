"""timm: its data set, loader and transforms with the settings of its train.py, in the step of its train.py.

Two things are in its favor: the loss is not read in each step, and batches for a GPU come from pinned memory.
"""

from pathlib import Path
from typing import Any

from common import Clock, Settings, autocast, build_model, cosine_lr, engine, main, mean_and_std


def train(settings: Settings, folder: Path) -> Clock:
    import torch
    from timm.optim import create_optimizer_v2

    model = build_model(settings)
    training, validation = _loaders(settings, *mean_and_std(model))
    optimizer = create_optimizer_v2(model, opt="adamw", lr=settings.lr, weight_decay=settings.weight_decay)
    criterion = torch.nn.CrossEntropyLoss()
    trained = torch.compile(model) if settings.compile else model
    clock = Clock(settings.device)
    update = 0
    for _ in range(settings.epochs):
        model.train()
        clock.start()
        for images, targets in training:
            for group in optimizer.param_groups:
                group["lr"] = cosine_lr(settings, update, settings.epochs * len(training))
            images = images.contiguous(memory_format=torch.channels_last)
            with autocast(settings):
                loss = criterion(trained(images), targets)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            update += 1
        clock.stop(len(training) * settings.batch_size)
        clock.validated(_accuracy(trained, validation, settings))
    return clock


def _loaders(settings: Settings, mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[Any, Any]:
    import torch
    from timm.data import create_dataset, create_loader

    root = str(Path(settings.data) / "by_class")
    common: dict[str, Any] = {
        "input_size": (3, settings.size_px, settings.size_px),
        "use_prefetcher": True,
        "mean": mean,
        "std": std,
        "num_workers": settings.workers,
        "device": torch.device(settings.device),
        "pin_memory": settings.device == "cuda",
    }
    training = create_loader(
        create_dataset("", root=root, split="train", is_training=True),
        batch_size=settings.batch_size,
        is_training=True,
        scale=engine.CROP_SCALE,
        ratio=engine.CROP_RATIO,
        hflip=engine.HFLIP,
        auto_augment="rand-m7-mstd0.5-inc1",
        interpolation="random",
        **common,
    )
    validation = create_loader(
        create_dataset("", root=root, split="validation", is_training=False),
        batch_size=2 * settings.batch_size,
        is_training=False,
        interpolation="bilinear",
        crop_pct=1.0,
        crop_mode="squash",
        **common,
    )
    return training, validation


def _accuracy(model: Any, loader: Any, settings: Settings) -> float:
    import torch

    model.eval()
    right = seen = 0
    with torch.inference_mode(), autocast(settings):
        for images, targets in loader:
            logits = model(images.contiguous(memory_format=torch.channels_last))
            right += (logits.argmax(dim=1) == targets).sum()
            seen += len(targets)
    return float(right) / seen


if __name__ == "__main__":
    main(train)

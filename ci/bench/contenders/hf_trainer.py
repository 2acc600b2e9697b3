"""transformers' Trainer with its default collator, on a data set of PIL's decoder and torchvision's v2 transforms.

Its gradient clipping is off and its workers live on between epochs, as in the other loops.
"""

from pathlib import Path
from typing import Any

import torch
from common import Clock, Settings, build_model, engine, main, mean_and_std
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import v2
from transformers import Trainer, TrainerCallback, TrainingArguments


def train(settings: Settings, folder: Path) -> Clock:
    model = build_model(settings)
    mean, std = mean_and_std(model)
    clock = Clock(settings.device)
    images = _Images(settings, "train", _augmentation(settings.size_px, mean, std))
    trainer = Trainer(
        model=_WithLoss(model),
        args=_arguments(settings, folder),
        train_dataset=images,
        eval_dataset=_Images(settings, "validation", _plain(settings.size_px, mean, std)),
        compute_metrics=lambda found: {"accuracy": float((found.predictions.argmax(1) == found.label_ids).mean())},
        callbacks=[_Epochs(clock, len(images) // settings.batch_size * settings.batch_size)],
    )
    trainer.train()
    return clock


class _Images(torch.utils.data.Dataset[dict[str, Any]]):
    def __init__(self, settings: Settings, split: str, transform: Any) -> None:
        root = Path(settings.data) / "by_class" / split
        classes = sorted(folder.name for folder in root.iterdir())
        self._files = [(path, label) for label, name in enumerate(classes) for path in sorted((root / name).iterdir())]
        self._transform = transform

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, number: int) -> dict[str, Any]:
        path, label = self._files[number]
        return {"pixel_values": self._transform(Image.open(path).convert("RGB")), "labels": label}


class _WithLoss(nn.Module):
    """What Trainer expects of a model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.model(pixel_values.contiguous(memory_format=torch.channels_last))
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


class _Epochs(TrainerCallback):
    def __init__(self, clock: Clock, images: int) -> None:
        self._clock, self._images = clock, images

    def on_epoch_begin(self, *arguments: Any, **others: Any) -> None:
        self._clock.start()

    def on_epoch_end(self, *arguments: Any, **others: Any) -> None:
        self._clock.stop(self._images)

    def on_evaluate(self, *arguments: Any, metrics: dict[str, float], **others: Any) -> None:
        self._clock.validated(metrics["eval_accuracy"])


def _augmentation(size_px: int, mean: tuple[float, ...], std: tuple[float, ...]) -> v2.Compose:
    """RandAugment as timm's `m7`, `n2`: magnitude 7 of 10, each of two operations with probability 0.5."""
    rand_augment = v2.RandAugment(num_ops=1, magnitude=7, num_magnitude_bins=11)
    return v2.Compose(
        [
            v2.RandomResizedCrop(size_px, scale=engine.CROP_SCALE, ratio=engine.CROP_RATIO),
            v2.RandomHorizontalFlip(engine.HFLIP),
            v2.RandomApply([rand_augment], 0.5),
            v2.RandomApply([rand_augment], 0.5),
            *_to_floats(mean, std),
        ]
    )


def _plain(size_px: int, mean: tuple[float, ...], std: tuple[float, ...]) -> v2.Compose:
    return v2.Compose([v2.Resize((size_px, size_px)), *_to_floats(mean, std)])


def _to_floats(mean: tuple[float, ...], std: tuple[float, ...]) -> list[Any]:
    return [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)]


def _arguments(settings: Settings, folder: Path) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=2 * settings.batch_size,
        num_train_epochs=settings.epochs,
        learning_rate=settings.lr,
        weight_decay=settings.weight_decay,
        lr_scheduler_type="cosine",
        max_grad_norm=0,
        bf16=settings.precision == "bf16",
        torch_compile=settings.compile,
        use_cpu=settings.device == "cpu",
        dataloader_num_workers=settings.workers,
        dataloader_persistent_workers=settings.workers > 0,
        dataloader_pin_memory=settings.device == "cuda",
        dataloader_drop_last=True,
        eval_strategy="epoch",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        seed=settings.seed,
    )


if __name__ == "__main__":
    main(train)

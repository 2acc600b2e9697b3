"""transformers' Trainer, with timm's network and a data set of PIL's decoder and torchvision's v2 transforms."""

from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image
from task import (
    CROP_RATIO,
    CROP_SCALE,
    HFLIP,
    JITTER,
    Answer,
    Task,
    lines_of,
    main,
    timm_model,
    write_predictions,
)
from torch import Tensor, nn
from torchvision.transforms import v2
from transformers import Trainer, TrainingArguments, set_seed


def fine_tune(task: Task) -> Answer:
    return Answer(
        predictions=write_predictions(task, trained_and_predicted(task)),
        version=f"transformers {transformers.__version__}",
        augmentation=f"torchvision: RandomResizedCrop, RandomHorizontalFlip, ColorJitter {JITTER}",
        commands=["python fine_tune.py"],
        lines=lines_of(
            trained_and_predicted, Images, WithLoss, transforms, arguments, right, timm_model, write_predictions
        ),
        notes=[
            "channels-last images alone: it cannot save weights that are",
            "the last, smaller batch of an epoch is trained too: what drops it drops test images as well",
        ],
    )


def trained_and_predicted(task: Task) -> list[str]:
    """The label of each test row."""
    set_seed(task.seed)
    trainer = Trainer(
        model=WithLoss(timm_model(task)),
        args=arguments(task),
        train_dataset=Images(task, "train"),
        eval_dataset=Images(task, "validation"),
        compute_metrics=right,
    )
    trainer.train()
    found = trainer.predict(Images(task, "test")).predictions
    return [task.classes[number] for number in found.argmax(1).tolist()]


class Images(torch.utils.data.Dataset[dict[str, Any]]):
    def __init__(self, task: Task, part: str) -> None:
        number = {name: number for number, name in enumerate(task.classes)}
        self._labels = [number[row["label"]] for row in task.rows(part)] if part != "test" else None
        self._paths = task.paths(part)
        self._transform = transforms(task, part)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, row: int) -> dict[str, Any]:
        found = {"pixel_values": self._transform(Image.open(self._paths[row]).convert("RGB"))}
        return found if self._labels is None else {**found, "labels": self._labels[row]}


class WithLoss(nn.Module):
    """What Trainer expects of a model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        logits = self.model(pixel_values.contiguous(memory_format=torch.channels_last))
        return (
            {"logits": logits}
            if labels is None
            else {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}
        )


def right(found: Any) -> dict[str, float]:
    return {"accuracy": float((found.predictions.argmax(1) == found.label_ids).mean())}


def transforms(task: Task, part: str) -> v2.Compose:
    floats = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(task.mean, task.std)]
    if part != "train":
        return v2.Compose([v2.Resize(task.image_size), v2.CenterCrop(task.image_size), *floats])
    crop = v2.RandomResizedCrop(task.image_size, scale=CROP_SCALE, ratio=CROP_RATIO)
    return v2.Compose([crop, v2.RandomHorizontalFlip(HFLIP), v2.ColorJitter(JITTER, JITTER, JITTER), *floats])


def arguments(task: Task) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(Path(task.folder) / task.start),
        per_device_train_batch_size=task.batch_size,
        per_device_eval_batch_size=2 * task.batch_size,
        num_train_epochs=task.epochs,
        learning_rate=task.lr,
        weight_decay=task.weight_decay,
        lr_scheduler_type="cosine",
        max_grad_norm=0,
        use_cpu=task.device == "cpu",
        dataloader_num_workers=task.workers,
        dataloader_persistent_workers=task.workers > 0,
        dataloader_pin_memory=task.device == "cuda",
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        label_names=["labels"],
        seed=task.seed,
    )


if __name__ == "__main__":
    main(fine_tune)

"""fastai: its DataBlock, its Learner and its AdamW, with timm's network and a cosine schedule."""

from pathlib import Path
from typing import Any

import fastai
import torch
from fastai.callback.channelslast import ChannelsLast
from fastai.callback.schedule import ParamScheduler, SchedCos
from fastai.data.block import CategoryBlock, DataBlock
from fastai.data.transforms import IndexSplitter
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.metrics import accuracy
from fastai.optimizer import Adam
from fastai.torch_core import set_seed
from fastai.vision.augment import Brightness, Contrast, Flip, RandomResizedCrop, Saturation
from fastai.vision.data import ImageBlock, Normalize
from task import CROP_RATIO, CROP_SCALE, HFLIP, JITTER, Answer, Task, lines_of, main, timm_model, write_predictions


def fine_tune(task: Task) -> Answer:
    return Answer(
        predictions=write_predictions(task, trained_and_predicted(task)),
        version=f"fastai {fastai.__version__}",
        augmentation=f"RandomResizedCrop, Flip; Brightness, Contrast, Saturation {JITTER}, in logits",
        commands=["python fine_tune.py"],
        lines=lines_of(trained_and_predicted, loaders, timm_model, write_predictions),
    )


def trained_and_predicted(task: Task) -> list[str]:
    """The label of each test row."""
    set_seed(task.seed)
    data = loaders(task)
    learner = Learner(
        data,
        timm_model(task),
        loss_func=CrossEntropyLossFlat(),
        opt_func=Adam,  # with decoupled weight decay
        lr=task.lr,
        wd=task.weight_decay,
        metrics=accuracy,
        path=Path(task.folder),
        cbs=[ChannelsLast()],
    )
    with learner.no_bar():
        learner.fit(task.epochs, cbs=[ParamScheduler({"lr": SchedCos(task.lr, 0.0)})])
        learner.save(task.start)
        found, _ = learner.get_preds(dl=data.test_dl(task.paths("test")))
    return [data.vocab[number] for number in found.argmax(dim=1).tolist()]


def loaders(task: Task) -> Any:
    rows = [*task.rows("train"), *task.rows("validation")]
    validated = list(range(len(task.rows("train")), len(rows)))
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_x=lambda row: Path(task.data) / row["path"],
        get_y=lambda row: row["label"],
        splitter=IndexSplitter(validated),
        item_tfms=RandomResizedCrop(task.image_size, CROP_SCALE[0], CROP_RATIO, val_xtra=0),
        batch_tfms=[
            Flip(HFLIP),
            *(change(JITTER, p=1.0) for change in (Brightness, Contrast, Saturation)),
            Normalize.from_stats(task.mean, task.std, cuda=task.device == "cuda"),
        ],
    )
    return block.dataloaders(
        rows,
        bs=task.batch_size,
        val_bs=2 * task.batch_size,
        num_workers=task.workers,
        device=torch.device(task.device),
    )


if __name__ == "__main__":
    main(fine_tune)

"""`comp predict --images DIR --out FILE`: a trained run on a folder of images that is no competition."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from comp.distributed.accelerator import accelerator_for
from comp.errors import CompError
from comp.files import write_text
from comp.runs.rundir import RunDir
from comp.tables import Targets
from comp.vision.data.find_images import image_files
from comp.vision.data.samples import Samples
from comp.vision.data.settle import prepared_as
from comp.vision.inference.predict_again import predict_again
from comp.vision.inference.predict_rows import predict_rows
from comp.vision.model import Classifier, load_checkpoint
from comp.vision.pixels import Decoding, open_pixels
from comp.vision.pixels.scale import decided
from comp.vision.schema import ImageConfig


def predict(config: ImageConfig, arguments: list[str], images: str | None = None, out: str | None = None) -> int:
    """Predicts the competition's rows again or, with `images`, a folder of images into the CSV `out`.

    Raises:
        CompError: as `predict_again`; or the run is not trained, or the folder has no images.
    """
    if images is None:
        if out is not None:
            raise CompError("--out is for a folder of images: name it with --images")
        return predict_again(config, arguments)
    run, trained = trained_run(config)
    targets, models = models_of(run, trained)
    if trained.model.metadata:
        print("note    a folder has no model.metadata: the models go by its images alone")
    predict_folder(as_trained(config, trained), targets, models, images, out)
    return 0


def trained_run(config: ImageConfig) -> tuple[RunDir, ImageConfig]:
    """The run that a folder is predicted with, and its configuration.

    Raises:
        CompError: there are several, or it is not trained.
    """
    if config.members:
        names = ", ".join(str(member["name"]) for member in config.members)
        raise CompError(f"a folder is predicted by one run, and this experiment has members: member= one of {names}")
    run = RunDir.of(config)
    trained: ImageConfig = run.trained_config()
    if not any((run.fold(k) / "best.safetensors").is_file() for k in run.done_folds()):
        raise CompError(f"{run.path} has no trained fold: run comp train")
    return run, trained


def as_trained(config: ImageConfig, trained: ImageConfig) -> ImageConfig:
    """`config`, whose images become what the run was trained on; views and devices stay its own."""
    predict = config.predict.model_copy(update={"resize": trained.predict.resize})
    data = prepared_as(config.data, trained.data)
    return config.model_copy(update={"model": trained.model, "data": data, "predict": predict})


def models_of(run: RunDir, trained: ImageConfig) -> tuple[Targets, list[Classifier]]:
    """The models of all folds that are trained, and what they tell apart."""
    loaded = [load_checkpoint(trained.model, run.fold(k) / "best.safetensors") for k in run.done_folds()]
    facts = loaded[0][1]
    return Targets(facts["kind"], tuple(facts["classes"])), [model for model, _ in loaded]


def predict_folder(
    config: ImageConfig, targets: Targets, models: Iterable[Classifier], folder: str, out: str | None
) -> pd.DataFrame:
    """Writes image, label and probabilities, the mean over `models`, to the CSV `out`; unreadable images are told.

    Raises:
        CompError: there is no such folder, or no readable image in it.
    """
    if out is None:
        raise CompError("--out is missing: where are the predictions to be written, such as --out predictions.csv?")
    root = Path(folder)
    names = image_files(root) if root.is_dir() else []
    if not names:
        raise CompError(f"{folder} is not a folder" if not root.is_dir() else f"there are no images in {folder}")
    paths = [str(root / name) for name in names]
    if config.data.scale == "auto":
        config = config.model_copy(update={"data": config.data.model_copy(update={"scale": decided(paths)[0]})})
    with tempfile.TemporaryDirectory() as memory:  # these images are seen once
        pixels = open_pixels(paths, Path(memory), Decoding.of(config), cache=False, quiet=True)
    for reason in pixels.bad.values():
        print(f"warning: left out, unreadable: {reason}")
    rows = np.setdiff1d(np.arange(len(names)), list(pixels.bad))
    if not len(rows):
        raise CompError(f"no image in {folder} can be read")
    accelerator, samples = (
        accelerator_for(config),
        Samples(pixels, targets, np.zeros((len(names), 0), np.float32), None),
    )
    said = [
        predict_rows(model.to(accelerator.device), samples, rows, config, accelerator, config.predict.views)
        for model in models
    ]
    table = _table([names[row] for row in rows], np.mean(said, axis=0), targets)
    write_text(Path(out), table.to_csv(index=False, lineterminator="\n"))
    print(f"wrote   {out}: {len(table)} images, {len(targets.columns)} probabilities, by {len(said)} models")
    return table


def _table(names: list[str], p: np.ndarray, targets: Targets) -> pd.DataFrame:
    labels: dict[str, Any]
    if targets.kind == "multiclass":
        labels = {"label": [targets.classes[k] for k in p.argmax(axis=1)]}
    else:
        labels = {name: (p[:, k] > 0.5).astype(int) for k, name in enumerate(targets.classes)}
    return pd.DataFrame({"image": names, **labels, **dict(zip(targets.columns, p.T, strict=True))})

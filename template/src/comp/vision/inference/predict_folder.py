"""`comp predict --images FOLDER_OR_TABLE --out FILE`: what all folds of a run say of images that are none of its rows.

No training row is read, and nothing in `runs/` changes: the checkpoints and the images are all that it needs.
"""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from comp.distributed.accelerator import accelerator_for
from comp.errors import CompError, shown
from comp.files import write_text, written_whole
from comp.runs.elsewhere import out_file, own_ids, run_with_models
from comp.runs.predictions import refuse_not_finite, test_table
from comp.runs.results import mean_of
from comp.runs.rundir import RunDir
from comp.tables import Targets
from comp.vision.data.metadata import read_metadata
from comp.vision.data.other_images import OtherImages, read_other_images, refuse_without_metadata
from comp.vision.data.samples import Samples
from comp.vision.data.settle import prepared_as
from comp.vision.inference.of_fold import note_on_pixels, refuse_copied
from comp.vision.inference.predict_again import predict_again
from comp.vision.inference.predict_fold import other_predictions
from comp.vision.inference.predict_rows import predict_rows
from comp.vision.model import Classifier, load_checkpoint
from comp.vision.pixels import Decoding, Pixels, Streamed, open_pixels
from comp.vision.pixels.scale import decided
from comp.vision.schema import ImageConfig

SUFFIXES = (".csv", ".parquet")


def predict(config: ImageConfig, arguments: list[str], images: str | None = None, out: str | None = None) -> int:
    """Predicts the competition's rows again or, with `images`, a folder or table of images into the file `out`.

    Raises:
        CompError: as `predict_again`; or the run has no models, or there are no images.
    """
    if images is None:
        if out is not None:
            raise CompError("--out is for other images than the run's: name them with --images")
        return predict_again(config, arguments)
    place = out_file(out, SUFFIXES)
    run, trained = run_with_models(config)
    found = read_other_images(Path(images), config.data, own_ids(run))
    refuse_without_metadata(found, trained.model.metadata)
    stale = other_predictions(config, run)
    if stale:
        print(f"note    the run's own test rows were predicted with another {stale} ({run.config} has it)")
    targets, models = models_of(run, trained)
    predict_images(as_trained(config, trained), targets, models, found, place)
    return 0


def as_trained(config: ImageConfig, trained: ImageConfig) -> ImageConfig:
    """`config`, whose images become what the run was trained on; views and devices stay its own."""
    predict = config.predict.model_copy(update={"resize": trained.predict.resize})
    kept = {"model": trained.model, "data": prepared_as(config.data, trained.data), "augment": trained.augment}
    return config.model_copy(update={**kept, "predict": predict})


def models_of(run: RunDir, trained: ImageConfig) -> tuple[Targets, Iterator[Classifier]]:
    """What the models of a run tell apart, and those of all folds that are trained, one at a time.

    Raises:
        CompError: a checkpoint is missing, or another fold's.
    """

    first, *others = run.done_folds()
    loaded = [_model_of(run, first, trained)]
    targets = loaded[0][1]

    def models() -> Iterator[Classifier]:
        yield loaded.pop()[0]
        for number in others:
            model, its_targets = _model_of(run, number, trained)
            if its_targets != targets:
                raise CompError(f"{run.fold(number)} tells other classes apart than {run.fold(first)}: train it again")
            yield model

    return targets, models()


def _model_of(run: RunDir, number: int, trained: ImageConfig) -> tuple[Classifier, Targets]:
    path = run.fold(number) / "best.safetensors"
    model, facts = load_checkpoint(trained.model, path)
    refuse_copied(path, facts, (number,))
    note_on_pixels(facts, (number,))
    return model, Targets(facts["kind"], tuple(facts["classes"]))


def predict_images(
    config: ImageConfig, targets: Targets, models: Iterable[Classifier], images: OtherImages, out: Path
) -> pd.DataFrame:
    """Writes id, label and probabilities, the mean over `models`, to the file `out`; unreadable images are told.

    Raises:
        CompError: an image of a table cannot be read, or none of a folder.
    """
    print(f"images  {images.about}")
    paths, accelerator = images.table["path"].tolist(), accelerator_for(config)
    if config.data.scale == "auto":
        config = config.model_copy(update={"data": config.data.model_copy(update={"scale": decided(paths)[0]})})
    columns = read_metadata(images.table, config.model.metadata, "--images") if config.model.metadata else None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as memory:  # Windows keeps what is mapped
        pixels = open_pixels(paths, Path(memory), Decoding.of(config), config.data.cache, quiet=True)
        rows, said = _readable(pixels, images), []
        for model in models:
            metadata = None if columns is None or model.encoder is None else model.encoder.encode(columns)
            samples = Samples(pixels, targets, np.zeros((len(paths), 0), np.float32), metadata)
            model = model.to(accelerator.device)
            p = predict_rows(model, samples, rows, config, accelerator, config.predict.views)
            said.append(test_table(images.table.iloc[rows], p, targets))
    mean = mean_of(said, targets)
    if accelerator.is_main_process:
        refuse_not_finite(out, mean, targets)
        _write(out, _named(mean, images, targets))
        print(f"wrote   {out}: {len(mean)} images, {len(targets.columns)} probabilities, by {len(said)} models")
    return mean


def _readable(pixels: Pixels | Streamed, images: OtherImages) -> np.ndarray:
    """The rows whose images can be read. A folder may hold others; a table's rows are all asked for."""
    bad = list(pixels.bad)
    if bad and not images.is_folder:
        ids = shown(images.table["id"].iloc[bad])
        why = next(iter(pixels.bad.values()))
        raise CompError(f"{len(bad)} images of {images.source} cannot be read (ids {ids}): {why}")
    for reason in pixels.bad.values():
        print(f"warning: left out, unreadable: {reason}")
    rows = np.setdiff1d(np.arange(len(images.table)), bad)
    if not len(rows):
        raise CompError(f"no image in {images.source} can be read")
    return rows


def _named(mean: pd.DataFrame, images: OtherImages, targets: Targets) -> pd.DataFrame:
    """A predictions table as it is written: its ids are called as they were, and the likeliest class stands first."""
    table = mean.rename(columns={"id": images.id_column})
    if targets.kind == "multiclass" and images.id_column != "label":
        likeliest = mean[targets.columns].to_numpy().argmax(axis=1)
        table.insert(1, "label", [targets.classes[k] for k in likeliest])
    return table


def _write(out: Path, table: pd.DataFrame) -> None:
    if out.suffix.lower() == ".csv":
        write_text(out, table.to_csv(index=False, lineterminator="\n"))
        return
    with written_whole(out) as temporary:
        table.to_parquet(temporary, index=False)

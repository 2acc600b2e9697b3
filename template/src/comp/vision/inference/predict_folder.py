"""`comp predict --images FOLDER_OR_TABLE --out FILE`: what all folds of a run say of images that are none of its rows.

No training row is read, and nothing in `runs/` changes: the checkpoints and the images are all that it needs.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from comp.distributed.accelerator import accelerator_for
from comp.distributed.launch import QUIET, launch, processes_wanted
from comp.distributed.processes import is_launched
from comp.errors import CompError, shown
from comp.files import write_text, written_whole
from comp.runs.elsewhere import out_file, own_ids, run_with_models
from comp.runs.predictions import refuse_not_finite, test_table
from comp.runs.results import mean_of
from comp.runs.rundir import RunDir
from comp.tables import Targets
from comp.vision.data.competition import by_row
from comp.vision.data.metadata import read_metadata
from comp.vision.data.other_images import OtherImages, read_other_images, refuse_without_metadata
from comp.vision.data.paths import all_paths
from comp.vision.data.samples import Samples
from comp.vision.data.settle import as_trained
from comp.vision.inference.how_predicted import other_predictions
from comp.vision.inference.of_fold import note_on_pixels, refuse_copied
from comp.vision.inference.predict_again import predict_again
from comp.vision.inference.predict_rows import predict_rows
from comp.vision.model import Classifier, load_checkpoint
from comp.vision.pixels import Decoding, Pixels, Several, Streamed, open_pixels
from comp.vision.pixels.scale import decided
from comp.vision.schema import ImageConfig

SUFFIXES = (".csv", ".parquet")
DECODED = "COMP_DECODED"  # the folder of the decoded images, for processes that are started for them


@dataclass(frozen=True)
class Models:
    """What models tell apart, and the models, one at a time."""

    targets: Targets
    each: Iterable[Classifier]
    priors: Sequence[np.ndarray] = ()  # (K,) of each: what it says of an unreadable image; none where nobody knows


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
    config = as_trained(config, trained)
    stale = other_predictions(config, run)
    if stale:
        _say(f"note    the run's own test rows were predicted with another {stale} ({run.config} has it)")
    words = [arguments[0], "--images", images, "--out", str(out), *arguments[1:]]
    return predict_images(config, models_of(run, trained), found, place, words)


def models_of(run: RunDir, trained: ImageConfig) -> Models:
    """Those of all folds that are trained.

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

    priors = [run.read_fold_metrics(number).get("prior") for number in (first, *others)]
    known = [np.array(prior, dtype=np.float32) for prior in priors if prior is not None]
    return Models(targets, models(), known if len(known) == len(priors) else ())


def _model_of(run: RunDir, number: int, trained: ImageConfig) -> tuple[Classifier, Targets]:
    path = run.fold(number) / "best.safetensors"
    model, facts = load_checkpoint(trained.model, path)
    refuse_copied(path, facts, (number,))
    if QUIET not in os.environ or os.environ.get("RANK") == "0":
        note_on_pixels(facts, (number,))
    return model, Targets(facts["kind"], tuple(facts["classes"]))


def predict_images(config: ImageConfig, models: Models, images: OtherImages, out: Path, words: list[str]) -> int:
    """Writes id, label and probabilities, the mean over `models`, to the file `out`; the exit status.

    With data.on_bad_image=drop an unreadable image gets the training prior, as a test row does. For several GPUs, the
    images are decoded here, once, and `comp WORDS` is started in each process.

    Raises:
        CompError: an image of a table cannot be read, or none of a folder.
    """
    paths, targets = all_paths(images.table), models.targets
    processes = 1 if is_launched() else processes_wanted(config)
    priors = models.priors if config.data.on_bad_image == "drop" else ()
    if config.data.scale == "auto":
        config = config.model_copy(update={"data": config.data.model_copy(update={"scale": decided(paths)[0]})})
    with _decoded() as folder:
        files = open_pixels(paths, folder, Decoding.of(config), config.data.cache, quiet=True)
        pixels = by_row(files, images.table, config.train.images_per_row)
        rows = _readable(pixels, images, with_prior=bool(priors))
        if processes > 1:
            return launch(processes, words)
        columns = read_metadata(images.table, config.model.metadata, "--images") if config.model.metadata else None
        accelerator, said = accelerator_for(config), []
        for number, model in enumerate(models.each):
            metadata = None if columns is None or model.encoder is None else model.encoder.encode(columns)
            samples = Samples(pixels, targets, np.zeros((len(images.table), 0), np.float32), metadata)
            on_device = model.to(accelerator.device)
            p = predict_rows(on_device, samples, rows, config, accelerator, config.predict.views)
            said.append(_table(images, rows, p, targets, priors[number] if priors else None))
    mean = mean_of(said, targets)
    if accelerator.is_main_process:
        refuse_not_finite(out, mean, targets)
        _write(out, _named(mean, images, targets))
        print(f"wrote   {out}: {len(mean)} images, {len(targets.columns)} probabilities, by {len(said)} models")
    accelerator.end_training()
    return 0


def _table(
    images: OtherImages, rows: np.ndarray, p: np.ndarray, targets: Targets, prior: np.ndarray | None
) -> pd.DataFrame:
    """The predictions `p` (R, K) of `rows` (R,), or of all rows where a `prior` (K,) stands for the others."""
    if prior is None:
        return test_table(images.table.iloc[rows], p, targets)
    every = np.tile(prior, (len(images.table), 1))
    every[rows] = p
    return test_table(images.table, every, targets)


@contextmanager
def _decoded() -> Iterator[Path]:
    """A folder for the decoded images, until the block ends; that of the starter in processes that it started."""
    if DECODED in os.environ:
        yield Path(os.environ[DECODED])
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # Windows keeps what is mapped
        os.environ[DECODED] = folder
        try:
            yield Path(folder)
        finally:
            del os.environ[DECODED]


def _readable(pixels: Pixels | Streamed | Several, images: OtherImages, with_prior: bool) -> np.ndarray:
    """The rows whose images can be read. A folder may hold others; a table's rows are all asked for."""
    bad = list(pixels.bad)
    if bad and not images.is_folder and not with_prior:
        ids, why = shown(images.table["id"].iloc[bad]), next(iter(pixels.bad.values()))
        raise CompError(
            f"{len(bad)} images of {images.source} cannot be read (ids {ids}): {why}. Fix them, or set "
            "data.on_bad_image=drop (they get the training prior, which older runs note down in comp predict)"
        )
    rows = np.setdiff1d(np.arange(len(images.table)), bad)
    if not len(rows):
        raise CompError(f"no image in {images.source} can be read")
    _say(f"images  {images.about}")
    for reason in pixels.bad.values():
        _say(f"warning: {'gets the training prior' if with_prior else 'left out'}, unreadable: {reason}")
    return rows


def _say(line: str) -> None:
    """What the starter of several processes has said already is not said again."""
    if QUIET not in os.environ:
        print(line, flush=True)


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

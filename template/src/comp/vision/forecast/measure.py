"""How fast a model trains and predicts here: the real training of a fold on some of its rows, in another folder."""

import io
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from accelerate import Accelerator

from comp.distributed.accelerator import accelerator_for
from comp.folds import Split
from comp.tables import Tables
from comp.vision.data.competition import Competition, cache_folder, images_by_cache, open_images
from comp.vision.data.metadata import read_metadata
from comp.vision.data.paths import all_paths
from comp.vision.folds.fold import Fold
from comp.vision.forecast.memory import PeakMemory
from comp.vision.inference.predict_rows import predict_rows
from comp.vision.inference.views import EPOCH_VIEWS
from comp.vision.model import Classifier, save_checkpoint
from comp.vision.pixels import Decoding
from comp.vision.pixels.open import expected
from comp.vision.schema import ImageConfig
from comp.vision.training.fit import fit
from comp.vision.training.memory import step_errors_explained

TRIED = 2  # updates of an epoch, at first
EPOCHS = 3  # of either kind, frozen or not; the first is not counted
FEW = 0.25  # of the rows: what predicting so many takes beside all tells what does not depend on their number
STATES = 4  # times the weights that a saved state is: the model, two of AdamW, and an average


@dataclass(frozen=True)
class Cost:
    """Seconds for n items: `once` + n · `each`."""

    once: float
    each: float

    def __call__(self, n: float) -> float:
        return self.once + n * self.each if n else 0.0


@dataclass(frozen=True)
class Speed:
    """What a model costs here: seconds, and bytes at the most."""

    start: float  # of a fold: network, weights, optimizer
    first_epoch: float  # how much longer it takes than the others
    update: float
    frozen_update: float  # while the backbone is frozen (train.freeze_epochs)
    batch: int  # rows of an update
    validation: Cost  # of rows
    prediction: Cost  # of rows, in all views
    decoding: float  # of an image
    feature: float  # of a view of an image, by what is frozen (train.cache_frozen)
    saving: float  # of the state
    ram: int
    gpu: int
    cached: int  # bytes of decoded images that were touched
    views: int  # of images, whose features were made


def start_of_process() -> float:
    """Seconds until a new process is ready to read the data."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import comp.vision.training.train"], check=True, capture_output=True)
    return time.perf_counter() - started


def decoding_to_do(config: ImageConfig, tables: Tables) -> tuple[int, int, bool]:
    """Images that comp train will decode into caches, the caches' bytes, and whether images are streamed instead."""
    images, n_bytes, streams = 0, 0, False
    for name, paths in images_by_cache(config, tables).items():
        found, size = expected(paths, cache_folder(config), Decoding.of(config), config.data.cache, name)
        images += len(paths) * (found == "missing")
        n_bytes, streams = n_bytes + size, streams or (found == "none" and bool(paths))
    return images, n_bytes, streams


def measured(config: ImageConfig, tables: Tables, split: Split, rows: tuple[np.ndarray, np.ndarray]) -> Speed:
    """Trains some of the rows (training, validation) of a fold, twice: to see how much there is time for, then so much.

    `config` is settled. Nothing is written but below a temporary folder.

    Raises:
        CompError: whatever the training would raise.
    """
    train, valid = _mixed(rows[0], tables, config), rows[1]
    batch = min(config.train.effective_batch_size, len(train))
    config = _short(config)
    with step_errors_explained(), tempfile.TemporaryDirectory() as folder:
        first = _tried(config, tables, split, train[: TRIED * batch], valid[: config.predict.batch_size], Path(folder))
        seconds = config.limits.seconds / (EPOCHS * (2 if config.train.freeze_epochs else 1))
        updates = int(np.clip(0.8 * seconds / max(first.update, 1e-4), TRIED, max(TRIED, len(train) // batch)))
        validated = int(0.2 * seconds / max(first.validation.each, 1e-6))
        validated = int(np.clip(validated, config.predict.batch_size, max(len(valid), 1)))
        return _tried(config, tables, split, train[: updates * batch], valid[:validated], Path(folder), first)


def _short(config: ImageConfig) -> ImageConfig:
    """With so few epochs as are measured, and without what ends or tracks a training."""
    settings = config.train
    frozen = EPOCHS * bool(settings.freeze_epochs)
    epochs = frozen + EPOCHS * (settings.freeze_epochs < settings.epochs)
    changes: dict[str, object] = {
        "epochs": epochs,
        "freeze_epochs": frozen,
        "warmup_epochs": 0.0,
        "schedule_epochs": None,
    }
    changes |= {"early_stop": None, "checkpoint_epochs": 0, "save_every": "1000000 minutes"}
    return config.model_copy(update={"train": settings.model_copy(update=changes), "tracker": "none"})


def _mixed(rows: np.ndarray, tables: Tables, config: ImageConfig) -> np.ndarray:
    """In another order: a row of each class first, where each row has one; else any."""
    shuffled = np.random.default_rng(config.seed).permutation(rows)
    if "target" not in tables.train:
        return shuffled
    again = tables.train["target"].iloc[shuffled].duplicated().to_numpy()
    return np.concatenate([shuffled[~again], shuffled[again]]) if tables.targets.kind != "regression" else shuffled


def _tried(
    config: ImageConfig,
    tables: Tables,
    split: Split,
    train: np.ndarray,
    valid: np.ndarray,
    folder: Path,
    before: Speed | None = None,
) -> Speed:
    """What training on these rows took; `before`, on fewer rows, tells what does not depend on their number."""
    n, folder = len(train), folder / f"{len(train)}+{len(valid)}"
    table = tables.train.iloc[np.concatenate([train, valid])].reset_index(drop=True)
    some = replace(tables, train=table, test=tables.test.iloc[:0], golden=None)
    streams = decoding_to_do(config, tables)[2]
    data = config.data.model_copy(update={"work": str(folder), "cache": not streams})
    with PeakMemory() as peak:
        started = time.perf_counter()
        pixels, nothing = open_images(config.model_copy(update={"data": data}), some, quiet=True)
        decoded = 0.0 if streams else (time.perf_counter() - started) / max(1, len(all_paths(table)))
        wanted = config.model.metadata
        columns = {"train": read_metadata(table, wanted, "train")} if wanted else {}
        competition = Competition(some, split, tables.targets.encode(table), pixels, nothing, columns)
        encoder = competition.encoder(np.arange(n))
        samples = competition.samples("train", encoder)
        of_training, of_validation = np.arange(n), np.arange(n, len(table))
        fold = Fold((0,), of_training, of_validation, samples, split.digest, encoder, name="forecast")
        accelerator = accelerator_for(config)
        started = time.perf_counter()
        with redirect_stdout(io.StringIO()):
            model = fit(config, fold, folder / "fold0", accelerator)
        fitted = time.perf_counter() - started
        validation, prediction = (
            _cost(model, fold, config, accelerator, views) for views in (EPOCH_VIEWS, config.predict.views)
        )
        if config.train.cache_frozen:  # epochs validate by the features
            validation = Cost(0.0, 0.0)
        started = time.perf_counter()
        save_checkpoint(model, folder / "some.safetensors", fold.facts)
        saving = STATES * (time.perf_counter() - started)
    history = pd.read_csv(folder / "fold0" / "history.csv")
    batch = min(config.train.effective_batch_size, n)
    updates = max(1, n // batch)
    seconds = updates * batch / history["images_per_s"].to_numpy()  # the column of seconds is rounded
    frozen, full, first = _of_epochs(seconds, config.train.freeze_epochs)
    outside = max(0.0, fitted - float(seconds.sum()) - len(history) * validation(len(valid)))
    views, feature = config.train.cache_frozen * n + len(valid), 0.0
    if config.train.cache_frozen and before is not None:  # the network is made alike in both, the features are not
        feature = max(0.0, outside - before.start) / max(1, views - before.views)
    accelerator.free_memory()
    n_bytes = 0 if streams else getattr(pixels, "n_bytes", 0)
    return Speed(
        start=max(0.0, outside - feature * views),
        first_epoch=first,
        update=full / updates,
        frozen_update=frozen / updates,
        batch=batch,
        validation=validation,
        prediction=prediction,
        decoding=decoded,
        feature=feature,
        saving=saving,
        ram=peak.ram,
        gpu=peak.gpu,
        cached=n_bytes,
        views=views,
    )


def _of_epochs(seconds: np.ndarray, frozen: int) -> tuple[float, float, float]:
    """Of an epoch with a frozen backbone, of another one, and how much longer the first one took."""
    kinds = [part for part in (seconds[:frozen], seconds[frozen:]) if len(part)]
    each = [float(np.mean(part[1:])) for part in kinds]
    first = max(0.0, float(sum(part[0] for part in kinds)) - sum(each))
    return (each[0], each[-1], first) if frozen else (0.0, each[0], first)


def _cost(model: Classifier, fold: Fold, config: ImageConfig, accelerator: Accelerator, views: list[str]) -> Cost:
    """Of predicting rows: all of the fold's rows beside a few, once a first pass has warmed up."""
    rows = np.concatenate([fold.valid_rows, fold.train_rows])[: max(len(fold.valid_rows), config.predict.batch_size)]
    few = rows[: max(1, int(FEW * len(rows)))]

    def seconds(rows: np.ndarray) -> float:
        started = time.perf_counter()
        predict_rows(model, fold.samples, rows, config, accelerator, views)
        return time.perf_counter() - started

    seconds(few)
    less, more = seconds(few), seconds(rows)
    each = max(0.0, more - less) / max(1, len(rows) - len(few)) or more / len(rows)
    return Cost(max(0.0, more - each * len(rows)), each)

"""`train.cache_frozen`: what the frozen part of a network makes of images is computed once, and only the rest trains.

`fold<k>/frozen/` holds the features where what is frozen ends: of K views of each training row, drawn as those of an
epoch are, but by the row instead of its place; and of the validation rows as they are. Which process computes a part,
and when, changes nothing.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import broadcast_object_list
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm
from typing_extensions import TypedDict

from comp.errors import CompError
from comp.files import write_json
from comp.readback import AGAIN, read_json, remembered
from comp.vision.batches import Batch, EvalDataset, TrainDataset, loader, to_device, workers_for
from comp.vision.model.cut import Cut, find_cut
from comp.vision.model.frozen import evaluating
from comp.vision.pixels import Evaluation
from comp.vision.pixels.open import disk_obstacle, size_of
from comp.vision.training.feature_file import CachedDataset, FeatureFile
from comp.vision.training.setup import Setup, memory_format

TRIED = 3  # images that the cut is tried on


class Made(TypedDict):
    """What `made.json` holds: it is written last."""

    of: str  # all that the features depend on


@dataclass(frozen=True)
class Cached:
    """What trains and validates instead of the whole network on images."""

    cut: Cut
    training: CachedDataset
    validation: CachedDataset


def cached_features(setup: Setup, folder: Path) -> Cached | None:
    """The features of the fold, built in `folder`/frozen where they are not there yet; None without train.cache_frozen.

    To be called by all processes, once the model has the weights that it goes on with.

    Raises:
        CompError: the frozen part has more than one way to the logits, or the disk has not the space.
    """
    if not setup.config.train.cache_frozen:
        return None
    cut, fold, place = _cut_of(setup), setup.fold, folder / "frozen"
    training = FeatureFile(place / "training.bin", fold.train_rows, setup.config.train.cache_frozen, cut.shape)
    validation = FeatureFile(place / "validation.bin", fold.valid_rows, 1, cut.shape)
    files, of = (training, validation), _digest(setup, cut)
    about = f"frozen  {fold.label}: {_size(files)} in {place}"
    if _is_made(setup, files, place, of):
        _say(setup, f"{about}, found")
    else:
        _say(setup, about)
        _make(setup, cut, files, place, of)
    return Cached(cut, CachedDataset(training, fold.samples), CachedDataset(validation, fold.samples))


def _cut_of(setup: Setup) -> Cut:
    config, rows = setup.config, np.resize(setup.fold.train_rows, TRIED).tolist()
    batch = EvalDataset(setup.fold.samples, Evaluation.of(config)).__getitems__(rows)
    images, metadata, _ = to_device(batch, setup.accelerator.device, memory_format(config.train))
    with setup.accelerator.autocast():
        cut = find_cut(setup.model, images, metadata)
    if cut is None:
        raise CompError(
            f"train.cache_frozen={config.train.cache_frozen}: what train.freeze={config.train.freeze} freezes of "
            f"{config.model.backbone} does not end at one place: other ways lead around it to the logits. Freeze whole "
            "blocks from the first one on, or set train.cache_frozen=0"
        )
    return cut


def _digest(setup: Setup, cut: Cut) -> str:
    """Of all that the features depend on."""
    config, fold, model = setup.config, setup.fold, setup.model
    facts = {
        "of": [fold.facts, config.seed, config.train.cache_frozen, setup.accelerator.mixed_precision],
        "augment": config.augment.model_dump(mode="json", exclude={"on"}),
        "seen": asdict(Evaluation.of(config)),
        "cut": [config.model.backbone, cut.at, cut.shape],
    }
    found = hashlib.blake2b(json.dumps(facts).encode(), digest_size=8)
    frozen = [weight for weight in model.backbone.parameters() if not weight.requires_grad]
    for tensor in [*frozen, *(each for module in setup.still for each in module.buffers()), model.mean, model.std]:
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    for rows in (fold.train_rows, fold.valid_rows):
        found.update(np.ascontiguousarray(rows, np.int64).data)
    return found.hexdigest()


def _is_made(setup: Setup, files: tuple[FeatureFile, ...], place: Path, of: str) -> bool:
    """Whether all of it is there, and was made of the same; all processes say the same."""
    made: Made | None = remembered(place / "made.json", lambda: read_json(place / "made.json", Made, AGAIN))
    found = made is not None and made["of"] == of and all(file.is_whole() for file in files)
    return broadcast_object_list([found])[0] if setup.accelerator.num_processes > 1 else found


def _make(setup: Setup, cut: Cut, files: tuple[FeatureFile, ...], place: Path, of: str) -> None:
    accelerator, started = setup.accelerator, time.perf_counter()
    if accelerator.is_main_process:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        _refuse_too_large(setup, files, place)
        for file in files:
            file.lay_out()
    accelerator.wait_for_everyone()
    config, samples = setup.config, setup.fold.samples
    evaluation, seed = Evaluation.of(config), (config.seed, *setup.fold.left_out)
    views = TrainDataset(samples, evaluation.size_px, config.augment, seed, "cpu", evaluation.geometry)
    training, validation = files
    with evaluating(setup.model):
        _fill(setup, cut, training, views, lambda view, row: (view, row, row))
        _fill(setup, cut, validation, EvalDataset(samples, evaluation), lambda _, row: row)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        write_json(place / "made.json", {"of": of})
        n, seconds = sum(file.views * len(file.rows) for file in files), time.perf_counter() - started
        _say(setup, f"        {n:,} views in {seconds:.1f} s, {n / seconds:.0f} images/s")
    accelerator.wait_for_everyone()


def _fill(
    setup: Setup, cut: Cut, file: FeatureFile, dataset: Dataset[Batch], key: Callable[[int, int], object]
) -> None:
    """Writes this process's share of the file."""
    config, accelerator = setup.config, setup.accelerator
    workers = workers_for(config, accelerator, setup.fold.samples.pixels.streamed)
    own = file.chunks(config.predict.batch_size)[accelerator.process_index :: accelerator.num_processes]
    keys = [[key(view, int(row)) for row in rows] for view, _, rows in own]
    loading = loader(dataset, keys, workers, accelerator.device)
    quiet = None if accelerator.is_local_main_process else True  # None: quiet where no terminal shows it
    bar = tqdm(loading, f"{setup.fold.label} {file.path.stem}", len(own), leave=False, disable=quiet)
    with torch.inference_mode(), accelerator.autocast():
        for (view, place, _), batch in zip(own, bar, strict=True):
            file.write(view, place, cut.features(setup.model, _images(setup, batch)))
    file.settle()


def _images(setup: Setup, batch: Batch) -> Tensor:
    return to_device(batch, setup.accelerator.device, memory_format(setup.config.train))[0]


def _size(files: tuple[FeatureFile, ...]) -> str:
    training, validation = files
    views = f"{len(training.rows):,} images × {training.views} views, {len(validation.rows):,} to validate"
    return f"{views}, {size_of(training.bytes_each)} each: {size_of(sum(file.n_bytes for file in files))}"


def _refuse_too_large(setup: Setup, files: tuple[FeatureFile, ...], place: Path) -> None:
    obstacle = disk_obstacle(sum(file.n_bytes for file in files), place)
    if obstacle:
        raise CompError(
            f"train.cache_frozen={setup.config.train.cache_frozen}: {_size(files)}, and {obstacle}: set it lower, or "
            "to 0, or free some"
        )


def _say(setup: Setup, line: str) -> None:
    if setup.accelerator.is_main_process:
        print(line, flush=True)

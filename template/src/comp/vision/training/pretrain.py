"""`comp pretrain`: training on another data set first. Every fold starts from these weights, head included.

Images that the competition has as well, or nearly, are left out, whichever table they stand in: pretraining on one that
a fold is validated on would be a leak.
"""

import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from accelerate import Accelerator
from sklearn.model_selection import train_test_split

from comp.config.load import changed_by
from comp.distributed.launch import Work, on_all_devices
from comp.errors import CompError, shown
from comp.files import digest
from comp.loop.saving import divergence_noted
from comp.runs.members import for_each_member
from comp.runs.rundir import DIVERGED, RunDir
from comp.tables import Tables, Targets
from comp.vision.data.competition import Competition, open_competition
from comp.vision.data.other_set import as_written, reading_other_set, with_other_set
from comp.vision.data.paths import id_and_images
from comp.vision.data.read import read_training_table
from comp.vision.data.samples import Samples
from comp.vision.data.settle import settled, settled_data
from comp.vision.folds.duplicates import find_duplicates
from comp.vision.folds.fold import Fold
from comp.vision.kinds import refuse_kind
from comp.vision.model import save_checkpoint
from comp.vision.pixels import Decoding, open_pixels
from comp.vision.schema import Data, ImageConfig
from comp.vision.submission.form import expected_form
from comp.vision.training.fit import fit
from comp.vision.training.memory import step_errors_explained
from comp.vision.training.setup import note_on_random_weights

VALIDATED = 0.1  # share of the rows that tell how well it goes


@for_each_member
def pretrain(config: ImageConfig, arguments: list[str]) -> int:
    """Writes `runs/<name>/pretrain/best.safetensors`, unless it is there, and returns the exit status.

    `arguments` are those of this command, for further processes.

    Raises:
        CompError: nothing is to be pretrained on, or whatever is wrong with the other data set.
    """
    run = RunDir.of(config)
    if config.pretrain is None:
        raise CompError("pretrain: is not set: name its data, such as 'pretrain.data={root: external, train: images}'")
    settings = config.pretrain
    config = settled(config)
    after = {"freeze": 0, "cache_frozen": 0, "freeze_epochs": 0, "freeze_lr": None}  # those are for what comes after
    other = with_other_set(config, "pretrain")
    other = changed_by("pretrain", other, train={**after, **settings.train}, augment=settings.augment)
    if run.pretrained.is_file():
        print(f"pretrain  {run.pretrained} exists: kept")
        run.start(config)
        return 0
    return on_all_devices(
        other,
        arguments,
        Work(
            open=lambda quiet: open_competition(config, quiet, expected_form),
            prepare=lambda: run.start(config),
            do=lambda competition, accelerator: _pretrain(other, config.data, competition, run, accelerator),
        ),
    )


def _pretrain(other: ImageConfig, own: Data, competition: Competition, run: RunDir, accelerator: Accelerator) -> None:
    folder = run.pretrained.parent
    if accelerator.is_main_process:
        note_on_random_weights(other)
    with accelerator.local_main_process_first():
        fold = _other_rows(other, own, competition, quiet=not accelerator.is_main_process)
    with step_errors_explained(), divergence_noted(folder / DIVERGED):
        model = fit(other, fold, folder, accelerator)
    if accelerator.is_main_process:
        save_checkpoint(model, run.pretrained, fold.facts)
        for left in ("last", "frozen"):
            shutil.rmtree(folder / left, ignore_errors=True)
        print(f"wrote   {run.pretrained}", flush=True)
    accelerator.free_memory()
    accelerator.wait_for_everyone()


def _other_rows(other: ImageConfig, own: Data, competition: Competition, quiet: bool) -> Fold:
    """The other data set as one fold: mapped to the competition's classes, without images that it has too.

    `own`: the competition's data. Each set of images has a scale of its own.
    """
    targets = competition.tables.targets
    with reading_other_set("pretrain"):
        table, found, notes = read_training_table(other.data)
        data = settled_data(other.data, table["path"].tolist(), quiet)
    refuse_kind("comp pretrain", targets)
    refuse_kind("comp pretrain", found)
    other = other.model_copy(update={"data": data})
    table = _mapped(table, other.pretrain.map if other.pretrain else {}, targets)
    n, folder = len(table), Path(str(other.data.work)) / "cache"
    table = _without_known_images(table, other, own, competition, folder)
    if not quiet:
        print(as_written("pretrain", "\n".join(notes)))
        known = n - len(table)
        print(f"pretrain  {len(table)} rows with classes of this competition; {known} left out: it has the same images")
    paths = table["path"].tolist()
    pixels = open_pixels(
        paths, folder, Decoding.of(other), other.data.cache, f"pretrain-{digest([other.data.root])}", quiet
    )
    if pixels.bad and not quiet:
        why = as_written("pretrain", next(iter(pixels.bad.values())))
        print(f"warning: {len(pixels.bad)} of them are unreadable and left out, such as {why}")
    readable = np.array([row for row in range(len(table)) if row not in pixels.bad])
    labels = table["target"].to_numpy()[readable]
    if len(readable) < 2 * max(2, len(targets.classes)):  # yes or no is one class
        raise CompError(f"pretrain: only {len(readable)} rows of {other.data.root} are left: look at pretrain.map")
    train_rows, valid_rows = parted(readable, labels, other.seed)
    y = targets.encode(table)
    # The network has the metadata's part already, and learns to do without: the other images have none.
    encoder = competition.encoder(np.arange(len(competition.y)))
    samples = Samples(pixels, targets, y)
    return Fold(
        (competition.split.n,), train_rows, valid_rows, samples, competition.split.digest, encoder, name="pretrain"
    )


def parted(rows: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows to train on, and those that tell how well it goes: of few images, as many as there are classes."""
    of_each = pd.Series(labels).value_counts()
    validated = max(math.ceil(VALIDATED * len(rows)), len(of_each))
    kept, told = train_test_split(
        rows, test_size=validated, random_state=seed, stratify=labels if of_each.min() > 1 else None
    )
    return kept, told


def _mapped(table: pd.DataFrame, mapping: dict[str, str | None], targets: Targets) -> pd.DataFrame:
    """The rows whose label is a class here; without a map, labels are classes by their names."""
    classes = ("0", "1") if targets.kind == "binary" else targets.classes
    known = {str(name): str(to) for name, to in (mapping or {name: name for name in classes}).items() if to is not None}
    wrong = sorted(set(known.values()) - set(classes))
    if wrong:
        raise CompError(f"pretrain.map names unknown classes: {shown(wrong)}; there are {shown(classes, 12)}")
    labels = table["target"].astype(str)
    missing = sorted(set(known) - set(labels))
    if missing and mapping:
        raise CompError(
            f"pretrain.map names labels that the other data set does not have: {shown(missing)}; "
            f"there are {shown(sorted(set(labels)), 12)}"
        )
    kept = table[labels.isin(list(known))].reset_index(drop=True)
    target = kept["target"].astype(str).map(known)
    return kept.assign(target=target.astype(float) if targets.kind == "binary" else target)


def _without_known_images(
    table: pd.DataFrame, other: ImageConfig, own: Data, competition: Competition, folder: Path
) -> pd.DataFrame:
    tables = competition.tables
    known = pd.concat([id_and_images(tables.train), id_and_images(tables.test)], ignore_index=True)
    both = Tables(known, table, None, tables.targets)
    found = find_duplicates(both, own, other.folds.near_duplicates, folder, other.data)
    repeated = found.in_test >= 0
    return table[~repeated].reset_index(drop=True)

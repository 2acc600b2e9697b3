"""The model of a fold, once it is sure that its checkpoint left out these very rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comp.errors import CompError
from comp.runs.rundir import RunDir
from comp.vision.data.competition import Competition
from comp.vision.folds.fold import fold_name
from comp.vision.model import Classifier, load_checkpoint
from comp.vision.pixels.image_file import PIXELS_VERSION
from comp.vision.schema import Model


def model_of_fold(
    settings: Model, run: RunDir, left_out: tuple[int, ...], competition: Competition
) -> tuple[Classifier, dict[str, Any]]:
    """The network that `run` trained without the folds `left_out`, and its facts.

    Raises:
        CompError: the checkpoint is missing, or was trained for other classes, with other folds, or for another fold.
    """
    path = run.fold(*left_out) / "best.safetensors"
    model, facts = load_checkpoint(settings, path)
    refuse_another_fold(path, facts, left_out, competition)
    return model, facts


def refuse_another_fold(
    path: Path, facts: Mapping[str, Any], left_out: tuple[int, ...], competition: Competition
) -> None:
    """Raises: CompError: the checkpoint at `path` says that it may have seen rows of `left_out`."""
    if facts["classes"] != list(competition.tables.targets.classes):
        raise CompError(f"{path} was trained for other classes than those of the data")
    if facts.get("folds") != competition.split.digest:
        raise CompError(f"{path} was trained with other folds than folds.csv has now: nothing would be out of fold")
    refuse_copied(path, facts, left_out)


def refuse_copied(path: Path, facts: Mapping[str, Any], left_out: tuple[int, ...]) -> None:
    """Raises: CompError: the checkpoint at `path` is that of other folds than `left_out`."""
    of = tuple(facts.get("left_out", ()))
    if of != left_out:
        raise CompError(
            f"{path} is the model of {fold_name(of)}: it was trained on the rows of "
            f"{fold_name(left_out)}. Put back the file that belongs there, or train {path.parent} again"
        )


def note_on_pixels(facts: Mapping[str, Any], left_out: tuple[int, ...]) -> None:
    """Tells that the model with these `facts` was trained on images that were decoded otherwise."""
    if facts.get("pixels") != PIXELS_VERSION:
        trained_on = f"version {facts.get('pixels')} of decoded images, now they are version {PIXELS_VERSION}"
        print(f"note    {fold_name(left_out)} was trained on {trained_on}: predictions may differ")

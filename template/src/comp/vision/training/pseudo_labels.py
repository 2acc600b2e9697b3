"""Which test rows a student learns from, and with which labels.

The student of fold k learns from models of fold k only: none of them saw the rows that it is validated on. A stack is
no teacher: its members' predictions of fold k's training rows come from models that did.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from comp.errors import CompError, shown
from comp.files import write_json
from comp.readback import read_json
from comp.runs.predictions import read_oof, read_predictions, test_table, write_predictions
from comp.runs.rundir import RunDir
from comp.tables import Targets
from comp.vision.data.competition import Competition
from comp.vision.data.samples import Samples
from comp.vision.folds.fold import Fold, fold_name
from comp.vision.pixels import joined
from comp.vision.schema import Selection, Student

LEARNED_FROM = "learned_from.json"  # of a fold: the runs, each with the time at which its fold was trained


def with_pseudo_labels(fold: Fold, student: Student, competition: Competition, folder: Path) -> Fold:
    """`fold` with the chosen test rows among its training rows, and the weights that it starts from.

    What was chosen is written to `pseudo.parquet` once: a training that was interrupted goes on with the same rows.
    When the runs that it learns from were trained is written beside it.
    """
    tables, targets = competition.tables, competition.tables.targets
    chosen_file = folder / "pseudo.parquet"
    if not chosen_file.is_file():
        write_json(folder / LEARNED_FROM, _trained(student, fold.left_out))
        _write_chosen(chosen_file, fold.left_out, student, competition)
    way_out = "remove it, and the rows are chosen again"
    chosen, _, _ = read_predictions(chosen_file, way_out)
    if unknown := set(chosen["id"]) - set(tables.test["id"]):
        raise CompError(f"{chosen_file} has rows that the test table has not ({shown(sorted(unknown))}): {way_out}")
    if tables.golden is not None and (golden := set(chosen["id"]) - set(tables.test["id"][tables.golden.teaches])):
        raise CompError(f"{chosen_file} has golden rows, or images like them ({shown(sorted(golden))}): {way_out}")
    place = pd.Series(np.arange(len(tables.test)), index=tables.test["id"])
    rows = place[chosen["id"]].to_numpy()
    labels = np.zeros((len(tables.test), len(targets.classes)), np.float32)
    labels[rows] = chosen[targets.columns].to_numpy(dtype=np.float32)
    return replace(
        fold,
        train_rows=np.concatenate([fold.train_rows, len(fold.samples.y) + rows]),
        samples=_with_test_rows(fold, labels, competition),
        start=RunDir.of_name(student.start).fold(*fold.left_out) / "best.safetensors",
    )


def refuse_other_teachers(run: RunDir, left_out: tuple[int, ...], student: Student) -> None:
    """Raises: CompError: a run that this fold of `run` has learned from was trained again since."""
    path = run.fold(*left_out) / LEARNED_FROM
    if not path.is_file():  # nothing was chosen yet
        return
    before = read_json(path, dict[str, str], "run comp train --fresh to train this run again")
    for name, trained in _trained(student, left_out).items():
        if before.get(name, trained) != trained:
            raise CompError(
                f"{run.path} has learned from {RunDir.of_name(name).path}, which was trained again since: "
                f"comp train {run.config} --fresh trains it again, too"
            )


def _trained(student: Student, left_out: tuple[int, ...]) -> dict[str, str]:
    """When each run that the student learns from was trained, this fold of it or, of an ensemble, the last of all."""
    whole = student.teacher == "ensemble"
    runs = {name: RunDir.of_name(name) for name in (student.start, *student.teachers)}
    return {
        name: max(run.fold_trained_at(*each) for each in [left_out, *((k,) for k in run.done_folds() if whole)])
        for name, run in runs.items()
        if run.is_done(*left_out)
    }


def _with_test_rows(fold: Fold, labels: np.ndarray, competition: Competition) -> Samples:
    """The training rows, then the test rows with `labels` (T, K)."""
    train, test = fold.samples, competition.samples("test", fold.encoder)
    metadata = None
    if train.metadata is not None and test.metadata is not None:
        metadata = np.concatenate([train.metadata, test.metadata])
    pixels = joined(train.pixels, competition.test_pixels)
    return Samples(pixels, train.targets, np.concatenate([train.y, labels]), metadata)


def _write_chosen(path: Path, left_out: tuple[int, ...], student: Student, competition: Competition) -> None:
    targets = competition.tables.targets
    p = np.mean([_teaching(RunDir.of_name(name), left_out, student, competition) for name in student.teachers], axis=0)
    seen = np.ones(len(p), dtype=bool)
    seen[list(competition.test_pixels.bad)] = False  # what stands there is the training prior
    if competition.tables.golden is not None:
        seen &= competition.tables.golden.teaches
    rows, labels = select(p, targets, student, seen)
    chosen = test_table(competition.tables.test.iloc[rows], labels, targets)
    write_predictions(path, chosen, targets, competition.split.digest)
    hint = "" if len(rows) else ": set pseudo.threshold lower (label smoothing makes models less confident)"
    teachers = [RunDir.of_name(name) for name in student.teachers]
    known = _precision(teachers, left_out, student) if len(rows) else ""
    possible = "" if seen.all() else f" ({(~seen).sum()} may not: golden, like a golden image, or unreadable)"
    print(
        f"{fold_name(left_out)}  {len(rows)} of {len(p)} test rows join the training rows{possible}{known}{hint}",
        flush=True,
    )


def _precision(teachers: list[RunDir], left_out: tuple[int, ...], settings: Selection) -> str:
    """In words: of validation rows that the fold's teachers are as sure of, how many labels are right."""
    tables = [read_oof(run.fold(*left_out) / "oof.parquet")[:2] for run in teachers]
    (first, targets), *_ = tables
    p = np.mean([table.set_index("id").loc[first["id"], targets.columns] for table, _ in tables], axis=0)
    rows, labels = select(p, targets, settings.model_copy(update={"labels": "hard", "quota": None}))
    if not len(rows):
        return f"; out of fold, no label is as sure as {settings.threshold:g}"
    right = (labels == targets.encode(first)[rows]).all(axis=1).mean()
    return f"; out of fold, {right:.1%} of the {len(rows)} labels that are as sure are right"


def _teaching(run: RunDir, left_out: tuple[int, ...], student: Student, competition: Competition) -> np.ndarray:
    """What one teacher says of the test rows (N, K)."""
    path = run.test if student.teacher == "ensemble" else run.fold(*left_out) / "test.parquet"
    table, targets, folds = read_predictions(path)
    if folds != competition.split.digest or list(targets.classes) != list(competition.tables.targets.classes):
        raise CompError(f"{path} was made with other folds or classes than the data has now: train {run.path} again")
    if table["id"].tolist() != competition.tables.test["id"].tolist():
        raise CompError(f"{path} has other rows than the test table: run comp predict name={run.path.name}")
    return table[targets.columns].to_numpy(dtype=np.float64)


def select(
    p: np.ndarray, targets: Targets, settings: Selection, seen: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers (M,) of `p` (N, K) that are sure enough, in order, and their labels (M, K) float32.

    Rows that are not `seen` (N,), whose images cannot be read, are never taken.
    """
    multiclass = targets.kind == "multiclass"
    sureness = p.max(axis=1) if multiclass else np.maximum(p, 1 - p).min(axis=1)
    hard = np.eye(p.shape[1])[p.argmax(axis=1)] if multiclass else (p > 0.5).astype(float)
    sure = (sureness >= settings.threshold) & (True if seen is None else seen)
    if settings.quota is not None:
        surest = np.argsort(-sureness, kind="stable")
        surest = surest[sure[surest]]
        kinds = [tuple(row) for row in hard[surest]]
        rank = pd.Series(range(len(kinds))).groupby(pd.Series(kinds, dtype=object)).cumcount().to_numpy()
        sure[surest[rank >= settings.quota]] = False
    rows = np.flatnonzero(sure)
    labels = hard[rows] if settings.labels == "hard" else _sharpened(p[rows], multiclass, settings.temperature)
    return rows, labels.astype(np.float32)


def _sharpened(p: np.ndarray, multiclass: bool, temperature: float) -> np.ndarray:
    power = np.power(p, 1 / temperature)
    others = power.sum(axis=1, keepdims=True) if multiclass else power + np.power(1 - p, 1 / temperature)
    return power / others

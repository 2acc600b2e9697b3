"""The table that a network must lead: closed-form baselines on the same folds, and every run of these folds."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
from typing_extensions import TypedDict

from comp.align.baselines.closed_form import (
    Captions,
    Chosen,
    fit_cca,
    fit_mean,
    fit_neighbors,
    fit_procrustes,
    fit_ridge,
)
from comp.align.baselines.kernel import fit_kernel_ridge
from comp.align.data.fold import groups_of_images, unit_images
from comp.align.data.pairs import Competition
from comp.align.ranking.metrics import RANKED, scores
from comp.align.ranking.retrieval import unit
from comp.align.schema import AlignConfig
from comp.errors import CompError
from comp.files import write_json
from comp.folds import folds_path
from comp.readback import AGAIN, read_json, remembered
from comp.runs.rundir import RUNS, RunDir

FITS: dict[str, Callable[..., Chosen]] = {
    "procrustes": fit_procrustes,
    "ridge": fit_ridge,
    "cca": fit_cca,
    "neighbors": fit_neighbors,
    "kernel": fit_kernel_ridge,
}
SHOWN = ("mrr", "r@1", "r@5", "r@10", "median_rank", "cosine")
SAMPLED = 4096  # rows of texts, and of images, by which other embeddings are known
Scores = dict[str, dict[str, float]]  # by fold, then by metric


class Known(TypedDict):
    """What `baselines.json` remembers."""

    folds: str
    embeddings: str
    scores: dict[str, Scores]


def baseline_scores(config: AlignConfig, competition: Competition, folds: list[int]) -> dict[str, Scores]:
    """The metrics of each of `config.baselines` in `folds`; fitted once for all runs of these folds, then remembered.

    A setting, such as ridge's penalty, is chosen by cross-validation within the training captions of the fold. Other
    embeddings under the same ids are measured again.
    """
    path = folds_path(config).with_name("baselines.json")
    known: dict[str, Any] = remembered(path, lambda: read_json(path, Known, AGAIN)) or {}
    measured_on = {"folds": competition.split.digest, "embeddings": _fingerprint(competition)}
    if any(known.get(key) != value for key, value in measured_on.items()):
        known = {**measured_on, "scores": {}}
    found: dict[str, Scores] = known["scores"]
    for name in config.baselines:
        of_name = found.setdefault(name, {})
        for number in folds:
            if str(number) not in of_name:
                of_name[str(number)] = _measured(name, competition, number)
                write_json(path, known)
    return {name: {str(number): found[name][str(number)] for number in folds} for name in config.baselines}


def fitted_to_all(name: str, competition: Competition) -> Callable[[np.ndarray], np.ndarray]:
    """The baseline `name` fitted to all training captions: texts (N, D_text) → directions (N, D_image)."""
    good = np.setdiff1d(np.arange(len(competition.pairs.image_of)), list(competition.pairs.bad))
    return fitted(name, competition, good)


def with_baselines(config: AlignConfig, competition: Competition, run: RunDir) -> dict[str, Scores]:
    """What `print_table` shows: the baselines in the folds that the run has, the run, and others that have them all.

    The baselines are noted in the run's metrics.
    """
    done = run.done_folds()
    table = baseline_scores(config, competition, done)
    metrics = run.read_metrics()
    mean = {name: {key: _mean(each, key) for key in RANKED} for name, each in table.items()}
    write_json(run.metrics, {**metrics, "baselines": mean})
    others = [RunDir(path.parent) for path in sorted(RUNS.glob("*/folds.txt")) if path.parent != run.path]
    for other in [*others, run]:
        if other.path == run.path or _is_of(other, competition.split.digest):
            measured = other.read_metrics()["scores"]
            if all(str(k) in values["folds"] for values in measured.values() for k in done):
                folds = {str(k): {key: values["folds"][str(k)] for key, values in measured.items()} for k in done}
                table[other.path.name] = folds
    return table


def print_table(config: AlignConfig, table: dict[str, Scores]) -> None:
    """One line each, means over folds; the best stand last."""
    names = sorted(table, key=lambda name: _mean(table[name], "mrr"))
    shown = [name for name in SHOWN if name in [config.metric, *config.metrics]]
    width = max(map(len, names))
    print(f"\n{'mean over folds':<{width}}  {'  '.join(f'{name:>11}' for name in shown)}")
    for name in names:
        print(f"{name:<{width}}  {'  '.join(f'{_mean(table[name], key):>11.4f}' for key in shown)}")
    print()


def _is_of(run: RunDir, folds: str) -> bool:
    try:
        return run.metrics.is_file() and run.read_folds() == folds and bool(run.read_metrics())
    except CompError as error:
        print(f"left out  {run.path.name}: {error}")
        return False


def _mean(scores_of: Scores, name: str) -> float:
    return float(np.mean([each.get(name, np.nan) for each in scores_of.values()]))


def _fingerprint(competition: Competition) -> str:
    """A hash of the training embeddings: of evenly spaced rows, so that large ones are not read whole."""
    digest = hashlib.blake2b(digest_size=16)
    for array in (competition.pairs.texts, competition.pairs.images):
        rows = np.linspace(0, len(array) - 1, min(len(array), SAMPLED)).round().astype(np.int64)
        digest.update(f"{array.shape} {array.dtype.str}".encode())
        digest.update(np.ascontiguousarray(array[rows]).tobytes())
    return digest.hexdigest()


def _measured(name: str, competition: Competition, number: int) -> dict[str, float]:
    pairs = competition.pairs
    training, validated = competition.rows(number)
    image_of = pairs.image_of[validated]
    found = fitted(name, competition, training)(pairs.texts[validated])
    return scores(list(RANKED), found, unit_images(competition), image_of, np.unique(image_of))


def fitted(name: str, competition: Competition, rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """`<method>` or `<method>-centered`, fitted to the training captions `rows`."""
    pairs = competition.pairs
    method, _, centered = name.partition("-")
    captions = Captions(
        pairs.texts[rows], unit_images(competition), pairs.image_of[rows], groups_of_images(competition)
    )
    model = fit_mean(captions).model if method == "mean" else FITS[method](captions, centered=bool(centered)).model
    return lambda texts: unit(model.predict(texts))

"""How probabilities become labels: from which one on a label is given, where an ordered grade begins.

Thresholds are fitted to the run's out-of-fold rows, by the metric. What they gain is measured on rows that they were
not fitted on: within each fold, whose models saw none of its rows, on all parts but one, scored on that one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from comp.errors import CompError
from comp.folds import Split, load_split
from comp.registry import greater_is_better, needs_order, needs_probabilities
from comp.runs.flags import flags_of
from comp.runs.predictions import read_oof
from comp.runs.rundir import RunDir
from comp.tables import Tables, Targets
from comp.vision.data.read import read_tables
from comp.vision.ensemble.crossfit import Known, Predicted, cross_fitted, parts_of_folds
from comp.vision.metrics import score
from comp.vision.schema import ImageConfig
from comp.vision.submission.counted import Looks, is_counted, looks_at
from comp.vision.submission.form import Form

PARTS = 5  # of a fold
TRIED, ROUNDS = 40, 2  # values of a threshold in turn, and how often all thresholds are gone through
PLAIN = 0.5
MANY, MOST = 10**6, 2 * 10**10  # labels of all rows, and looks at one of them: a line tells; some minutes


@dataclass(frozen=True)
class Decision:
    """Thresholds of labels (K,), or the borders (K − 1,) between grades; None: 0.5, and the likeliest class."""

    targets: Targets
    thresholds: np.ndarray | None = None
    about: str = ""

    def labels(self, p: np.ndarray) -> np.ndarray:
        """(N, K) 0 and 1 of probabilities (N, K)."""
        if self.targets.kind != "multiclass":
            return (p >= (PLAIN if self.thresholds is None else self.thresholds)).astype(int)
        chosen = p.argmax(axis=1) if self.thresholds is None else np.searchsorted(self.thresholds, self._grades(p))
        return np.eye(p.shape[1], dtype=int)[chosen]

    def _grades(self, p: np.ndarray) -> np.ndarray:
        """(N,) the expected grade."""
        places = self.targets.positions
        assert places is not None
        return p @ places


def _has_thresholds(config: ImageConfig, form: Form, targets: Targets) -> bool:
    """Whether there is something to decide: labels are written, and the metric compares labels."""
    if form.values not in {"labels", "lists"} or needs_probabilities(config.metric):
        return False
    graded = targets.positions is not None and needs_order(config.metric)
    return graded if targets.kind == "multiclass" else True


def decided(
    config: ImageConfig, run: RunDir, form: Form, targets: Targets, changed: pd.DataFrame | None = None
) -> Decision:
    """As `submit.thresholds` says; where it does not matter, or no out-of-fold rows can be trusted, the usual.

    `changed` are these rows as `submit.postprocess` leaves them, if it changes anything.

    Raises:
        CompError: the training table or the folds are not those of the run.
    """
    wanted = config.submit.thresholds
    if not _has_thresholds(config, form, targets) or wanted == "none":
        return Decision(targets)
    if isinstance(wanted, float):
        if targets.kind == "multiclass":
            raise CompError(f"submit.thresholds={wanted:g} is for labels, not for grades: set it to auto, each or none")
        return Decision(targets, np.full(len(targets.classes), wanted), f"submit.thresholds={wanted:g}")
    if not run.oof.is_file():
        return Decision(targets)
    if unscored := flags_of(run).unscored:
        return Decision(targets, about=f"{_usual(targets)}: its rows are unscored, so nothing is fitted: {unscored}")
    oof, _, folds = read_oof(run.oof)
    tables = read_tables(config.data)
    split = load_split(config, tables)
    if split.digest != folds:
        raise CompError(f"{run.oof} was made with other folds than folds.csv has now: set submit.thresholds=none")
    return fitted(config, oof if changed is None else changed, tables, split)


def fitted(config: ImageConfig, oof: pd.DataFrame, tables: Tables, split: Split) -> Decision:
    """By the out-of-fold rows `oof` of the training table."""
    wanted, targets = config.submit.thresholds, tables.targets
    rows = pd.Series(np.arange(len(tables.train)), index=tables.train["id"])[oof["id"]].to_numpy()
    y, p = targets.encode(tables.train), oof[targets.columns].to_numpy(dtype=np.float64)
    kinds = {"each": _fit_each} if targets.kind == "multiclass" else {"one": _fit_one, "each": _fit_each}
    if wanted != "auto":
        kinds = {name: fit for name, fit in kinds.items() if name == wanted} or kinds
    try:
        parts = parts_of_folds(tables.train, targets, split, PARTS, times=1)
    except CompError:  # a fold that is one group cannot be parted
        return Decision(targets, about="0.5, or the likeliest class: a fold is one group, so nothing else can be tried")
    if targets.kind != "multiclass" and "each" in kinds and _takes_long(config, p, fits=PARTS * split.n + 1):
        kinds = {name: fit for name, fit in kinds.items() if wanted != "auto" or name == "one"}
    known = Known(np.zeros((len(y), 0)), y, parts)
    predicted = Predicted(rows, split.fold[rows], p[:, None])
    plain = Decision(targets)
    before = score(config.metric, y[rows], plain.labels(p), targets)
    best, found, told = before, plain, []
    for name, fit in kinds.items():
        labels, _ = cross_fitted(predicted, "own fold", _as_fit(fit, config.metric, targets), known)
        value = score(config.metric, y[rows], labels, targets)
        told.append(f"{value:.4f} {'with one for all' if name == 'one' else 'fitted'}")
        if wanted != "auto" or _better(value, best, config.metric):
            best, found = value, Decision(targets, fit(p, y[rows], config.metric, targets))
    usual = _usual(targets)
    chosen = usual if found.thresholds is None else _shown(found.thresholds, targets)
    about = f"{config.metric} out of fold {before:.4f} with {usual}, {', '.join(told)} (cross-fitted): {chosen}"
    return Decision(targets, found.thresholds, about)


def _takes_long(config: ImageConfig, p: np.ndarray, fits: int) -> bool:
    """Whether a threshold for each of the labels `p` (N, K) would take too long under auto. Says so, or what begins."""
    rows, labels = p.shape
    long = not is_counted(config.metric) and p.size * fits * labels * TRIED * ROUNDS > MOST
    if long and config.submit.thresholds == "auto":
        print(
            f"labels  one threshold for all: one for each of {labels} labels may take hours by {config.metric}, which "
            "counts of labels do not tell (submit.thresholds=each fits them)"
        )
    elif long or p.size > MANY:
        hours = ", which may take hours" * long
        print(f"labels  thresholds of {labels} labels are fitted to {rows} rows by {config.metric}{hours}", flush=True)
    return long


def _usual(targets: Targets) -> str:
    """What is done without thresholds, in words."""
    return "the likeliest class" if targets.kind == "multiclass" else f"{PLAIN}"


def _shown(thresholds: np.ndarray, targets: Targets) -> str:
    if targets.kind != "multiclass" and len(set(thresholds)) == 1:
        return f"{thresholds[0]:.3g}"
    few = ", ".join(f"{value:.3g}" for value in thresholds[:8])
    return ("grades begin above " if targets.kind == "multiclass" else "") + few + " …" * (len(thresholds) > 8)


def _as_fit(fit: "Fitted", metric: str, targets: Targets) -> Callable[..., Callable[..., np.ndarray]]:
    """As combiners are fitted, of one member."""

    def combiner(p: np.ndarray, x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        decision = Decision(targets, fit(p[:, 0], y, metric, targets))
        return lambda p, x: decision.labels(p[:, 0])

    return combiner


Fitted = Callable[[np.ndarray, np.ndarray, str, Targets], np.ndarray]


def _fit_one(p: np.ndarray, y: np.ndarray, metric: str, targets: Targets) -> np.ndarray:
    """(K,) the same threshold for every label."""
    return _best_alike(_looks_at(p, y, metric, targets), p)


def _best_alike(looks: Looks, p: np.ndarray) -> np.ndarray:
    values = _candidates(p.ravel())
    return np.full(p.shape[1], values[int(np.argmax(looks.alike(values)))])


def _fit_each(p: np.ndarray, y: np.ndarray, metric: str, targets: Targets) -> np.ndarray:
    """(K,) a threshold for each label, from the best one for all; or the borders (K − 1,) of grades, which rise."""
    graded = targets.kind == "multiclass"
    places = targets.positions if graded else None
    looks = _looks_at(p, y, metric, targets)
    if places is None:
        thresholds, values = _best_alike(looks, p), p
    else:
        thresholds, values = (places[1:] + places[:-1]) / 2, np.repeat((p @ places)[:, None], len(places) - 1, axis=1)
    best, candidates = looks.begin(thresholds), [_candidates(column) for column in values.T]
    for _ in range(ROUNDS):
        for k, tried in enumerate(candidates):
            borders = np.concatenate([[-np.inf], thresholds, [np.inf]])
            allowed = tried[(tried >= borders[k]) & (tried <= borders[k + 2])] if graded else tried
            scores = looks.changed(k, allowed)
            if (result := scores.max(initial=-np.inf)) > best:
                best, thresholds[k] = float(result), allowed[int(scores.argmax())]
                looks.take(k, thresholds[k])
    return thresholds


def _candidates(values: np.ndarray) -> np.ndarray:
    """Values to try, with about as many rows between each two; 0.5 is one of them."""
    quantiles = np.unique(np.quantile(values, np.linspace(0, 1, TRIED + 1)))
    return np.unique(np.append((quantiles[1:] + quantiles[:-1]) / 2, PLAIN))


def _looks_at(p: np.ndarray, y: np.ndarray, metric: str, targets: Targets) -> Looks:
    return looks_at(p, y, metric, targets, lambda thresholds, p: Decision(targets, thresholds).labels(p))


def _better(value: float, best: float, metric: str) -> bool:
    return value > best if greater_is_better(metric) else value < best

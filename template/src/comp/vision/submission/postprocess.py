"""`submit.postprocess`: one correction after the other, each with the score without it and with it.

What is fitted (corrections.py) is fitted to the run's out-of-fold rows and measured on rows that it was not fitted to,
within each fold, as thresholds are; it is used where that is better. Functions of custom.py are used as they are.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from comp.errors import CompError, one_line
from comp.files import write_json
from comp.folds import Split, load_split
from comp.registry import find, greater_is_better
from comp.runs.flags import flags_of
from comp.runs.predictions import read_oof
from comp.runs.rundir import RunDir
from comp.tables import Tables, Targets
from comp.vision.data.read import read_tables
from comp.vision.ensemble.crossfit import Known, Predicted, cross_fitted, parts_of_folds
from comp.vision.metrics import score
from comp.vision.schema import ImageConfig
from comp.vision.submission.corrections import Correction, Shares, is_fitted, two_columns

PARTS = 5  # of a fold
LEAST_GAIN = 1e-9  # a smaller one is one of rounding


@dataclass(frozen=True)
class Step:
    """One postprocess, as `postprocess.json` of the run keeps it; scores are None where nothing can be measured."""

    name: str
    metric: str
    before: float | None
    after: float | None
    used: bool
    about: str

    def __str__(self) -> str:
        if self.before is None or self.after is None:
            return f"{self.name}: {self.about}"
        return f"{self.name}: {self.metric} {self.before:.4f} without, {self.after:.4f} with ({self.about})"


@dataclass(frozen=True)
class Held:
    """The out-of-fold rows of a run: what its models say of rows that they never saw."""

    oof: pd.DataFrame
    tables: Tables
    split: Split

    @property
    def rows(self) -> np.ndarray:
        """(N,) the numbers of its rows in the training table."""
        numbers = pd.Series(np.arange(len(self.tables.train)), index=self.tables.train["id"])
        return numbers[self.oof["id"]].to_numpy()

    @property
    def p(self) -> np.ndarray:
        return self.oof[self.tables.targets.columns].to_numpy(dtype=np.float64)

    def with_p(self, p: np.ndarray) -> "Held":
        return Held(_with(self.oof, p, self.tables.targets), self.tables, self.split)


def postprocessed(
    config: ImageConfig, run: RunDir, predictions: pd.DataFrame, targets: Targets
) -> tuple[pd.DataFrame, pd.DataFrame | None, list[Step]]:
    """The predictions as `submit.postprocess` changes them, the out-of-fold rows likewise, and what was done.

    Writes the last to `postprocess.json` of the run. Without out-of-fold rows that can be trusted, what would be fitted
    to them is left out.

    Raises:
        CompError: the training table or the folds are not those of the run.
    """
    wanted, path = config.submit.postprocess, run.path / "postprocess.json"
    if not wanted:
        path.unlink(missing_ok=True)
        return predictions, None, []
    unscored = flags_of(run).unscored
    held = None if unscored or not run.oof.is_file() else held_by(config, run)
    steps = []
    for name in wanted:
        if not is_fitted(name):
            predictions, held, step = _by_function(config, name, predictions, held, targets)
        elif held is None:
            why = f"its rows are unscored: {unscored}" if unscored else "the run has no out-of-fold rows to fit it to"
            step = Step(name, config.metric, None, None, False, f"not used: {why}")
        else:
            test = predictions[targets.columns].to_numpy(dtype=np.float64)
            step, correction = fitted(config, name, held, test)
            if step.used:
                predictions = _with(predictions, correction(test), targets)
                held = held.with_p(_on_fitted_rows(correction, held.p))
        steps.append(step)
    write_json(path, {"steps": [asdict(step) for step in steps]})
    return predictions, None if held is None else held.oof, steps


def postprocessed_alike(
    config: ImageConfig, predictions: pd.DataFrame, targets: Targets, oof: pd.DataFrame | None, used: list[str]
) -> pd.DataFrame:
    """Predictions of other test rows, changed as `postprocessed` has settled it: by the corrections that it has `used`.

    They are fitted to the same out-of-fold rows again. Only what goes by the test rows themselves is decided anew.
    """
    held = None if oof is None else _held_alone(oof, targets)
    for name in config.submit.postprocess:
        if not is_fitted(name):
            predictions, held, _ = _by_function(config, name, predictions, held, targets)
        elif held is not None:
            test = predictions[targets.columns].to_numpy(dtype=np.float64)
            correction = find("postprocess", name)(held.p, targets.encode(held.oof), targets, config.submit)
            is_used = name in used
            if isinstance(correction, Shares):
                step = _step_of_shares(config, name, correction, held, test)
                print(f"post    {step}")
                is_used = step.used
            if is_used:
                predictions = _with(predictions, correction(test), targets)
                held = held.with_p(_on_fitted_rows(correction, held.p))
    return predictions


def _held_alone(oof: pd.DataFrame, targets: Targets) -> Held:
    """Out-of-fold rows without the training table, whose truth they have."""
    nothing = pd.DataFrame({"id": [], "path": []}, dtype=object)
    fold = oof["fold"].to_numpy()
    split = Split(fold, oof["id"].to_numpy(), int(fold.max()) + 1, "", "")
    return Held(oof, Tables(oof, nothing, None, targets), split)


def held_by(config: ImageConfig, run: RunDir) -> Held:
    """Raises: CompError: the training table or the folds are not those of the run."""
    oof, _, folds = read_oof(run.oof)
    tables = read_tables(config.data)
    split = load_split(config, tables)
    if split.digest != folds:
        raise CompError(
            f"{run.oof} was made with other folds than folds.csv has now: set 'submit.postprocess=[]', or train again"
        )
    return Held(oof, tables, split)


def fitted(config: ImageConfig, name: str, held: Held, test: np.ndarray) -> tuple[Step, Correction]:
    """The correction `name` of all out-of-fold rows for the test rows `test` (N, K), and whether it is to be used."""
    part, targets, rows = find("postprocess", name), held.tables.targets, held.rows
    y = targets.encode(held.tables.train)
    correction = part(held.p, y[rows], targets, config.submit)
    if isinstance(correction, Shares):
        return _step_of_shares(config, name, correction, held, test), correction
    try:
        parts = parts_of_folds(held.tables.train, targets, held.split, PARTS, times=1)
    except CompError:
        about = "not used: a fold is one group, so what it gains cannot be measured"
        return Step(name, config.metric, None, None, False, about), correction

    def fit(p: np.ndarray, x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        one = part(p[:, 0], y, targets, config.submit)
        return lambda p, x: one(p[:, 0])

    known = Known(np.zeros((len(y), 0)), y, parts)
    p, _ = cross_fitted(Predicted(rows, held.split.fold[rows], held.p[:, None]), "own fold", fit, known)
    before, after = score(config.metric, y[rows], held.p, targets), score(config.metric, y[rows], p, targets)
    used, verdict = _verdict(config.metric, before, after)
    return Step(name, config.metric, before, after, used, f"cross-fitted, {correction}: {verdict}"), correction


def _step_of_shares(config: ImageConfig, name: str, shares: Shares, held: Held, test: np.ndarray) -> Step:
    """Measured on out-of-fold rows that are drawn anew, so that classes have the shares of the test rows."""
    found, targets = shares.found(test), held.tables.targets
    y = targets.encode(held.tables.train)[held.rows]
    if np.array_equal(found, shares.base):
        about = "not used: the test rows have the shares of the training rows, as far as can be told"
        return Step(name, config.metric, None, None, False, about)
    drawn = _drawn(two_columns(y), found, config.seed)
    p = held.p[drawn]
    before = score(config.metric, y[drawn], p, targets)
    after = score(config.metric, y[drawn], moved_to(shares, found, p), targets)
    used, verdict = _verdict(config.metric, before, after)
    names = ("0", "1") if targets.kind == "binary" else targets.classes
    most = np.argsort(-np.abs(found - shares.base), kind="stable")[:3]
    told = ", ".join(f"{names[k]} {shares.base[k]:.3f} → {found[k]:.3f}" for k in most) + " …" * (len(names) > 3)
    how = "as submit.shares says" if shares.known is not None else "as EM finds among the test rows"
    return Step(name, config.metric, before, after, used, f"out-of-fold rows redrawn to {told}, {how}: {verdict}")


def moved_to(shares: Shares, found: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Predictions `p` (N, K) for rows whose classes have the shares `found`."""
    return Shares(shares.base, shares.p, found)(p)


def _drawn(y: np.ndarray, shares: np.ndarray, seed: int) -> np.ndarray:
    """Row numbers, about as many as `y` (N, K) has, of which each class has its share; some come more than once."""
    rng, index = np.random.default_rng(seed), y.argmax(axis=1)
    each = [rng.permutation(np.flatnonzero(index == k)) for k in range(y.shape[1])]
    return np.concatenate([np.resize(rows, round(len(y) * share)) for rows, share in zip(each, shares, strict=True)])


def _verdict(metric: str, before: float, after: float) -> tuple[bool, str]:
    gain = after - before if greater_is_better(metric) else before - after
    better = bool(gain > LEAST_GAIN)
    return better, "used" if better else "not used, as it is no better"


def _by_function(
    config: ImageConfig, name: str, predictions: pd.DataFrame, held: Held | None, targets: Targets
) -> tuple[pd.DataFrame, Held | None, Step]:
    """A function of custom.py, which is also asked about the out-of-fold rows, if it can say anything of them."""
    function = find("postprocess", name)
    changed = function(predictions, targets)
    if held is None:
        return changed, None, Step(name, config.metric, None, None, True, "used; there are no rows to measure it on")
    try:
        said = function(held.oof[["id", *targets.columns]].copy(), targets)
        p = said.set_index("id").loc[held.oof["id"], targets.columns].to_numpy(dtype=np.float64)
        y = targets.encode(held.tables.train)[held.rows]
        before, after = (score(config.metric, y, each, targets) for each in (held.p, p))
    except Exception as error:  # it is the user's, and for test rows
        about = f"used; it cannot be measured on out-of-fold rows ({one_line(error)})"
        return changed, held, Step(name, config.metric, None, None, True, about)
    better = _verdict(config.metric, before, after)[0]
    about = "of custom.py: used" if better else "of custom.py: used, though it is no better"
    return changed, held.with_p(p), Step(name, config.metric, before, after, True, about)


def _on_fitted_rows(correction: Correction, p: np.ndarray) -> np.ndarray:
    """Out-of-fold rows keep their own shares."""
    return p if isinstance(correction, Shares) else correction(p)


def _with(table: pd.DataFrame, p: np.ndarray, targets: Targets) -> pd.DataFrame:
    return table.assign(**dict(zip(targets.columns, p.T, strict=True)))

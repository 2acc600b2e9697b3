"""`comp score`: scores a submission against a `solution.csv`, for those who have one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from comp.errors import CompError, shown
from comp.registry import find, metric_label, metrics_for, needs_probabilities
from comp.runs.predictions import read_predictions
from comp.runs.rundir import SUBMISSIONS, RunDir
from comp.tables import Targets, read_csv, spelled_as
from comp.vision.data.labels import SEPARATORS, as_bits, labels_in
from comp.vision.data.sources import settled_root
from comp.vision.metrics import score
from comp.vision.metrics.of_lists import MAP, listed_places
from comp.vision.schema import Data, ImageConfig
from comp.vision.submission.columns import columns_of, holds_no, positive_class


def score_submission(config: ImageConfig) -> dict[str, float]:
    """Prints and returns the metrics of `submissions/<experiment>.csv`.

    Raises:
        CompError: there is no submission or no solution, or their ids differ.
    """
    path, solution_path = SUBMISSIONS / f"{config.name}.csv", _solution(config.data)
    if not path.is_file():
        raise CompError(f"{path} does not exist: run comp submit")
    if not solution_path.is_file():
        raise CompError(f"{solution_path} does not exist: comp score needs the test labels (data.solution=…)")
    _, targets, _ = read_predictions(RunDir.of(config).test)
    submission, solution = read_csv(path), read_csv(solution_path)
    _refuse_other_ids(submission, solution)
    solution = solution.set_index(solution.columns[0]).loc[submission.iloc[:, 0]]
    known = _with_new(targets, config.submit.new, submission, solution)
    y = _truth(solution, submission, targets, known)
    p, has_probabilities, about = _predicted(submission, known, config.submit.positive)
    column = submission.columns[1]
    if targets.kind == "binary" and has_probabilities and holds_no(targets, config.submit.positive):
        p = p if _is_of_no(column, solution, targets) else 1 - p
        about = f"{column!r} is the probability of {targets.no_and_yes[0]!r} (submit.positive)"
    if about:
        print(f"score   {about}")
    scores = {}
    for name in metrics_for([config.metric, *config.metrics], targets.kind):
        if needs_probabilities(name) and not has_probabilities:
            print(f"score   {name} needs probabilities, the submission has labels")
            continue
        if not has_probabilities and (metric := find("metric", name)) in MAP:
            scores[name] = float(listed_places(y, p, metric.depth).mean())
        else:
            scores[name] = score(name, y, p, known)
        label = metric_label(name, targets.kind)
        print(f"score   {label} {scores[name]:.4f} on {len(submission)} test rows ({path})")
    return scores


def _solution(data: Data) -> Path:
    """Beside the training data, where that lies in a folder of data.root."""
    outer, inner = (Path(root) / data.solution for root in (data.root, settled_root(data)[0].root))
    return outer if outer.is_file() else inner


def _refuse_other_ids(submission: pd.DataFrame, solution: pd.DataFrame) -> None:
    for table, what in ((submission, "submission"), (solution, "solution")):
        twice = table.iloc[:, 0][table.iloc[:, 0].duplicated()]
        if len(twice):
            raise CompError(f"ids appear more than once in the {what}: {shown(twice)}")
    different = set(submission.iloc[:, 0]) ^ set(solution.iloc[:, 0])
    if different:
        raise CompError(f"submission and solution have different ids: {shown(sorted(different))}")


def _with_new(targets: Targets, new: str | None, submission: pd.DataFrame, solution: pd.DataFrame) -> Targets:
    """`targets` with `new` (submit.new) as the last class, where a column of labels names it and no training row."""
    if targets.kind != "multiclass" or new is None or new in targets.classes or submission.shape[1] != 2:
        return targets
    cells = {cell for table in (submission.iloc[:, 1:], solution) for column in table for cell in set(table[column])}
    named = any(new in (cell, *labels_in(cell, each)) for cell in cells for each in SEPARATORS)
    return replace(targets, classes=(*targets.classes, new)) if named else targets


def _truth(solution: pd.DataFrame, submission: pd.DataFrame, targets: Targets, known: Targets) -> np.ndarray:
    """(N, K) as in `known.encode`; columns that nobody asked for, such as Kaggle's Usage, are passed over."""
    asked, classes = list(submission.columns[1:]), list(targets.classes)
    if targets.kind == "multilabel" and len(asked) == 1 < len(classes):
        column = asked[0] if asked[0] in solution else solution.columns[0]
        return (
            _listed(solution[column], targets)
            if not set(classes) <= set(solution)
            else _numbers(solution, classes, targets, "solution")
        )
    one_each = asked if len(asked) > 1 or targets.kind != "multiclass" else classes
    for names in (one_each, classes):
        if set(names) <= set(solution.columns):
            y = _numbers(solution, names, targets, "solution")
            return np.pad(y, ((0, 0), (0, len(known.classes) - y.shape[1])))
    column = asked[0] if asked[0] in solution else solution.columns[0]
    if targets.kind == "multiclass":
        return known.encode(pd.DataFrame({"target": solution[column].to_numpy()}))
    if targets.separator:
        return _listed(solution[column], targets)
    return _numbers(solution, [column], targets, "solution")


def _is_of_no(column: str, solution: pd.DataFrame, targets: Targets) -> bool:
    """Whether the solution says of `column` what a submission for no does: in numbers, and not as the label itself."""
    if column not in solution or column == targets.classes[0]:
        return False
    return bool(pd.to_numeric(solution[column], errors="coerce").notna().all())


def _predicted(submission: pd.DataFrame, targets: Targets, positive: str | None) -> tuple[np.ndarray, bool, str]:
    """(N, K) probabilities, or ones and zeros where the submission holds labels; which class one column is for."""
    names = list(submission.columns[1:])
    if targets.kind == "multiclass" and len(names) == 1:
        labels = submission[names[0]]
        if (ranked := _ranked(labels, targets)) is not None:
            return ranked, False, ""
        numbers = pd.to_numeric(labels, errors="coerce").to_numpy()
        spelled = labels.map(spelled_as(targets.classes)).isin(targets.classes).all()
        if len(targets.classes) != 2 or spelled or np.isnan(numbers).any():
            return targets.encode(pd.DataFrame({"target": labels})), False, ""
        place, why = positive_class(names[0], targets, positive)
        both = [1 - numbers, numbers] if place == 1 else [numbers, 1 - numbers]
        return np.column_stack(both), True, f"{names[0]!r} is the probability of {targets.classes[place]!r} ({why})"
    if targets.kind == "multilabel" and len(names) == 1 < len(targets.classes):
        return _listed(submission[names[0]], targets), False, ""
    p = _numbers(submission, names, targets, "submission")
    return p, targets.kind == "regression" or bool((p % 1 != 0).any()), ""


def _listed(cells: pd.Series, targets: Targets) -> np.ndarray:
    """(N, K) of lists of labels, 1 for each label of a row."""
    spelled = spelled_as(targets.classes)
    separator = _separator(cells)
    lists = [{spelled(label) for label in labels_in(cell, separator or " ")} for cell in cells]
    unknown = sorted(set().union(*lists) - set(targets.classes))
    if unknown:
        raise CompError(f"labels that no training row has: {shown(unknown)}")
    return np.array([[name in labels for name in targets.classes] for labels in lists], dtype=np.float64)


def _separator(cells: pd.Series) -> str:
    """What parts the labels of a list in any of `cells`; empty where nothing does."""
    return next((each for each in SEPARATORS if cells.str.contains(each, regex=False).any()), "")


def _ranked(cells: pd.Series, targets: Targets) -> np.ndarray | None:
    """(N, K) of lists of the likeliest classes: 1 / place of each that is listed, else 0; None of other columns."""
    spelled, known = spelled_as(targets.classes), set(targets.classes)
    separator = _separator(cells)
    if not separator or cells.map(spelled).isin(known).all():
        return None
    ranked = np.zeros((len(cells), len(targets.classes)))
    for row, cell in enumerate(cells):
        for place, label in enumerate(labels_in(cell, separator)):
            if spelled(label) in known:  # any other takes a place too
                k = targets.classes.index(spelled(label))
                ranked[row, k] = max(ranked[row, k], 1 / (place + 1))
    return ranked


def _numbers(table: pd.DataFrame, names: list[str], targets: Targets, what: str) -> np.ndarray:
    """The columns `names` as (N, K) numbers, in the order of the classes."""
    values = table[names].apply(_number, targets=targets)
    if values.isna().any(axis=None):
        column = values.isna().any().idxmax()
        strange = table[column][values[column].isna()]
        raise CompError(f"the {what}'s column {column!r} holds {shown(strange)}, expected numbers")
    return values.to_numpy(dtype=np.float64)[:, np.argsort(columns_of(names, targets))]


def _number(column: pd.Series, targets: Targets) -> pd.Series:
    """(N,) as numbers; labels as 0 and 1, however they are spelled; NaN of anything else."""
    numbers = pd.to_numeric(column, errors="coerce")
    if targets.kind == "regression" or numbers.between(0, 1).all():
        return numbers
    return as_bits(column.str.strip()).fillna(numbers)

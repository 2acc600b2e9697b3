"""`comp score`: scores a submission against a `solution.csv`, for those who have one."""

from pathlib import Path

import numpy as np
import pandas as pd

from comp.config import Config
from comp.errors import CompError, shown
from comp.metrics import score
from comp.predictions import read_predictions
from comp.rundir import RunDir
from comp.submit import FOLDER
from comp.tables import Targets
from comp.tables.read import read_csv

NEED_PROBABILITIES = {"log_loss", "roc_auc"}


def score_submission(config: Config) -> dict[str, float]:
    """Prints and returns the metrics of `submissions/<experiment>.csv`.

    Raises:
        CompError: there is no submission or no solution, or their ids differ.
    """
    path, solution_path = FOLDER / f"{config.name}.csv", Path(config.data.root) / config.data.solution
    if not path.is_file():
        raise CompError(f"{path} does not exist: run comp submit")
    if not solution_path.is_file():
        raise CompError(f"{solution_path} does not exist: comp score needs the test labels (data.solution=…)")
    _, targets, _ = read_predictions(RunDir.of(config).test)
    submission, solution = read_csv(path), read_csv(solution_path)
    _refuse_other_ids(submission, solution)
    solution = solution.set_index(solution.columns[0]).loc[submission.iloc[:, 0]]
    y = _truth(solution, submission, targets)
    p, has_probabilities = _predicted(submission, targets)
    scores = {}
    for name in dict.fromkeys([config.metric, *config.metrics]):
        if name in NEED_PROBABILITIES and not has_probabilities:
            print(f"score   {name} needs probabilities, the submission has labels")
            continue
        scores[name] = score(name, y, p, targets)
        print(f"score   {name} {scores[name]:.4f} on {len(submission)} test rows ({path})")
    return scores


def _refuse_other_ids(submission: pd.DataFrame, solution: pd.DataFrame) -> None:
    different = set(submission.iloc[:, 0]) ^ set(solution.iloc[:, 0])
    if different:
        raise CompError(f"submission and solution have different ids: {shown(sorted(different))}")


def _truth(solution: pd.DataFrame, submission: pd.DataFrame, targets: Targets) -> np.ndarray:
    """(N, K) as in `Targets.encode`."""
    if targets.kind == "multiclass" and len(solution.columns) < len(targets.classes):
        column = submission.columns[1] if submission.columns[1] in solution else solution.columns[0]
        return targets.encode(pd.DataFrame({"target": solution[column].to_numpy()}))
    names = list(targets.classes)
    wanted = names if set(names) <= set(solution.columns) else list(solution.columns[: len(names)])
    return solution[wanted].astype(float).to_numpy(dtype=np.float32)


def _predicted(submission: pd.DataFrame, targets: Targets) -> tuple[np.ndarray, bool]:
    """(N, K) probabilities, or ones and zeros where the submission holds labels."""
    values = submission.iloc[:, 1:]
    if targets.kind == "multiclass" and values.shape[1] == 1:
        labels = values.iloc[:, 0]
        if labels.isin(targets.classes).all():
            return targets.encode(pd.DataFrame({"target": labels})), False
        second = labels.astype(float).to_numpy()
        return np.column_stack([1 - second, second]), True
    p = values.astype(float)
    if targets.kind == "multiclass" and set(p.columns) == set(targets.classes):
        p = p[list(targets.classes)]
    return p.to_numpy(), bool((p.to_numpy() % 1 != 0).any())

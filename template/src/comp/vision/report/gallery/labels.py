"""Labels that may be wrong: those that models which never saw the row find least likely.

Confident learning (Northcutt et al., arXiv 1911.00068) says how many: a row counts as of another class if that class is
as likely as it is, on average, among the rows that bear its label. Which ones: ranked by self-confidence, the
probability of the label that the row has. With 3 % of the labels flipped on clothing, 76 % of them are among the first
3 %; ranked by (normalized) margin 62 %, with the classes' thresholds subtracted 49 to 53 % (docs/results.md).

cleanlab 2.9 was tried and is left out: its best ranking is self-confidence as well, to the last digit, and of the rows
that it picks by itself 62 to 63 % of the flipped ones come first. It would be a dependency that changes nothing.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from comp.files import write_text
from comp.vision.report.gallery.cases import MOST, Answers, Case
from comp.vision.report.gallery.mistakes import number_case

FAR = 4.0  # standard deviations, by the median deviation, from which on an error is too large for a true number
DEVIATION = 1.4826  # of a normal distribution: standard deviation / median absolute deviation


def suspects(answers: Answers) -> tuple[pd.DataFrame, int]:
    """Rows whose label may be wrong, the most suspect first, and how many of them stand out.

    id, label, suggested, score (0 to 1; of numbers in standard deviations), and for the gallery row, up, down: numbers
    of the row and of the classes that are suggested and given. Of several labels a row, each is judged by itself.
    """
    if answers.targets.kind == "regression":
        return _of_numbers(answers)
    parts, count = [], 0
    for column, (y, p) in enumerate(_judged(answers)):
        found, standing_out = of_classes(y, p)
        parts.append(found.assign(column=column))
        count += standing_out
    table = pd.concat(parts, ignore_index=True).sort_values("score", ascending=False, kind="stable")
    return _named(answers, table.reset_index(drop=True)), count


def of_classes(y: np.ndarray, p: np.ndarray) -> tuple[pd.DataFrame, int]:
    """Of labels `y` (N,) and probabilities `p` (N, K): row, up, down, score, most suspect first; how many stand out."""
    rows = np.arange(len(y))
    given = [y == k for k in range(p.shape[1])]
    least = np.array([p[own, k].mean() if own.any() else np.inf for k, own in enumerate(given)])
    confident = np.where(p >= least, p, -1.0)
    standing_out = int(((confident.max(axis=1) >= 0) & (confident.argmax(axis=1) != y)).sum())
    likeliest = p.argmax(axis=1)
    table = pd.DataFrame({"row": rows, "up": likeliest, "down": y, "score": 1 - p[rows, y]})[likeliest != y]
    table = table.sort_values("score", ascending=False, kind="stable")
    return table, min(standing_out, len(table))


def cases_of(answers: Answers, table: pd.DataFrame, most: int = MOST) -> list[Case]:
    """The first `most` suspects, a row once."""
    found = []
    first = table.drop_duplicates("row").head(most)
    numbers = first[["row", "column", "up", "down"]].to_numpy(dtype=int).tolist()
    for (row, column, up, down), score in zip(numbers, first["score"].to_list(), strict=True):
        if answers.targets.kind == "regression":
            found.append(number_case(answers, row, column, 1 if score > 0 else -1))
        elif answers.targets.kind == "multiclass":
            found.append(answers.of_classes(row, up, down, ("label", "rather", "")))
        else:
            found.append(answers.of_cell(row, column, f"label {down}, rather {up}"))
    return found


def write_suspects(path: Path, table: pd.DataFrame) -> None:
    """Writes `suspects.csv`: id, label, suggested, score."""
    rounded = table.assign(score=table["score"].round(4))
    write_text(path, rounded[["id", "label", "suggested", "score"]].to_csv(index=False, lineterminator="\n"))


def _judged(answers: Answers) -> list[tuple[np.ndarray, np.ndarray]]:
    """Labels (N,) and probabilities (N, K) to judge: of one class a row all at once, else label by label."""
    if answers.targets.kind == "multiclass":
        return [(answers.y.argmax(axis=1), answers.p)]
    both = zip(answers.y.T, answers.p.T, strict=True)
    return [((y > 0.5).astype(int), np.column_stack([1 - p, p])) for y, p in both]


def _named(answers: Answers, table: pd.DataFrame) -> pd.DataFrame:
    """With what ids and classes are called."""
    targets = answers.targets
    for key, column in (("label", "down"), ("suggested", "up")):
        if targets.kind == "multiclass":
            table[key] = [targets.classes[k] for k in table[column]]
        elif targets.kind == "multilabel":
            pairs = zip(table["column"], table[column], strict=True)
            table[key] = [f"{targets.classes[k]}={value}" for k, value in pairs]
        else:
            table[key] = table[column]
    return table.assign(id=answers.oof["id"].to_numpy()[table["row"]])


def _of_numbers(answers: Answers) -> tuple[pd.DataFrame, int]:
    """Numbers whose error is no error of the others' kind."""
    errors = answers.p - answers.y
    centered = errors - np.median(errors, axis=0)
    spread = DEVIATION * np.median(np.abs(centered), axis=0)
    far = centered / np.where(spread > 0, spread, np.inf)
    rows, columns = np.nonzero(np.abs(far) > FAR)
    order = np.argsort(-np.abs(far[rows, columns]), kind="stable")
    rows, columns = rows[order], columns[order]
    several = len(answers.targets.classes) > 1
    names = [f"{answers.targets.classes[k]}=" if several else "" for k in columns]
    table = pd.DataFrame({"row": rows, "column": columns, "up": 0, "down": 0, "score": far[rows, columns]})
    for key, values in (("label", answers.y), ("suggested", answers.p)):
        table[key] = [f"{name}{value:.6g}" for name, value in zip(names, values[rows, columns], strict=True)]
    return table.assign(id=answers.oof["id"].to_numpy()[rows]), len(table)

"""`comp split` for images: those that are (nearly) the same share a fold, and so do rows of one `data.group`."""

from pathlib import Path

import numpy as np

from comp.errors import shown
from comp.folds import Split, split_rows
from comp.registry import greater_is_better, metric_label, metrics_for
from comp.tables import Tables
from comp.vision.data.paths import all_paths
from comp.vision.data.read import read_tables
from comp.vision.data.settle import settled_data
from comp.vision.data.several import check_several
from comp.vision.folds.duplicates import find_duplicates, joined_groups, print_duplicates
from comp.vision.folds.group_hint import group_hint
from comp.vision.schema import ImageConfig
from comp.vision.submission.form import expected_form


def split(config: ImageConfig, force: bool = False) -> Split:
    """Writes `folds.csv` where there is none yet, and prints what stands in it.

    Raises:
        CompError: the file there fits other rows or other settings, and `force` is off; or the sample submission, the
            targets and the metrics do not fit together.
    """
    tables = read_tables(config.data)
    print("\n".join(tables.notes))
    print(f"submit  {expected_form(config, tables)}")
    print(f"scored  {scored_by(config, tables)}")
    note = check_several(config, tables)
    if note:
        print(note)

    data = settled_data(config.data, all_paths(tables.train), quiet=False)

    def group(folder: Path) -> np.ndarray:
        found = find_duplicates(tables, data, config.folds.near_duplicates, folder / "cache")
        print_duplicates(found, tables)
        hint = None if config.data.group or config.data.time else group_hint(tables, config.folds.n, found.near)
        if hint:
            print(f"        hint: {hint}")
        return joined_groups(tables.train, found.near)

    result = split_rows(config, tables, group, force)
    _print_shares(tables, result)
    return result


def scored_by(config: ImageConfig, tables: Tables) -> str:
    """`by rmse, less is better; also mae`."""
    kind = tables.targets.kind
    first, *others = (metric_label(name, kind) for name in metrics_for([config.metric, *config.metrics], kind))
    better = "more" if greater_is_better(config.metric) else "less"
    return f"by {first}, {better} is better" + f"; also {', '.join(others)}" * bool(others)


def _print_shares(tables: Tables, result: Split) -> None:
    y = tables.targets.encode(tables.train)
    if tables.targets.kind == "regression":
        _print_means(tables, result, y)
        return
    drift = np.array([y[result.fold == k].mean(axis=0) - y.mean(axis=0) for k in range(result.n)])  # (n, K)
    k, label = np.unravel_index(np.abs(drift).argmax(), drift.shape)
    where = f"{tables.targets.classes[label]} in fold {k}"
    print(f"classes largest difference of a class share {100 * abs(drift[k, label]):.1f} points ({where})")
    rare = [name for name, count in zip(tables.targets.classes, y.sum(axis=0), strict=True) if count < result.n]
    if rare:
        print(f"        warning: fewer rows than folds in {shown(rare)}: some folds validate none of them")


def _print_means(tables: Tables, result: Split, y: np.ndarray) -> None:
    """How far the mean of a number in a fold is from that of all rows (N, K), in standard deviations."""
    drift = np.array([y[result.fold == k].mean(axis=0) - y.mean(axis=0) for k in range(result.n)]) / y.std(axis=0)
    k, column = np.unravel_index(np.abs(drift).argmax(), drift.shape)
    where = f"{tables.targets.classes[column]} in fold {k}"
    print(f"numbers largest difference of a mean {abs(drift[k, column]):.2f} standard deviations ({where})")

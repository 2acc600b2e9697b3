"""What each member, each view and the metadata bring, from what is stored: nothing is trained or predicted again."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from comp.errors import CompError
from comp.readback import reading, remembered
from comp.registry import greater_is_better
from comp.runs.bootstrap import interval_of_drawn, spread
from comp.runs.combinable import run_of_member
from comp.runs.page import Section, Table
from comp.runs.predictions import read_oof
from comp.runs.rundir import RunDir
from comp.vision.inference import WITHOUT_METADATA
from comp.vision.inference.views import EPOCH_VIEWS
from comp.vision.report.intervals import drawn_scores
from comp.vision.report.rows import Rows
from comp.vision.schema import ImageConfig


def parts_section(run: RunDir, trained: ImageConfig, metrics: Mapping[str, Any], rows: Rows) -> Section:
    """Members of a combination, and views; without blocks where there is neither."""
    section = Section("What each part brings")
    if metrics.get("combines"):
        section.blocks += members_table(metrics["combines"], rows, trained.metric)
    if metrics.get("views") and metrics["views"] != EPOCH_VIEWS:
        section.blocks += views_table(run, trained, metrics)
    section.blocks += metadata_table(run, trained, rows)
    return section


def members_table(combines: Mapping[str, Any], rows: Rows, metric: str) -> list[Table]:
    """Each member alone, and the mean of all members without it beside the mean of all."""
    found: dict[str, np.ndarray] = {}
    gone: list[str] = []
    for name in combines["members"]:
        p = predictions_of(name, rows)
        found |= {} if p is None else {name: p}
        gone += [name] if p is None else []
    if not found:
        return []
    weights = dict(zip(combines["members"], combines.get("weights") or [], strict=False))
    every = rows.saying(np.mean(list(found.values()), axis=0))
    drawn, score = drawn_scores(metric, every), every.score(metric)
    gains = "higher" if greater_is_better(metric) else "lower"
    table = Table(
        "Members",
        ["member", "weight", f"{metric} alone", "mean without it", "what it brings", "95 % interval"],
        note=f"By {metric}, of which {gains} is better. The mean of all has {score:.4f}, this run "
        f"{rows.score(metric):.4f}. What a member brings is the mean of all less the mean of the others.",
    )
    if gone:
        table.note += f" Not here any more, or with other rows: {', '.join(gone)}."
    for name, p in found.items():
        weight = f"{weights[name]:.2f}" if name in weights else "–"
        line = [name, weight, f"{rows.saying(p).score(metric):.4f}"]
        if len(found) > 1:
            without = rows.saying(np.mean([other for each, other in found.items() if each != name], axis=0))
            change = drawn - drawn_scores(metric, without)  # of the same draws
            line += [
                f"{without.score(metric):.4f}",
                f"{score - without.score(metric):+.4f}",
                spread(*interval_of_drawn(change)),
            ]
        table.rows.append([*line, *["–"] * (len(table.columns) - len(line))])
    return [table]


def predictions_of(name: str, rows: Rows) -> np.ndarray | None:
    """(N, K) what the run `name` says of these rows; None where it is not here, or has others."""
    path = run_of_member(name).oof
    read = remembered(path, partial(read_oof, path, "the page is made without this member"))
    if read is None:
        return None
    oof, targets, _ = read
    place = pd.Index(oof["id"]).get_indexer(pd.Index(rows.ids))
    same = targets.kind == rows.targets.kind and set(targets.classes) == set(rows.targets.classes)
    if not same or (place < 0).any():
        return None
    return oof[rows.targets.columns].to_numpy(dtype=np.float32)[place]


def views_table(run: RunDir, trained: ImageConfig, metrics: Mapping[str, Any]) -> list[Table]:
    """Each fold's score by the first view alone, as the epoch whose weights were kept has it, and by all views."""
    name, views = trained.metric, metrics["views"]
    if name not in metrics["scores"]:  # predicted again by another metric
        return []
    columns = ["fold", f"view {EPOCH_VIEWS[0]}", f"{len(views)} views: {', '.join(views)}", "what they bring"]
    table = Table(
        "Views", columns, note=f"By {name}, of which {'higher' if greater_is_better(name) else 'lower'} is better."
    )
    changes = []
    for k, with_views in metrics["scores"][name]["folds"].items():
        path = run.fold(int(k)) / "history.csv"
        alone = remembered(path, partial(_of_kept_epoch, path, trained))
        if alone is None:
            continue
        changes.append(with_views - alone)
        table.rows.append([k, f"{alone:.4f}", f"{with_views:.4f}", f"{changes[-1]:+.4f}"])
    if len(changes) > 1:
        error = np.std(changes, ddof=1) / np.sqrt(len(changes))
        table.rows.append(["mean", "", "", f"{np.mean(changes):+.4f} ± {error:.4f}"])
    return [table] if table.rows else []


def metadata_table(run: RunDir, trained: ImageConfig, rows: Rows) -> list[Table]:
    """The score beside that of the same models where nothing was known of a row but its image."""
    paths = [run.fold(k) / WITHOUT_METADATA for k in rows.folds]
    tables = [remembered(path, partial(read_oof, path, "the page is made without it")) for path in paths]
    if any(table is None for table in tables):
        return []
    found = pd.concat([oof for oof, _, _ in filter(None, tables)]).set_index("id")
    if not set(rows.ids) <= set(found.index):
        return []
    metric = trained.metric
    blind = rows.saying(found.loc[rows.ids, rows.targets.columns].to_numpy(dtype=np.float32))
    change = drawn_scores(metric, rows) - drawn_scores(metric, blind)  # of the same draws
    names = ", ".join(trained.model.metadata)
    line = [names, f"{blind.score(metric):.4f}", f"{rows.score(metric):.4f}"]
    line += [f"{rows.score(metric) - blind.score(metric):+.4f}", spread(*interval_of_drawn(change))]
    note = "Without: the same models, told nothing but the image, as in the training rows whose metadata was hidden."
    columns = ["metadata", f"{metric} without", "with", "what it brings", "95 % interval"]
    return [Table("Metadata", columns, [line], note)]


def _of_kept_epoch(path: Any, trained: ImageConfig) -> float:
    with reading(path, "the page is made without it"):
        table = pd.read_csv(path)
        if trained.metric not in table:
            raise CompError(f"{path} has no {trained.metric}: the page is made without it")
        history = table[trained.metric].astype(float)
        if not len(history):
            raise CompError(f"{path} is empty")
        if trained.train.keep != "best":
            return float(history.iloc[-1])
        return float(history.max() if greater_is_better(trained.metric) else history.min())

"""`comp synth combine`: real images and those that the guard let in, with labels of one class list."""

from pathlib import Path

import numpy as np
import pandas as pd

from comp.folds import folds_to_train
from comp.vision.data.combined import combined_path, joins, write_combined
from comp.vision.data.competition import Competition, open_competition
from comp.vision.schema import ImageConfig
from comp.vision.synth.generated import on_classes, settings_of
from comp.vision.synth.guard import verdicts
from comp.vision.synth.plan import counted, labels_of, lacking


def combine(config: ImageConfig) -> Path:
    """Writes `combined.csv`: every image that some model learns from, and which folds' models those are.

    Raises:
        CompError: the guard has not been asked, or of something else than is there now; or a label is no class.
    """
    settings = settings_of(config)
    competition = open_competition(config, quiet=True)
    tables = competition.tables
    table = verdicts(config, competition)
    table = table[table["gate"] == ""].reset_index(drop=True)
    table["target"] = on_classes(table["label"], settings.map, tables.targets)
    if settings.amount == "balance":
        table["folds"] = balanced(table, competition, config)
        table = table[table["folds"] != ""]
    real = tables.train.assign(target=labels_of(tables.train, tables.targets), source="real")
    real["folds"] = _learned_in(competition, folds_to_train(config, competition.split))
    path = combined_path(config)
    both = pd.concat([real, table.assign(source="generated")], ignore_index=True)
    write_combined(path, both, tables, competition.split.digest)
    counts = {source: counted(rows["target"], tables.targets) for source, rows in both.groupby("source")}
    generated = counts.get("generated", counts["real"] * 0)
    width = max(map(len, [*generated.index, "class"]))
    print(f"synth   {'class':{width}}    real  generated  together")
    for name in generated.index:
        total = counts["real"][name] + generated[name]
        print(f"        {name:{width}}  {counts['real'][name]:6}  {generated[name]:9}  {total:8}")
    print(f"wrote   {path}: {len(real)} real and {len(table)} generated images")
    return path


def balanced(table: pd.DataFrame, competition: Competition, config: ImageConfig) -> list[str]:
    """The `folds` of each generated row, with no more of a class than the fold's real training rows lack of it.

    Which ones is drawn, so that the hard ones keep their share.
    """
    tables, order = competition.tables, np.random.default_rng(config.seed).permutation(len(table))
    kept: dict[int, np.ndarray] = {}
    for fold in sorted({int(each) for folds in table["folds"] for each in folds.split()}):
        rows = competition.rows(fold)[0]
        lacks = lacking(counted(labels_of(tables.train.iloc[rows], tables.targets), tables.targets))
        may = pd.Series(joins(table["folds"], (fold,)))
        drawn = table.iloc[order][may.iloc[order].to_numpy()]
        chosen = drawn.index[drawn.groupby("target").cumcount() < drawn["target"].map(lacks)]
        kept[fold] = np.isin(table.index, chosen)
    return [" ".join(str(fold) for fold, rows in kept.items() if rows[row]) for row in range(len(table))]


def _learned_in(competition: Competition, folds: list[int]) -> list[str]:
    """For each training row the folds whose models learn from it."""
    learned = {fold: np.isin(np.arange(len(competition.y)), competition.rows(fold)[0]) for fold in folds}
    return [" ".join(str(fold) for fold, rows in learned.items() if rows[row]) for row in range(len(competition.y))]

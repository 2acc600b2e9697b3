"""Runs that nobody trained: predictions with some truth in them, in the files that training writes."""

import numpy as np

from comp.files import write_json
from comp.folds import load_split
from comp.runs.predictions import oof_table, test_table, write_predictions
from comp.runs.rundir import RunDir
from comp.vision.data.read import read_tables
from comp.vision.inference.collect import collect
from comp.vision.schema import ImageConfig


def make_run(
    config: ImageConfig, name: str, seed: int = 0, skill: float = 1.0, inner: bool = False, bad: int | None = None
) -> RunDir:
    """`runs/<name>`, finished; the folds must be there. With `inner`, as nesting needs it; row `bad` is unreadable."""
    config = config.model_copy(update={"name": name})
    tables = read_tables(config.data)
    split, targets, rng = load_split(config, tables), tables.targets, np.random.default_rng(seed)
    y = targets.encode(tables.train)

    def said(rows: np.ndarray) -> np.ndarray:
        if targets.kind != "multiclass":
            return np.clip(0.5 + skill * 0.3 * (y[rows] - 0.5) + rng.normal(0, 0.15, y[rows].shape), 0.01, 0.99)
        p = rng.dirichlet(np.ones(y.shape[1]), len(rows)) + skill * y[rows]
        return p / p.sum(axis=1, keepdims=True)

    run = RunDir.of(config)
    run.start(config)
    run.bind_to_folds(split.digest)
    for k in range(split.n):
        folder, rows = run.fold(k), np.setdiff1d(np.flatnonzero(split.fold == k), [] if bad is None else [bad])
        table = oof_table(tables.train, rows, np.full(len(rows), k), said(rows), targets)
        write_predictions(folder / "oof.parquet", table, targets, split.digest)
        p = said(rng.integers(0, len(y), len(tables.test)))
        write_predictions(folder / "test.parquet", test_table(tables.test, p, targets), targets, split.digest)
        if inner:
            rows = np.flatnonzero(split.fold != k)
            table = oof_table(tables.train, rows, split.fold[rows], said(rows), targets)
            write_predictions(folder / "inner_oof.parquet", table, targets, split.digest)
        write_json(folder / "metrics.json", {"rows": len(rows), "seconds": 1.0})
    collect(config, tables.train["id"], run)
    return run

"""What one trained fold says of its own validation rows and of all test rows, as files in its folder."""

from pathlib import Path

import numpy as np
from accelerate import Accelerator

from comp.competition import Competition
from comp.config.schema import Config
from comp.metrics import score
from comp.model import Classifier
from comp.predict import predict_rows
from comp.predictions import oof_table, test_table, write_predictions


def predict_fold(
    config: Config,
    competition: Competition,
    left_out: tuple[int, ...],
    model: Classifier,
    folder: Path,
    accelerator: Accelerator,
) -> dict[str, float]:
    """Writes `oof.parquet`, of the folds that the model left out, and `test.parquet`; returns the first's metrics."""
    tables, targets, split = competition.tables, competition.tables.targets, competition.split
    views = config.predict.views
    train_rows, valid_rows = competition.rows(*left_out)
    known, known_of_test = (competition.metadata(which, model.encoder) for which in ("train", "test"))
    oof = predict_rows(model, competition.train_pixels, valid_rows, targets, config, accelerator, views, known)
    test_rows = np.arange(len(tables.test))
    test = predict_rows(model, competition.test_pixels, test_rows, targets, config, accelerator, views, known_of_test)
    test[list(competition.test_pixels.bad)] = competition.y[train_rows].mean(axis=0)  # the training prior
    if accelerator.is_main_process:
        table = oof_table(tables.train, valid_rows, split.fold[valid_rows], oof, targets)
        write_predictions(folder / "oof.parquet", table, targets, split.rows)
        write_predictions(folder / "test.parquet", test_table(tables.test, test, targets), targets, split.rows)
    y = competition.y[valid_rows]
    return {name: score(name, y, oof, targets) for name in dict.fromkeys([config.metric, *config.metrics])}

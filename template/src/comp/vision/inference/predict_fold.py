"""What one trained fold says of its own validation rows and of all test rows, as files in its folder."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator

from comp.registry import metrics_for
from comp.runs.predictions import oof_table, test_table, write_predictions
from comp.vision.data.competition import Competition
from comp.vision.inference import WITHOUT_METADATA
from comp.vision.inference.how_predicted import how_predicted
from comp.vision.inference.predict_rows import predict_rows
from comp.vision.metrics import score
from comp.vision.model import Classifier
from comp.vision.model.metadata_branch import DROP
from comp.vision.schema import ImageConfig


def predict_fold(
    config: ImageConfig,
    competition: Competition,
    left_out: tuple[int, ...],
    model: Classifier,
    folder: Path,
    accelerator: Accelerator,
) -> dict[str, float]:
    """Writes `oof.parquet`, of the folds that the model left out, and `test.parquet`; returns the first's metrics.

    Where a model goes by metadata, and has learned to do without, `without_metadata.parquet` is the first without it.
    """
    tables, targets, split = competition.tables, competition.tables.targets, competition.split
    views = config.predict.views
    valid_rows = competition.rows(*left_out)[1]
    train_samples, test_samples = (competition.samples(which, model.encoder) for which in ("train", "test"))
    oof = predict_rows(model, train_samples, valid_rows, config, accelerator, views)
    test = predict_rows(model, test_samples, np.arange(len(tables.test)), config, accelerator, views)
    blind = None
    if model.encoder is not None and config.model.metadata_args.get("drop", DROP) > 0:
        images_alone = replace(train_samples, metadata=None)
        blind = predict_rows(model, images_alone, valid_rows, config, accelerator, views)
    test[list(competition.test_pixels.bad)] = prior_of(competition, left_out)
    if accelerator.is_main_process:
        table = oof_table(tables.train, valid_rows, split.fold[valid_rows], oof, targets)
        write_predictions(folder / "oof.parquet", table, targets, split.digest)
        if blind is not None:
            table = oof_table(tables.train, valid_rows, split.fold[valid_rows], blind, targets)
            write_predictions(folder / WITHOUT_METADATA, table, targets, split.digest)
        write_predictions(folder / "test.parquet", test_table(tables.test, test, targets), targets, split.digest)
    y = competition.y[valid_rows]
    return {name: score(name, y, oof, targets) for name in metrics_for([config.metric, *config.metrics], targets.kind)}


def prior_of(competition: Competition, left_out: tuple[int, ...]) -> np.ndarray:
    """(K,) the mean target of the rows that are trained on where these folds are left out."""
    return competition.y[competition.rows(*left_out)[0]].mean(axis=0)


def remembered_of(config: ImageConfig, competition: Competition, left_out: tuple[int, ...]) -> dict[str, Any]:
    """What `metrics.json` of a fold says of its predictions, beside their scores."""
    return {"predict": how_predicted(config), "prior": prior_of(competition, left_out).tolist()}

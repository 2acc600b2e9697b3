"""`comp train`: fits the folds, predicts with each, collects what they predicted."""

import shutil
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from accelerate import Accelerator

from comp.align.baselines.compare import print_table, with_baselines
from comp.align.data.fold import open_fold, unit_images
from comp.align.data.pairs import EMBEDDING, Competition, open_competition
from comp.align.ranking.measures import measures_of
from comp.align.ranking.metrics import scores
from comp.align.schema import AlignConfig
from comp.align.training.fit import batches_of, fit
from comp.align.training.projector import Projector, predicted, save_projector
from comp.distributed.launch import Work, on_all_devices
from comp.errors import CompError
from comp.files import write_json
from comp.folds import folds_to_train
from comp.loop.trackers import check_tracker, start_tracker
from comp.registry import find
from comp.runs.members import for_each_member
from comp.runs.paired import Measure
from comp.runs.predictions import oof_table, test_table, write_predictions
from comp.runs.results import Scoring, join_folds
from comp.runs.rundir import RunDir, now


@for_each_member
def train(config: AlignConfig, arguments: list[str], fresh: bool = False) -> int:
    """Trains the folds that are not trained yet and returns the exit status.

    `arguments` are those of this command, for further processes.

    Raises:
        CompError: whatever is wrong with configuration or data, before any process is started.
    """
    run = RunDir.of(config)

    def work(competition: Competition, accelerator: Accelerator) -> None:
        start_tracker(config, accelerator, config.name)
        for number in folds_to_train(config, competition.split):
            if run.is_done(number):
                _say(accelerator, f"fold {number}  is already trained")
                continue
            started = time.perf_counter()
            _train_fold(config, competition, number, run, accelerator)
            _say(accelerator, f"fold {number}  done in {time.perf_counter() - started:.0f} s")
        if accelerator.is_main_process:
            collect(config, competition, run)
        accelerator.wait_for_everyone()

    return on_all_devices(
        config,
        arguments,
        Work(
            open=lambda quiet: open_competition(config, quiet),
            prepare=lambda: _prepare(config, run, fresh),
            check=lambda competition, processes: _check(config, competition, processes),
            do=work,
        ),
    )


def _prepare(config: AlignConfig, run: RunDir, fresh: bool) -> None:
    check_tracker(config)
    run.start(config, fresh)


def collect(
    config: AlignConfig,
    competition: Competition,
    run: RunDir,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Writes the run's tables, scores and line in the leaderboard, and prints the baselines beside it.

    A caption is ranked among the images of its own fold: as in the test, its model has seen none of them.
    """
    images = unit_images(competition)
    rows = {name: row for row, name in enumerate(competition.pairs.names)}
    of_fold: dict[int, dict[str, float]] = {}

    def measures(_: object, names: Sequence[str], oof: pd.DataFrame, __: object) -> dict[str, Measure]:
        return measures_of(names, oof, images, rows)

    def measured(name: str, oof: pd.DataFrame, _: object) -> float:
        total = 0.0
        for k in oof["fold"].unique():
            own = oof[oof["fold"] == k]
            if k not in of_fold:
                found, image_of = np.stack(own["embedding"].to_list()), own["target"].map(rows).to_numpy()
                of_fold[k] = scores([config.metric, *config.metrics], found, images, image_of, np.unique(image_of))
            total += of_fold[k][name] * len(own) / len(oof)
        return total

    join_folds(config, competition.pairs.tables.train["id"], run, Scoring(measured, measures), facts)
    print_table(config, with_baselines(config, competition, run))


def _check(config: AlignConfig, competition: Competition, processes: int) -> None:
    """Raises at once what would otherwise fail after the first epoch, or in each process."""
    run = RunDir.of(config)
    if not run.config.is_file():
        raise CompError(f"{run.path} of the first machine is not visible here: all machines must share runs/")
    run.bind_to_folds(competition.split.digest)
    for name in [config.metric, *config.metrics]:
        find("metric", name)
    for number in folds_to_train(config, competition.split):
        training, validated = competition.rows(number)
        if not len(training) or not len(validated):
            raise CompError(f"fold {number} has {len(training)} training and {len(validated)} validated captions")
        batches_of(len(training), config.train.batch_size, processes)
    why = config.train.chooses_on_validated_rows
    if why:
        print(f"note    {why}: each fold's score is measured on captions that chose its epoch or rates, so it flatters")


def _train_fold(
    config: AlignConfig, competition: Competition, number: int, run: RunDir, accelerator: Accelerator
) -> None:
    started, folder = time.perf_counter(), run.fold(number)
    fold = open_fold(competition, number, accelerator.device)
    model = fit(config, fold, folder, accelerator)
    if accelerator.is_main_process:
        measured = predict_fold(config, competition, number, model, run, accelerator)
        save_projector(model, folder / "best.safetensors", fold.facts)
        seconds = round(time.perf_counter() - started, 1)
        about = {"rows": len(fold.valid_rows), "seconds": seconds, "trained": now()}
        write_json(folder / "metrics.json", {**measured, **about})  # marks it as done
        shutil.rmtree(folder / "last", ignore_errors=True)
    accelerator.wait_for_everyone()


def predict_fold(
    config: AlignConfig, competition: Competition, number: int, model: Projector, run: RunDir, accelerator: Accelerator
) -> dict[str, float]:
    """Writes `oof.parquet` and `test.parquet` of a fold, and returns the metrics of the first."""
    pairs, folder, rows = competition.pairs, run.fold(number), competition.split.digest
    training, validated = competition.rows(number)
    batch, device = config.predict.batch_size, accelerator.device
    oof = predicted(model, pairs.texts[validated], batch, device)
    test = predicted(model, np.nan_to_num(np.asarray(pairs.test_texts, dtype=np.float32)), batch, device)
    images = unit_images(competition)
    test[list(pairs.bad_test)] = images[np.unique(pairs.image_of[training])].mean(axis=0)
    table = oof_table(pairs.tables.train, validated, np.full(len(validated), number), oof, EMBEDDING)
    write_predictions(folder / "oof.parquet", table, EMBEDDING, rows)
    write_predictions(folder / "test.parquet", test_table(pairs.tables.test, test, EMBEDDING), EMBEDDING, rows)
    image_of = pairs.image_of[validated]
    return scores([config.metric, *config.metrics], oof, images, image_of, np.unique(image_of), device=str(device))


def _say(accelerator: Accelerator, line: str) -> None:
    if accelerator.is_main_process:
        print(line, flush=True)

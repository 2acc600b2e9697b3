"""`comp train`: fits the folds one after the other, predicts with each, and collects what they predicted."""

import shutil
import time
from pathlib import Path

from accelerate import Accelerator

from comp.batches import TrainingBatches
from comp.collect import collect
from comp.competition import Competition
from comp.config import Config
from comp.errors import CompError
from comp.fit import Fold, fit
from comp.launch import on_all_devices
from comp.losses import build_loss
from comp.memory import memory_errors_explained, release_memory
from comp.metrics import score
from comp.model import save_checkpoint
from comp.predict_fold import predict_fold
from comp.rundir import RunDir, write_json


def train(config: Config, arguments: list[str], fresh: bool = False) -> int:
    """Trains the folds that are not trained yet and returns the exit status.

    `arguments` are those of this command, for further processes.

    Raises:
        CompError: whatever is wrong with configuration or data, before any process is started.
    """
    run = RunDir.of(config)
    return on_all_devices(
        config,
        [word for word in arguments if word != "--fresh"],
        prepare=lambda: run.start(config, fresh),
        check=lambda competition, processes: _check(config, competition, processes),
        work=lambda competition, accelerator: _train_folds(config, competition, run, accelerator),
    )


def _check(config: Config, competition: Competition, processes: int) -> None:
    """Raises at once what would otherwise fail after the first epoch, or in each process."""
    run = RunDir.of(config)
    if not run.config.is_file():
        raise CompError(f"{run.path} of the first machine is not seen here: runs/ must be one folder that all share")
    run.bind_to_folds(competition.split.rows)
    targets = competition.tables.targets
    for name in [config.metric, *config.metrics]:
        score(name, competition.y, competition.y, targets)
    build_loss(config.train, targets, None)
    for number in _folds_to_train(config, competition):
        train_rows, valid_rows = competition.rows(number)
        if not len(train_rows) or not len(valid_rows):
            raise CompError(f"fold {number} has {len(train_rows)} training and {len(valid_rows)} validated rows")
        TrainingBatches(
            train_rows,
            config.train.images_per_update,
            (number,),
            processes=processes,
            accumulate=config.train.pieces or 1,
        )


def _train_folds(config: Config, competition: Competition, run: RunDir, accelerator: Accelerator) -> None:
    def say(line: str) -> None:
        if accelerator.is_main_process:
            print(line, flush=True)

    if config.train.chooses_on_validated_rows:
        why = "keep=best" if config.train.keep == "best" else "early_stop"
        say(f"note    {why}: each fold's score is measured on the rows that chose its epoch, so it flatters")
    if config.tracker != "none":
        named = {tracker: {"name": config.name} for tracker in ("wandb", "trackio")}
        about = config.model_dump(mode="json")
        if config.tracker == "tensorboard":  # takes flat values only
            about = {"name": config.name, "backbone": config.model.backbone}
        accelerator.init_trackers(Path.cwd().name, about, named)
    for number in _folds_to_train(config, competition):
        if run.is_done(number):
            say(f"fold {number}  is trained already")
            continue
        started = time.perf_counter()
        with memory_errors_explained():
            _train_fold(config, competition, number, run, accelerator)
        release_memory(accelerator)
        say(f"fold {number}  done in {time.perf_counter() - started:.0f} s")
    if accelerator.is_main_process:
        collect(config, competition.tables.train["id"], run)
    accelerator.wait_for_everyone()


def _folds_to_train(config: Config, competition: Competition) -> list[int]:
    if config.folds.use == "all":
        return list(range(competition.split.n))
    wrong = [number for number in config.folds.use if number >= competition.split.n]
    if wrong:
        raise CompError(f"folds.use names fold {wrong[0]}, there are folds 0 to {competition.split.n - 1}")
    return sorted(set(config.folds.use))


def _train_fold(config: Config, competition: Competition, number: int, run: RunDir, accelerator: Accelerator) -> None:
    train_rows, valid_rows = competition.rows(number)
    started = time.perf_counter()
    targets, folder = competition.tables.targets, run.fold(number)
    fold = Fold(number, train_rows, valid_rows, competition.y, competition.train_pixels, targets)
    model = fit(config, fold, folder, accelerator)
    scores = predict_fold(config, competition, number, model, folder, accelerator)
    if accelerator.is_main_process:
        facts = {"kind": targets.kind, "classes": targets.classes, "fold": number, "folds": competition.split.rows}
        save_checkpoint(model, folder / "best.safetensors", facts)
        seconds = round(time.perf_counter() - started, 1)
        write_json(folder / "metrics.json", {**scores, "rows": len(valid_rows), "seconds": seconds})  # marks it as done
        shutil.rmtree(folder / "last", ignore_errors=True)
    accelerator.wait_for_everyone()

"""`comp train`: fits the folds, predicts with each, and collects what they predicted."""

import shutil
import time
from pathlib import Path

from accelerate import Accelerator

from comp.distributed.launch import Work, on_all_devices
from comp.distributed.processes import end_with_starter, is_launched
from comp.errors import CompError
from comp.files import write_json
from comp.files.lock import locked
from comp.folds import folds_to_train
from comp.loop.saving import divergence_noted
from comp.loop.trackers import check_tracker, start_tracker
from comp.registry import metrics_for
from comp.runs.flags import flags_of_training
from comp.runs.members import for_each_member
from comp.runs.rundir import DIVERGED, RunDir, now
from comp.vision.batches import TrainingBatches
from comp.vision.data.competition import Competition, open_competition
from comp.vision.data.settle import settled
from comp.vision.folds.cluster import executor_for
from comp.vision.folds.fold import Fold, fold_name
from comp.vision.folds.jobs import folds_at_once, is_job, parameter_count, train_as_jobs, visible_gpus
from comp.vision.folds.nested import pairs_of, write_inner
from comp.vision.inference.collect import collect
from comp.vision.inference.how_predicted import other_predictions, refuse_mixed_predictions
from comp.vision.inference.of_fold import refuse_another_fold
from comp.vision.inference.predict_fold import predict_fold, remembered_of
from comp.vision.inference.views import EPOCH_VIEWS
from comp.vision.kinds import GRADED, refuse_kind
from comp.vision.metrics import score
from comp.vision.model import save_checkpoint
from comp.vision.model.preparation import weights_note
from comp.vision.model.weights import facts_in
from comp.vision.schema import ImageConfig
from comp.vision.submission.form import expected_form
from comp.vision.training.fit import fit
from comp.vision.training.losses import check_loss
from comp.vision.training.memory import step_errors_explained
from comp.vision.training.optimizer import check_optimizer
from comp.vision.training.pretrain import pretrain
from comp.vision.training.pseudo_labels import refuse_other_teachers, with_pseudo_labels
from comp.vision.training.setup import note_on_random_weights
from comp.vision.training.synthetic_rows import with_synthetic


@for_each_member
def train(config: ImageConfig, arguments: list[str], fresh: bool = False) -> int:
    """Trains the folds that are not trained yet and returns the exit status.

    `arguments` are those of this command, for further processes.

    Raises:
        CompError: whatever is wrong with configuration or data, before any process is started.
    """
    run = RunDir.of(config)
    if is_job() and not is_launched():
        end_with_starter()
    config = settled(config)
    if not is_job() and not is_launched():
        note = weights_note(config.model)
        if note:
            print(note, flush=True)
    if config.pretrain is not None and not is_launched() and not is_job():
        with locked(run.path, "train"):
            run.start(config, fresh)
            fresh = False
            if not run.pretrained.is_file():
                status = pretrain(config, ["pretrain", *arguments[1:]])
                if status:
                    return status
    return on_all_devices(
        config,
        arguments,
        Work(
            open=lambda quiet: open_competition(config, quiet, expected_form),
            prepare=lambda: _prepare(config, run, fresh),
            check=lambda competition, processes: _check(config, competition, processes),
            do=lambda competition, accelerator: _train_folds(config, competition, run, accelerator),
            as_jobs=lambda competition: _train_folds_as_jobs(config, competition, run),
        ),
    )


def _prepare(config: ImageConfig, run: RunDir, fresh: bool) -> None:
    if is_job():
        return
    check_tracker(config)
    run.start(config, fresh)
    if config.jobs.cluster != "none":
        executor_for(config, run.path)  # what is wrong with it is said before the images are decoded


def _check(config: ImageConfig, competition: Competition, processes: int) -> None:
    """Raises at once what would otherwise fail after the first epoch, or in each process."""
    run = RunDir.of(config)
    if not run.config.is_file():
        raise CompError(f"{run.path} of the first machine is not visible here: all machines must share runs/")
    run.bind_to_folds(competition.split.digest)
    targets = competition.tables.targets
    for name in metrics_for([config.metric, *config.metrics], targets.kind):
        score(name, competition.y, competition.y, targets)
    check_loss(config.train, targets)
    check_optimizer(config.train.optimizer)
    augment = config.augment
    mixes = (augment.mixup or augment.cutmix) and augment.mix_prob == 1 and not augment.mix_off_epochs
    if config.model.metadata and mixes:
        raise CompError(
            "model.metadata: mixed images have none, and every batch is mixed: set augment.mix_prob=0.5, or "
            "augment.mix_off_epochs, or 'model.metadata=[]'"
        )
    if config.student is not None:
        refuse_kind("comp pseudo", targets)
        if config.train.loss in GRADED:
            raise CompError(
                f"train.loss={config.train.loss} learns grades as numbers, and tells of none how sure it is: for comp "
                "pseudo, set train.loss=corn, or one of classes"
            )
    if config.pretrain is not None and not run.pretrained.is_file():
        raise CompError(f"{run.pretrained} does not exist: run comp pretrain before several processes are started")
    trainings = _trainings(config, competition, folds_to_train(config, competition.split))
    stale = other_predictions(config, run)
    if stale and not all(run.is_done(*left_out) for left_out in trainings):
        raise CompError(
            f"other folds of {run.path} were predicted with another {stale}: run comp predict, or set it as it was"
        )
    for left_out in trainings:
        train_rows, valid_rows = competition.rows(*left_out)
        if not len(train_rows) or not len(valid_rows):
            raise CompError(f"{fold_name(left_out)}: {len(train_rows)} rows to train on, {len(valid_rows)} to validate")
        if config.student is not None:
            start = RunDir.of_name(config.student.start).fold(*left_out) / "best.safetensors"
            if not start.is_file():
                raise CompError(f"{start} does not exist: run comp train{' folds.nested=true' * (len(left_out) > 1)}")
            refuse_another_fold(start, facts_in(start), left_out, competition)
            refuse_other_teachers(run, left_out, config.student)
        TrainingBatches(
            train_rows,
            config.train.effective_batch_size,
            left_out,
            processes=processes,
            accumulate=config.train.micro_batches or 1,
        )


def _train_folds(config: ImageConfig, competition: Competition, run: RunDir, accelerator: Accelerator) -> None:
    def say(line: str) -> None:
        if accelerator.is_main_process:
            print(line, flush=True)

    if accelerator.is_main_process and not is_job():
        _note(config)
    start_tracker(config, accelerator, f"{config.name} fold {config.folds.use}" if is_job() else config.name)
    for left_out in _trainings(config, competition, folds_to_train(config, competition.split)):
        if run.is_done(*left_out):
            say(f"{fold_name(left_out)}  is already trained")
            continue
        started = time.perf_counter()
        with step_errors_explained(), divergence_noted(run.fold(*left_out) / DIVERGED):
            scores = _train_fold(config, competition, left_out, run, accelerator)
        accelerator.free_memory()  # before the next fold needs it
        unscored = flags_of_training(config).unscored or "unscored" in _facts(config, competition)
        measured = "" if unscored else f": {_measured(config, scores)}"
        say(f"{fold_name(left_out)}  done in {time.perf_counter() - started:.0f} s{measured}")
    if accelerator.is_main_process and not is_job():
        _collect(config, competition, run)
    accelerator.wait_for_everyone()


def _train_folds_as_jobs(config: ImageConfig, competition: Competition, run: RunDir) -> bool:
    """Trains each fold in a process of its own and collects, where that is wanted; whether it was."""
    folds = folds_to_train(config, competition.split)
    left = [k for k in folds if not all(run.is_done(*each) for each in _trainings(config, competition, [k]))]
    gpus = len(visible_gpus())
    classes = len(competition.tables.targets.classes)
    per_device, why = folds_at_once(config, len(left), gpus, lambda: parameter_count(config, classes))
    if not left or not per_device:
        if why:
            print(f"jobs    one fold after the other on {gpus} GPUs: {why}")
        return False
    _check(config, competition, 1 if config.train.processes == "auto" else config.train.processes)
    on = " on each GPU" if gpus and config.jobs.cluster != "slurm" else ""
    print(f"jobs    {len(left)} folds, {per_device} at a time{on}: {why}")
    _note(config)
    for number in sorted(set(folds) - set(left)):
        print(f"fold {number}  is already trained")
    train_as_jobs(config, run, left, per_device)
    _collect(config, competition, run)
    return True


def _collect(config: ImageConfig, competition: Competition, run: RunDir) -> None:
    refuse_mixed_predictions(run)
    stale = other_predictions(config, run)
    if stale:
        print(f"note    the folds were predicted with another {stale}: comp predict predicts them again")
    write_inner(run, competition.split)
    collect(config, competition.tables.train["id"], run, _facts(config, competition))


def _facts(config: ImageConfig, competition: Competition) -> dict[str, str]:
    """What the run's metrics have to say beside the scores."""
    if config.student is not None and config.student.teacher == "ensemble":
        return {"unscored": "its teachers saw the rows that it would be scored on (pseudo.teacher=ensemble)"}
    weights = config.model.weights
    facts = facts_in(Path(weights)) if weights is not None and Path(weights).exists() else {}
    if "left_out" in facts and facts["classes"] == list(competition.tables.targets.classes):
        return {"unscored": f"model.weights={weights} was trained on rows that are scored: use student.start"}
    return {}


def _measured(config: ImageConfig, scores: dict[str, float]) -> str:
    views = config.predict.views
    return f"{config.metric} {scores[config.metric]:.4f}" + (
        "" if views == EPOCH_VIEWS else f" (views {', '.join(views)})"
    )


def _note(config: ImageConfig) -> None:
    why = config.train.chooses_on_validated_rows
    if why:
        print(f"note    {why}: each fold's score is measured on rows that chose its epoch or rates, so it flatters")
    if config.train.freeze_epochs >= config.train.epochs:
        print(f"note    train.freeze_epochs={config.train.freeze_epochs}: only the head learns, in all epochs")
    if config.pretrain is None and config.student is None:
        note_on_random_weights(config)


def _trainings(config: ImageConfig, competition: Competition, folds: list[int]) -> list[tuple[int, ...]]:
    """What is trained along with `folds`, each by the folds that it leaves out."""
    return [*((k,) for k in folds), *pairs_of(config, competition.split, folds)]


def _train_fold(
    config: ImageConfig, competition: Competition, left_out: tuple[int, ...], run: RunDir, accelerator: Accelerator
) -> dict[str, float]:
    """Trains, predicts, saves; the metrics of the fold's validation rows."""
    started, folder = time.perf_counter(), run.fold(*left_out)
    train_rows, valid_rows = competition.rows(*left_out)
    encoder = competition.encoder(train_rows)
    start = run.pretrained if config.pretrain else None
    samples = competition.samples("train", encoder)
    fold = Fold(left_out, train_rows, valid_rows, samples, competition.split.digest, encoder, start=start)
    with accelerator.main_process_first():
        fold = with_synthetic(fold, config, competition)
    if config.student is not None:
        with accelerator.main_process_first():
            fold = with_pseudo_labels(fold, config.student, competition, folder)
    model = fit(config, fold, folder, accelerator)
    scores = predict_fold(config, competition, left_out, model, folder, accelerator)
    if accelerator.is_main_process:
        save_checkpoint(model, folder / "best.safetensors", fold.facts)
        seconds = round(time.perf_counter() - started, 1)
        about = {"rows": len(valid_rows), "seconds": seconds, "trained": now()}
        about |= remembered_of(config, competition, left_out)
        shutil.rmtree(folder / "frozen", ignore_errors=True)  # before: it may be large, and nobody looks here again
        write_json(folder / "metrics.json", {**scores, **about})  # marks it as done
        shutil.rmtree(folder / "last", ignore_errors=True)
    accelerator.wait_for_everyone()
    return scores

"""`comp forecast`: measures each model for some seconds here, and says what training and inference will take.

Times are those of this machine, as busy as it is now; `limits:` says what they have to fit into.
"""

import os
import time
from dataclasses import dataclass

import numpy as np
import torch

from comp.config.load import members_of
from comp.distributed.processes import cores, is_launched
from comp.errors import CompError
from comp.folds import Split, folds_to_train, load_split
from comp.runs.rundir import RunDir
from comp.tables import Tables, asked_for
from comp.vision.data.competition import Competition
from comp.vision.data.paths import all_paths
from comp.vision.data.read import read_tables
from comp.vision.data.settle import settled
from comp.vision.folds.jobs import folds_at_once, parameter_count
from comp.vision.folds.nested import pairs_of
from comp.vision.forecast.estimate import Plan, Seconds, less, of_inference, of_training, peak_ram
from comp.vision.forecast.measure import Speed, decoding_to_do, measured, start_of_process
from comp.vision.pixels import Decoding, Streamed
from comp.vision.pixels.open import size_of
from comp.vision.schema import ImageConfig
from comp.vision.submission.form import expected_form

CUTS = 3  # that are named
GB = 10**9


@dataclass(frozen=True)
class ModelForecast:
    """One member, or the only model: its plan and its speed."""

    config: ImageConfig
    plan: Plan
    speed: Speed
    ram: int  # bytes at the most, of a whole training

    def training(self) -> Seconds:
        return of_training(self.plan, self.speed)


@dataclass(frozen=True)
class Forecast:
    """Of all models, one after the other."""

    models: list[ModelForecast]
    process: float  # seconds until a process has read the data
    decoding: float  # of what no cache holds yet

    def training(self) -> float:
        return _training(self, [(model.plan, model.speed) for model in self.models])

    def inference(self) -> float:
        return _inference(self, [(model.plan, model.speed) for model in self.models])


def forecast(config: ImageConfig, arguments: list[str]) -> None:
    """Measures and prints; nothing is written into runs/, nor into the cache of decoded images.

    Raises:
        CompError: whatever `comp train` would raise before and within its first steps.
    """
    if is_launched():
        raise CompError("comp forecast measures one process: start it by itself")
    made = made_forecast(config)
    print("\n".join(lines_of(made, config)), flush=True)


def made_forecast(config: ImageConfig) -> Forecast:
    """Of the experiment, or of each of its members."""
    started = time.perf_counter()
    tables = read_tables(config.data)
    expected_form(config, tables)
    split = load_split(config, tables)
    reading = time.perf_counter() - started
    models, decoding, decoded = [], 0.0, set()
    for each in members_of(config) or [config]:
        own = settled(each, tables)
        images, n_bytes, _ = decoding_to_do(own, tables)
        competition = _without_pixels(tables, split)
        trainings = _trainings(own, split)
        rows = [competition.rows(*left_out) for left_out in trainings]
        plan = _plan(own, tables, split, [(len(train), len(valid)) for train, valid in rows])
        speed = measured(own, tables, split, rows[0])
        models.append(ModelForecast(own, plan, speed, peak_ram(speed, n_bytes)))
        cache = str(own.data), own.model.image_size, own.augment.crop_scale  # members that share a cache build it once
        decoding += images * speed.decoding * (cache not in decoded)
        decoded.add(cache)
    return Forecast(models, start_of_process() + reading, decoding)


def _without_pixels(tables: Tables, split: Split) -> Competition:
    """To ask for the rows of folds; which images cannot be read is not known yet."""
    unread = Streamed([], Decoding(1, None, "none", None), {})
    return Competition(tables, split, np.zeros((len(tables.train), 1), np.float32), unread, unread)


def _trainings(config: ImageConfig, split: Split) -> list[tuple[int, ...]]:
    folds = folds_to_train(config, split)
    return [*((k,) for k in folds), *pairs_of(config, split, folds)]


def _plan(config: ImageConfig, tables: Tables, split: Split, rows: list[tuple[int, int]]) -> Plan:
    folds, settings = len(folds_to_train(config, split)), config.train
    gpus = torch.cuda.device_count()
    per_gpu = folds_at_once(config, folds, gpus, lambda: parameter_count(config, len(tables.targets.classes)))[0]
    amount, unit = settings.save_every.split()
    student = config.pseudo.rounds * int(config.pseudo.train.get("epochs", 3)) if "pseudo" in config.steps else 0
    asked = int(asked_for(tables.test["id"]).sum())
    return Plan(
        epochs=settings.epochs,
        freeze_epochs=settings.freeze_epochs,
        trainings=tuple(rows),
        folds=folds,
        test_rows=len(tables.test),
        hidden_rows=config.limits.hidden_test or asked,
        images_each=len(all_paths(tables.train)) / max(1, len(tables.train)),
        image_size=config.model.image_size,
        views=len(config.predict.views),
        at_once=max(1, gpus * min(per_gpu, 1)),
        cache_frozen=settings.cache_frozen,
        save_every=(float(amount), unit),
        student_epochs=student,
        nested=config.folds.nested,
    )


def _training(made: Forecast, todo: list[tuple[Plan, Speed]]) -> float:
    return made.process + made.decoding + sum(sum(of_training(plan, speed).values()) for plan, speed in todo)


def _inference(made: Forecast, todo: list[tuple[Plan, Speed]]) -> float:
    return sum(sum(of_inference(plan, speed, made.process).values()) for plan, speed in todo)


def lines_of(made: Forecast, config: ImageConfig) -> list[str]:
    """One screen."""
    limits, gpu = config.limits, max(model.speed.gpu for model in made.models)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {cores()} cores"
    found = [f"here    {device}; each model measured for about {limits.seconds:g} s"]
    for model in made.models:
        speed, plan = model.speed, model.plan
        per_s = speed.batch / (speed.update or speed.frozen_update)
        found.append(
            f"model   {model.config.name}: {per_s:.0f} images/s in training, {1 / speed.prediction.each:.0f} in "
            f"prediction ({plan.views} view{'s' * (plan.views > 1)}), a fold begins in {speed.start:.1f} s"
        )
        found.append(f"        {_told(model)}")
        found.append(f"        {'at most ' if model.ram else ''}{_memory(model)}")
    decoding = f", of it {_time(made.decoding)} for decoding" if made.decoding > 1 else ""
    found.append(f"train   {_time(made.training())}{decoding}: {_fits(made.training(), limits.hours)}")
    hidden = made.models[0].plan.hidden_rows
    found.append(f"infer   {_time(made.inference())} for {hidden} hidden rows: {_fits(made.inference(), limits.hours)}")
    ram = max(model.ram for model in made.models)
    fits = f": {_fits_in(ram, limits.ram_gb, 'limits.ram_gb')}" if ram else ""
    found.append(f"memory  {_ram(ram)}{fits}")
    if gpu:
        found.append(f"        {size_of(gpu)} of a GPU: {_fits_in(gpu, limits.gpu_gb, 'limits.gpu_gb')}")
    found += _cuts(made, config)
    return [*found, *_notes(made, config)]


def _told(model: ModelForecast) -> str:
    """The largest parts of a model's training."""
    seconds = model.training()
    parts = sorted(seconds.items(), key=lambda each: -each[1])
    told = ", ".join(f"{what} {_time(value)}" for what, value in parts[:4] if value > 0.01 * sum(seconds.values()))
    n = len(model.plan.trainings)
    return f"{n} training{'s' * (n > 1)} × {model.plan.epochs} epochs, {_time(sum(seconds.values()))}: {told}"


def _memory(model: ModelForecast) -> str:
    gpu = f", {size_of(model.speed.gpu)} of the GPU" if model.speed.gpu else ""
    return f"{_ram(model.ram)}{gpu}"


def _ram(n_bytes: int) -> str:
    return f"{size_of(n_bytes)} of RAM" if n_bytes else "RAM: not measured on this system"


def _cuts(made: Forecast, config: ImageConfig) -> list[str]:
    """What saves most where it is needed: of inference if that alone does not fit, else of training."""
    hours = config.limits.hours
    infers = made.inference() > 3600 * hours >= made.training()
    total, what = (_inference, "inference") if infers else (_training, "training")
    todo = [(model.plan, model.speed) for model in made.models]
    whole = total(made, todo)
    after: dict[str, float] = {}
    for number, model in enumerate(made.models):
        name = f"{model.config.name}: " if len(made.models) > 1 else ""
        for cut, changed in less(model.plan, model.speed).items():
            after[name + cut] = total(made, [*todo[:number], changed, *todo[number + 1 :]])
        if len(made.models) > 1:
            after[f"without the member {model.config.name}"] = total(made, [*todo[:number], *todo[number + 1 :]])
    best = sorted(
        ((cut, seconds) for cut, seconds in after.items() if seconds < 0.99 * whole), key=lambda each: each[1]
    )
    return [
        f"{'cut' if not place else '':8}{cut}: {what} {_time(seconds)} instead of {_time(whole)}"
        for place, (cut, seconds) in enumerate(best[:CUTS])
    ]


def _notes(made: Forecast, config: ImageConfig) -> list[str]:
    """What the forecast does not know."""
    limits, here, gpus = config.limits, cores(), torch.cuda.device_count()
    left_out = {
        "comp pretrain": config.pretrain is not None,
        "early stopping (all epochs are counted)": config.train.early_stop is not None,
        "several processes for one model (train.processes)": config.train.processes not in ("auto", 1),
        "several folds at once on a device (jobs.per_gpu)": config.jobs.per_gpu not in ("auto", 0, 1),
        "validation by the features that train.cache_frozen keeps": config.train.cache_frozen > 0,
        "a queue (jobs.cluster)": config.jobs.cluster != "none",
        **{f"comp {step}": step in config.steps for step in ("blend", "stack", "synth guard", "synth train", "report")},
    }
    notes = [name for name, is_left_out in left_out.items() if is_left_out]
    found = [f"note    not included: {', '.join(notes)}"] if notes else []
    if any(model.plan.student_epochs for model in made.models):
        found.append("note    comp pseudo is included as if all test rows became pseudo-labels: it takes no longer")
    if limits.gpus and not gpus:
        found.append(f"note    no GPU here: the times are of a CPU with {here} cores, not of limits.gpus={limits.gpus}")
    elif gpus != limits.gpus:
        found.append(f"note    measured with {gpus} GPUs, limits.gpus={limits.gpus}")
    if here != limits.cores:
        found.append(f"note    measured with {here} cores, limits.cores={limits.cores}")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0  # Windows does not tell it
    if load > here + 1:
        found.append(f"note    others compute here too (load {load:.1f}): alone, it is faster")
    if RunDir.of(config).done_folds():
        found.append(f"note    {RunDir.of(config).path} has trained folds, which comp train does not train again")
    return found


def _fits(seconds: float, hours: float) -> str:
    return (
        f"fits into limits.hours={hours:g}" if seconds <= 3600 * hours else f"does NOT fit into limits.hours={hours:g}"
    )


def _fits_in(n_bytes: int, gb: float, key: str) -> str:
    return f"fits into {key}={gb:g}" if n_bytes <= gb * GB else f"does NOT fit into {key}={gb:g}"


def _time(seconds: float) -> str:
    """`45 s`, `12.3 min`, `5.2 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

"""`comp tune`: trains the experiment with other values of a few keys, and says what the best of them is worth.

Each trial is a run of its own, `<name>-tune-01` and so on, trained as any other: interrupted, the same command goes on,
and with other values or folds in `tune:` it adds what is missing to the trials that there are; other keys need another
name.
All of them are flagged, since the best of them is chosen by the rows that it is scored on.
"""

import csv
import io
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from comp.config.yaml12 import Dumper
from comp.errors import CompError, first_line
from comp.files import write_text
from comp.folds import n_folds
from comp.registry import greater_is_better
from comp.runs.predictions import read_oof
from comp.runs.rank import rank
from comp.runs.rundir import RUNS, RunDir
from comp.runs.tunings import Tuning, note_tuning
from comp.tables import Targets
from comp.vision.data.settle import settled
from comp.vision.metrics import score
from comp.vision.schema import ImageConfig, Tune
from comp.vision.training.train import train
from comp.vision.tuning.luck import Luck, luck_of, paired_noise
from comp.vision.tuning.trials import (
    Trial,
    Values,
    as_held,
    count_left,
    is_inside,
    refuse_keys,
    value_at,
    values_of,
    with_values,
)

SHOWN = 12  # trials of the table that are printed


def tune(config: ImageConfig, arguments: list[str]) -> int:
    """Trains the trials that are not trained yet, writes `runs/<name>-tune.csv` and prints it; the exit status.

    Raises:
        CompError: `tune:` is not set, a key does not exist, or whatever a training raises.
    """
    settings = config.tune
    if settings is None:
        raise CompError("tune: is not set: name keys and values, such as 'tune.keys={train.lr: [1e-4, 3e-4, 1e-3]}'")
    if config.members:
        raise CompError("comp tune tunes one model, and members: lists several: name one (member=…)")
    refuse_keys(config)
    settings = as_held(config, settings)
    begun, greater = _begun(config, settings), greater_is_better(config.metric)
    names = [*begun, *_free_names(config, count_left(settings, [*begun.values()]))]
    for name, values in begun.items():
        _refuse_other_keys(config, settings, name, values)
    done: list[tuple[ImageConfig, Trial]] = []
    for number, name in enumerate(names, start=1):
        values = begun.get(name) or values_of(settings, [trial for _, trial in done], config.seed, greater)
        trial, run = trial_config(config, settings, name, values, len(names)), RunDir.of_name(name)
        print(f"\n-- {name} ({number} of {len(names)}): {_told(values)}", flush=True)
        status = 0 if _is_finished(run, trial) else _trained(run, trial)
        if status and not run.diverged():
            return status
        done.append((trial, Trial(values, None if status else _score(config.metric, name, settings))))
    print(*_lines(config, settings, done), sep="\n", flush=True)
    return 0


def trial_config(config: ImageConfig, settings: Tune, name: str, values: Values, trials: int) -> ImageConfig:
    """The experiment of one trial: a run of its own, flagged as one of several."""
    tuned = {"trials": trials, "folds": settings.folds}
    return with_values(config, values, name=name, tune=None, tuned=tuned, folds={"use": settings.folds})


def _begun(config: ImageConfig, settings: Tune) -> dict[str, Values]:
    """By name, the values of trials that were begun: what would be asked for now may be others.

    Those that `tune:` does not want any more have chosen too, where they have all folds that choose today; else they
    are left as they are.
    """
    found = {}
    every = range(n_folds(config.folds, config.folds.kind))
    choosing = set(every if settings.folds == "all" else settings.folds)
    for name in _names_there(config):
        run = RunDir.of_name(name)
        before = run.trained_config()
        values = {key: value_at(before, key) for key in settings.keys}
        if is_inside(settings, values) or (run.metrics.is_file() and choosing <= set(run.done_folds())):
            found[name] = values
    return found


def _refuse_other_keys(config: ImageConfig, settings: Tune, name: str, values: Values) -> None:
    """Raises: CompError: the trial was not made of this experiment by values of these keys."""
    run = RunDir.of_name(name)
    try:
        trial = trial_config(config, settings, name, values, 1)
    except CompError as error:  # of a key that it does not have
        what = first_line(error)
    else:
        what = run.differences(settled(trial))
    if what:
        raise CompError(
            f"{run.path} was made by other keys than tune.keys has, or of another configuration ({what}): "
            f"give this tuning another name (name=…), or remove {RUNS / config.name}-tune-*"
        )


def _names_there(config: ImageConfig) -> list[str]:
    """Of the runs that are trials of this experiment, by their numbers."""
    first = f"{config.name}-tune-"
    names = [path.parent.name for path in RUNS.glob("*/config.yaml") if path.parent.name.startswith(first)]
    numbered = {name: name.removeprefix(first) for name in names}
    return sorted(
        (name for name, number in numbered.items() if number.isdecimal()), key=lambda name: int(numbered[name])
    )


def _free_names(config: ImageConfig, count: int) -> list[str]:
    there = _names_there(config)
    every = (f"{config.name}-tune-{number:02d}" for number in itertools.count(1))
    return list(itertools.islice((name for name in every if name not in there), count))


def _trained(run: RunDir, trial: ImageConfig) -> int:
    """Trains a trial; the exit status.

    Raises:
        CompError: it cannot be trained. One that diverged has a status and a mark, whichever process trained it.
    """
    run.forget_divergence()
    try:
        status = train(trial, ["train", str(run.config)])
    except CompError as error:
        if not run.diverged():
            raise
        print(f"failed  {error}", flush=True)
        return 1
    if status and run.diverged():
        print(f"failed  {trial.name}: its training diverged", flush=True)
    return status


def _score(metric: str, name: str, settings: Tune) -> float | None:
    """Of the rows that choose; None where that is no number."""
    oof, targets = _choosing_rows(name, settings)
    found = score(metric, targets.encode(oof), oof[targets.columns].to_numpy(), targets)
    if np.isfinite(found):
        return found
    print(f"failed  {name}: {metric} of {_folds(settings)} is no number", flush=True)
    return None


def _choosing_rows(name: str, settings: Tune) -> tuple[pd.DataFrame, Targets]:
    """Out-of-fold rows of a trial; it may have been trained on further folds since."""
    oof, targets, _ = read_oof(RunDir.of_name(name).oof)
    return (oof if settings.folds == "all" else oof[oof["fold"].isin(settings.folds)]), targets


def _is_finished(run: RunDir, trial: ImageConfig) -> bool:
    """Whether the trial's folds are trained with this configuration.

    Raises:
        CompError: they are trained with another one.
    """
    if not run.metrics.is_file():
        return False
    run.start(settled(trial))
    used = trial.folds.use
    if used == "all":
        return False  # how many there are, the training knows, and goes on
    done = set(used) <= set(run.done_folds())
    if done:
        print("        is already trained")
    return done


def _lines(config: ImageConfig, settings: Tune, done: list[tuple[ImageConfig, Trial]]) -> list[str]:
    """The table, best first, what the best one's score is worth, and what to write."""
    ranked = sorted(
        ((trial.score, each.name, trial.values) for each, trial in done if trial.score is not None),
        key=lambda each: rank(config.metric, each[0]),
    )
    failed = [each.name for each, trial in done if trial.score is None]
    if not ranked:
        raise CompError(
            "no trial has a score: where its loss became NaN, try smaller learning rates (train.lr); where "
            f"{config.metric} is no number of {_folds(settings)}, let more folds choose (tune.folds)"
        )
    place = _write(config, settings, ranked)
    found = ["", f"tuned   {len(ranked)} trials by {config.metric} of {_folds(settings)}; the best first"]
    found += [f"        {score:.4f}  {name}  {_told(values)}" for score, name, values in ranked[:SHOWN]]
    found += [f"        and {len(ranked) - SHOWN} more"] if len(ranked) > SHOWN else []
    found += [f"        failed: {', '.join(failed)}"] if failed else []
    if len(ranked) > 1:
        found += _luck_lines(
            config, settings, [name for _, name, _ in ranked], np.array([score for score, _, _ in ranked])
        )
    return [*found, *_advice(config, settings, ranked[0][2], len(ranked)), f"wrote   {place}"]


def _luck_lines(config: ImageConfig, settings: Tune, names: list[str], scores: np.ndarray) -> list[str]:
    y, p, targets = _predicted(names, settings)
    luck = luck_of(scores, paired_noise(config.metric, y, p, targets), greater_is_better(config.metric))
    n = len(names)
    of_best = Tuning(
        metric=config.metric, trials=n, best=names[0], score=luck.best, expected=luck.expected, alike=luck.alike
    )
    note_tuning(config.name, of_best)
    return [
        f"luck    the scores' mean is {luck.mean:.4f}, they spread by {luck.spread:.4f}, of which chance alone makes "
        f"{luck.noise:.4f} ({len(y)} rows, paired)",
        f"        the best of {n} alike would show {luck.alike:.4f}; the best one shows {luck.best:.4f}, and "
        f"{luck.expected:.4f} is expected of it on other rows{_verdict(luck)}",
    ]


def _verdict(luck: Luck) -> str:
    return ": nothing speaks for it but chance" if luck.expected == luck.mean else ""


def _predicted(names: list[str], settings: Tune) -> tuple[np.ndarray, np.ndarray, Targets]:
    """The truth (N, K), and what each run says of these rows (n, N, K)."""
    tables = [_choosing_rows(name, settings) for name in names]
    first, targets = tables[0]
    p = [table.set_index("id").loc[first["id"], targets.columns].to_numpy() for table, _ in tables]
    return targets.encode(first), np.array(p), targets


def _advice(config: ImageConfig, settings: Tune, values: Values, trials: int) -> list[str]:
    chosen = with_values(config, values)
    sections: dict[str, object] = {}
    for key in values:
        section, _, inner = key.partition(".")
        if inner:
            first = inner.split(".")[0]
            sections.setdefault(section, {})[first] = value_at(chosen, f"{section}.{first}")  # type: ignore[index]
        else:
            sections[section] = value_at(chosen, section)
    sections["tuned"] = {"trials": trials, "folds": settings.folds}
    text = yaml.dump(sections, Dumper=Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True)
    others = (
        "" if settings.folds == "all" else f"; with folds.use set to the other folds than {settings.folds}, it does not"
    )
    return [
        "write   into the configuration, under another name:",
        *(f"          {line}" for line in text.splitlines()),
        f"        (tuned: says that the score on {_folds(settings)} flatters{others})",
    ]


def _folds(settings: Tune) -> str:
    if settings.folds == "all":
        return "all folds"
    return f"fold{'s' * (len(settings.folds) > 1)} {', '.join(map(str, settings.folds))}"


def _told(values: Values) -> str:
    return "  ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in values.items()
    )


def _write(config: ImageConfig, settings: Tune, ranked: list[tuple[float, str, Values]]) -> Path:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", config.metric, *settings.keys])
    for value, name, values in ranked:
        writer.writerow([name, f"{value:.6f}", *(values[key] for key in settings.keys)])
    path = RUNS / f"{config.name}-tune.csv"
    write_text(path, text.getvalue())
    return path

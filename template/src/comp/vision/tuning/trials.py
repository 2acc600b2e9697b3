"""Which values a trial takes: those of a grid in order, or what Optuna asks for after the trials before it."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from comp.config.load import changed
from comp.errors import CompError
from comp.vision.schema import Between, ImageConfig, Tune

OF_RANGES = 16  # trials where a range has no end of values
EXTRA = 'tune.keys has a range, which Optuna chooses from: pip install -e ".[tune]", or give lists of values'
Values = dict[str, Any]  # by the dotted name of a key


@dataclass(frozen=True)
class Trial:
    """A finished trial; the score is None where its loss was no number."""

    values: Values
    score: float | None


def count_of(settings: Tune) -> int:
    """How many trials there are."""
    whole = None if _has_ranges(settings) else len(_grid(settings))
    if whole is None:
        return settings.trials or OF_RANGES
    return min(settings.trials or whole, whole)


def values_of(settings: Tune, number: int, before: Sequence[Trial], seed: int, greater: bool) -> Values:
    """Of the trial `number`, from 0. Of a grid that is larger than `tune.trials`, a random part is tried.

    Raises:
        CompError: it needs Optuna, which is not installed.
    """
    if _has_ranges(settings):
        return _asked(settings, number, before, seed, greater)
    grid = _grid(settings)
    order = (
        np.arange(len(grid)) if count_of(settings) == len(grid) else np.random.default_rng(seed).permutation(len(grid))
    )
    return grid[int(order[number])]


def with_values(config: ImageConfig, values: Values, **sections: Any) -> ImageConfig:
    """The experiment with these values.

    Raises:
        CompError: there is no such key, or it takes no such value.
    """
    for dotted, value in values.items():
        for part in reversed(dotted.split(".")[1:]):
            value = {part: value}
        first = dotted.split(".")[0]
        both = {**sections.get(first, {}), **value} if isinstance(value, dict) else value
        sections[first] = both
    return changed(config, **sections)


def refuse_keys(config: ImageConfig) -> None:
    """Raises: CompError: a key of `tune.keys` is no key of a training."""
    for key in config.tune.keys if config.tune else ():
        section = key.split(".")[0]
        if section not in ("model", "train", "augment", "seed"):
            raise CompError(
                f"tune.keys: {key} is not of model, train, augment or seed: nothing else makes another model"
            )


def _has_ranges(settings: Tune) -> bool:
    return any(isinstance(each, Between) for each in settings.keys.values())


def _grid(settings: Tune) -> list[Values]:
    lists = [each for each in settings.keys.values() if not isinstance(each, Between)]
    return [dict(zip(settings.keys, values, strict=True)) for values in itertools.product(*lists)]


def _asked(settings: Tune, number: int, before: Sequence[Trial], seed: int, greater: bool) -> Values:
    try:
        import optuna
    except ImportError:
        raise CompError(EXTRA) from None
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    def distribution(spec: Between | list[Any]) -> Any:
        if not isinstance(spec, Between):
            return CategoricalDistribution(list(range(len(spec))))  # by place: values may be lists
        if spec.low == int(spec.low) and spec.high == int(spec.high):
            return IntDistribution(int(spec.low), int(spec.high), log=spec.log)
        return FloatDistribution(spec.low, spec.high, log=spec.log)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {key: distribution(spec) for key, spec in settings.keys.items()}
    sampler = optuna.samplers.TPESampler(seed=seed + number, n_startup_trials=5)
    study = optuna.create_study(direction="maximize" if greater else "minimize", sampler=sampler)
    for trial in before:
        if trial.score is not None:
            places = {key: _place(settings.keys[key], value) for key, value in trial.values.items()}
            study.add_trial(optuna.trial.create_trial(params=places, distributions=space, value=trial.score))
    found = study.ask(space).params
    return {key: found[key] if isinstance(spec, Between) else spec[found[key]] for key, spec in settings.keys.items()}


def _place(spec: Between | list[Any], value: Any) -> Any:
    return value if isinstance(spec, Between) else spec.index(value)

"""Which values a trial takes: those of a grid in order, or what Optuna asks for after the trials before it."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from comp.config import Experiment
from comp.config.load import changed
from comp.errors import CompError
from comp.vision.schema import Between, ImageConfig, Tune

OF_RANGES = 16  # trials where a range has no end of values
EXTRA = 'tune.keys has a range, which Optuna chooses from: pip install -e ".[tune]", or give lists of values'
Values = dict[str, Any]  # by the dotted name of a key


@dataclass(frozen=True)
class Trial:
    """A finished trial; the score is None where its loss or its score was no number."""

    values: Values
    score: float | None


def count_of(settings: Tune) -> int:
    """How many trials there are."""
    whole = None if _has_ranges(settings) else len(_grid(settings))
    if whole is None:
        return settings.trials or OF_RANGES
    return min(settings.trials or whole, whole)


def as_held(config: ImageConfig, settings: Tune) -> Tune:
    """With each value once, as a configuration holds it: so those of earlier trials are found among them."""

    def held(key: str, value: Any) -> Any:
        try:
            return value_at(with_values(config, {key: value}), key)
        except CompError:  # with the other values of a trial it may fit; else the trial says why not
            return value

    keys: dict[str, Between | list[Any]] = {}
    for key, spec in settings.keys.items():
        values = spec if isinstance(spec, Between) else [held(key, value) for value in spec]
        keys[key] = values if isinstance(values, Between) else [v for n, v in enumerate(values) if v not in values[:n]]
    return settings.model_copy(update={"keys": keys})


def value_at(config: Experiment, dotted: str) -> Any:
    """What the configuration holds at the dotted name of a key; None where there is nothing."""
    found: Any = config.model_dump(mode="json")
    for part in dotted.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def is_inside(settings: Tune, values: Values) -> bool:
    """Whether a trial of these settings might have these values."""
    return all(_is_of(spec, values[key]) for key, spec in settings.keys.items())


def count_left(settings: Tune, begun: Sequence[Values]) -> int:
    """How many trials are to be made beside those that were begun, as far as these are some of today's."""
    if _has_ranges(settings):
        return max(0, count_of(settings) - sum(is_inside(settings, values) for values in begun))
    return max(0, count_of(settings) - sum(values in begun for values in _grid(settings)))


def values_of(settings: Tune, before: Sequence[Trial], seed: int, greater: bool) -> Values:
    """Of the trial that comes after those `before`: of a grid, a combination that none of them has.

    Of a grid that is larger than `tune.trials`, a random part is tried.

    Raises:
        CompError: it needs Optuna, which is not installed.
    """
    if _has_ranges(settings):
        return _asked(settings, before, seed, greater)
    grid, tried = _grid(settings), [trial.values for trial in before]
    order = (
        np.arange(len(grid)) if count_of(settings) == len(grid) else np.random.default_rng(seed).permutation(len(grid))
    )
    return next(grid[int(place)] for place in order if grid[int(place)] not in tried)


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


def _is_of(spec: Between | list[Any], value: Any) -> bool:
    if not isinstance(spec, Between):
        return value in spec
    if not isinstance(value, (int, float)) or not spec.low <= value <= spec.high:
        return False
    return value == int(value) or not _is_whole(spec)


def _is_whole(spec: Between) -> bool:
    return spec.low == int(spec.low) and spec.high == int(spec.high)


def _asked(settings: Tune, before: Sequence[Trial], seed: int, greater: bool) -> Values:
    try:
        import optuna
    except ImportError:
        raise CompError(EXTRA) from None
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    def distribution(spec: Between | list[Any]) -> Any:
        if not isinstance(spec, Between):
            return CategoricalDistribution(list(range(len(spec))))  # by place: values may be lists
        if _is_whole(spec):
            return IntDistribution(int(spec.low), int(spec.high), log=spec.log)
        return FloatDistribution(spec.low, spec.high, log=spec.log)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {key: distribution(spec) for key, spec in settings.keys.items()}
    sampler = optuna.samplers.TPESampler(seed=seed + len(before), n_startup_trials=5)
    study = optuna.create_study(direction="maximize" if greater else "minimize", sampler=sampler)
    for trial in before:
        if trial.score is not None and is_inside(settings, trial.values):
            places = {key: _place(settings.keys[key], value) for key, value in trial.values.items()}
            study.add_trial(optuna.trial.create_trial(params=places, distributions=space, value=trial.score))
    found = study.ask(space).params
    return {key: found[key] if isinstance(spec, Between) else spec[found[key]] for key, spec in settings.keys.items()}


def _place(spec: Between | list[Any], value: Any) -> Any:
    return value if isinstance(spec, Between) else spec.index(value)

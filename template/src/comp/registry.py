"""What the configuration calls by name: built-in parts, which each task lists, and those that `custom.py` adds."""

import difflib
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

from comp.errors import CompError
from comp.tasks import registering

KINDS = ("reader", "model", "head", "loss", "optimizer", "metric", "augment", "postprocess")
_parts: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}

Part = TypeVar("Part", bound=Callable[..., Any])


def register(kind: str, name: str, **facts: object) -> Callable[[Part], Part]:
    """Decorator: makes a function available to the configuration as `name`. A later one replaces an earlier one.

    But no built-in part replaces one of the user's: those of its kind may be imported after custom.py.

    `facts` become its attributes: of a metric `greater_is_better`, `needs_probabilities` and the others below.
    """
    if kind not in _parts:
        raise ValueError(f"cannot register a {kind!r}: one of {', '.join(KINDS)}")

    def keep(part: Part) -> Part:
        for fact, value in facts.items():
            setattr(part, fact, value)
        here = _parts[kind]
        if name not in here or _is_built_in(here[name], kind) or not _is_built_in(part, kind):
            here[name] = part
        return part

    return keep


def _is_built_in(part: object, kind: str) -> bool:
    """Whether it comes from one of the modules that tasks list, or from below it."""
    module = f"{getattr(part, '__module__', '')}."
    return any(module.startswith(f"{each}.") for each in registering(kind))


def names(kind: str) -> list[str]:
    """All names of one kind; of the user's own parts those replace built-in ones that are called the same."""
    _import(kind)
    return sorted(_parts[kind])


@cache
def _import(kind: str) -> None:
    """Imports the built-in parts of this kind alone, since some need libraries that are large, and the user's."""
    for module in (*registering(kind), "comp.custom"):
        import_module(module)


def find(kind: str, name: str) -> Any:
    """The part registered as `name`.

    Raises:
        CompError: there is none; names the nearest.
    """
    _import(kind)
    if name not in _parts[kind]:
        known = names(kind)
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known) or 'none yet'}."
        raise CompError(f"no {kind} is called {name!r}: {hint} Your own go into src/comp/custom.py")
    return _parts[kind][name]


def greater_is_better(metric: str) -> bool:
    """A metric says otherwise with an attribute: `my_metric.greater_is_better = False`."""
    return getattr(find("metric", metric), "greater_is_better", True)


def needs_probabilities(metric: str) -> bool:
    """Whether labels alone cannot be scored: `my_metric.needs_probabilities = True`."""
    return getattr(find("metric", metric), "needs_probabilities", False)


def kinds_of(metric: str, otherwise: str = "") -> tuple[str, ...]:
    """The kinds of targets that it is for: `my_metric.kinds = ("regression",)`; `otherwise` where it does not say."""
    return getattr(find("metric", metric), "kinds", (otherwise,))


def metrics_for(wanted: Sequence[str], kind: str) -> list[str]:
    """Each of the metrics `wanted` once; but for the first, only those for targets of `kind`."""
    first, *others = dict.fromkeys(wanted)
    return [first, *(name for name in others if kind in kinds_of(name, kind))]


def needs_order(metric: str) -> bool:
    """Whether it weighs classes by their place in an order (`targets.positions`): `my_metric.needs_order = True`."""
    return getattr(find("metric", metric), "needs_order", False)


def metric_label(metric: str, kind: str) -> str:
    """The metric as it is printed, with what it counts where its name alone would mislead."""
    counts = getattr(find("metric", metric), "of_several_labels", "") if kind == "multilabel" else ""
    return f"{metric} ({counts})" if counts else metric

"""How folds were predicted, as their `metrics.json` remembers it: only what was predicted alike makes one table."""

from typing import Any

from comp.errors import CompError
from comp.runs.rundir import RunDir, read_fold_metrics
from comp.vision.schema import ImageConfig


def how_predicted(config: ImageConfig) -> dict[str, Any]:
    """The settings that predictions depend on; `metrics.json` of the fold remembers them."""
    return config.predict.model_dump(include={"views", "average", "resize"})


def views_of(run: RunDir) -> list[str]:
    """The views that all of the run's models predicted with; none where they differ, or nothing tells."""
    views: list[list[str]] = [each["views"] for each in _remembered(run)]
    return views[0] if views and views.count(views[0]) == len(views) else []


def other_predictions(config: ImageConfig, run: RunDir) -> str:
    """Which settings the folds that are done were predicted with otherwise than `config` says; empty if with none."""
    now = how_predicted(config)
    return ", ".join(f"predict.{key}" for key in now if any(then[key] != now[key] for then in _remembered(run)))


def refuse_mixed_predictions(run: RunDir) -> None:
    """Raises: CompError: some folds were predicted in another way than others, so they make no common table."""
    first, *others = _remembered(run) or [{}]
    changed = ", ".join(f"predict.{key}" for key in first if any(other[key] != first[key] for other in others))
    if changed:
        raise CompError(f"the folds of {run.path} were predicted with different {changed}: run comp predict")


def _remembered(run: RunDir) -> list[dict[str, Any]]:
    """`how_predicted` of each model; older runs do not say."""
    remembered = [read_fold_metrics(path) for path in sorted(run.path.glob("fold*/metrics.json"))]
    return [each["predict"] for each in remembered if "predict" in each]

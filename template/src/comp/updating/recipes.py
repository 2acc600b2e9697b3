"""Recipes are the user's once they are here: what an update would change in one comes as a file beside it."""

from pathlib import Path
from typing import Any

import yaml

BASELINE, RECIPES = Path("conf/baseline.yaml"), Path("conf/recipes")
ABOUT = "recipe"  # the section that trains nothing


def bring_newer_recipes(folder: Path, old: Path, new: Path, version: str) -> dict[str, list[str]]:
    """Writes each recipe whose values the template changed from `old` to `new` beside the one in `folder`.

    Returns:
        The line that names a newer recipe → what it would change: `train.lr 0.0001 → 5e-05`, by key.
    """
    told = {}
    for path in sorted((new / RECIPES).glob("*.yaml")):
        name, newer = RECIPES / path.name, flat(values_of(path))
        here = [each for each in (folder / RECIPES).glob(f"{path.stem}*.yaml") if each.name != path.name]
        changed = (old / name).is_file() and flat(values_of(old / name)) != newer
        if not changed or not (folder / name).is_file() or any(flat(values_of(each)) == newer for each in here):
            continue
        beside = RECIPES / f"{path.stem}-{version}.yaml"
        if (folder / beside).exists():  # the user's own
            continue
        (folder / beside).write_bytes(path.read_bytes())
        title = f"{name.as_posix()} stays as it is; base: recipes/{beside.name} would train with the newer one:"
        told[title] = _differences(flat(values_of(folder / name)), newer, _stated(folder, path.name))
    return told


def values_of(path: Path) -> dict[str, Any]:
    """What a configuration says, without what it says of itself; empty where it cannot be read."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, ValueError, RecursionError):
        return {}
    return {key: value for key, value in values.items() if key != ABOUT} if isinstance(values, dict) else {}


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted key → value; a list is one value."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        inside = isinstance(value, dict) and value
        found |= flat(value, f"{prefix}{key}.") if inside else {f"{prefix}{key}": value}
    return found


def _stated(folder: Path, recipe: str) -> dict[str, Any]:
    """What conf/baseline.yaml says itself, so that this recipe would not change it."""
    values = values_of(folder / BASELINE)
    return flat(values) if values.get("base") == f"recipes/{recipe}" else {}


def _differences(here: dict[str, Any], newer: dict[str, Any], stated: dict[str, Any]) -> list[str]:
    keys = [key for key in {**here, **newer} if _text(here, key) != _text(newer, key)]
    own = {key: f" (conf/baseline.yaml has its own: {stated[key]})" for key in keys if key in stated}
    return [f"{key} {_text(here, key)} → {_text(newer, key)}{own.get(key, '')}" for key in keys]


def _text(values: dict[str, Any], key: str) -> str:
    return "(default)" if key not in values else "null" if values[key] is None else str(values[key])

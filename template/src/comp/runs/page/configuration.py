"""The configuration on a page: how it differs from its recipe, and folded away, whole."""

from pathlib import Path
from typing import Any

import yaml

from comp.config import Experiment, load_config, to_yaml
from comp.errors import CompError
from comp.runs.page import Folded, Section, Table

RECIPES = Path("conf/recipes")
OWN = {"name", "recipe", "member", "members"}  # differ in every run


def configuration_section(trained: Experiment) -> Section:
    """What the run was made with."""
    recipe, base = recipe_of(trained)
    table = Table(f"Differences from {recipe}", ["key", "there", "here"], text=frozenset({0, 1, 2}))
    table.rows = [[key, *map(_shown, values)] for key, values in sorted(_differences(base, trained).items())]
    note = f"As {recipe}, in all keys." if not table.rows else ""
    whole = Folded("the whole configuration, as the run was made", to_yaml(trained))
    return Section("Configuration", [*([table] if table.rows else []), whole], note=note)


def recipe_of(trained: Experiment) -> tuple[str, Experiment]:
    """What the run's recipe is called, and its configuration; without one here, the defaults."""
    found: list[tuple[str, Experiment]] = []  # several with one title: a newer one came with an update
    for path in sorted(RECIPES.glob("*.yaml")) if trained.recipe else ():
        try:
            base: Experiment = load_config(path, [f"task={trained.task}"])
        except CompError:  # a recipe of another task, or one that the user is writing
            continue
        if base.recipe is not None and trained.recipe is not None and base.recipe.title == trained.recipe.title:
            found.append((f"the recipe {path.stem}", base))
    if found:
        return min(found, key=lambda each: len(_differences(each[1], trained)))
    return "the defaults", type(trained).model_validate({"task": trained.task})


def _differences(base: Experiment, trained: Experiment) -> dict[str, tuple[Any, Any]]:
    """The values of each key in which they differ."""
    there, here = flat(base), flat(trained)
    values = {key: (there.get(key), here.get(key)) for key in there.keys() | here.keys()}
    return {key: (a, b) for key, (a, b) in values.items() if key.partition(".")[0] not in OWN and a != b}


def flat(config: Experiment) -> dict[str, Any]:
    """`section.key` → value, as deep as the configuration's own keys go."""
    return _flat(config.model_dump(mode="json"), "")


def _flat(values: dict[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return found


def _shown(value: Any) -> str:
    return (
        "–"
        if value is None
        else yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n").strip()
    )

"""docs/recipes.md, from the recipes; ci/pages.py writes it."""

import sys
from pathlib import Path
from typing import Any

import yaml
from questions import ROOT, constants_of

sys.path.insert(0, str(ROOT / "template/src"))

from comp.config.common import Training

HEAD = """\
<!-- Written by ci/pages.py from recipes/*.yaml: change those. -->
# Recipes

A recipe is a whole approach in one YAML file. Its values are the defaults of the prompts; the file itself, comments and
all, lands in `conf/recipes/`, where experiments inherit from it.

"""

TAIL = """\
## A recipe of your own

Ten lines are enough: what a recipe does not say has the default of the
reference of all keys ([those of images](../template/src/comp/vision/schema.py), [those of every
task](../template/src/comp/config/common.py)). Save them as `recipes/small-and-quick.yaml`:

```yaml
# A small network for a first look at any competition.
recipe:
  title: MobileNet, small and quick
  about: A pretrained MobileNetV4 at 128 px, three folds, five epochs.
  sources: ["MobileNetV4 (arXiv 2404.10518)"]
  backbones: [mobilenetv4_conv_small.e2400_r224_in1k]
task: classify
metric: accuracy
folds: {n: 3, kind: auto}
model: {backbone: mobilenetv4_conv_small.e2400_r224_in1k, image_size: 128}
train: {epochs: 5, lr: 1.0e-3, keep: last}
```

Add its name to `recipes:` in `parts/classify/task.yaml`, and a line to the table in [README.md](../README.md):

```
| `classify` | [`small-and-quick`](recipes/small-and-quick.yaml) | a pretrained MobileNetV4 at 128 px, three folds |
```

Then

```sh
python ci/backbones.py                        # parameters and memory of a backbone that is new here
python ci/pages.py                            # this page, and the questions of the other front door
python ci/variants.py quick small-and-quick   # generates it and tries it
```

What was measured with a recipe goes into its `measured:`, one line per figure, with the commands in
[results.md](results.md). For one competition alone, the same file works as `conf/small-and-quick.yaml` in its
repository, with a `name:` added.
"""


def recipes_page(root: Path = ROOT) -> str:
    """The page: a table by task, then a part for each recipe."""
    by_task: dict[str, list[str]] = constants_of(root)["recipes_of"]
    recipes = {name: _read(root, name) for names in by_task.values() for name in names}
    rows = [
        f"| `{task}` | [`{name}`](#{name}) | {recipes[name]['recipe']['title']} |"
        for task, names in by_task.items()
        for name in names
    ]
    table = "\n".join(["| task | recipe | approach |", "| --- | --- | --- |", *rows])
    return HEAD + table + "\n\n" + "\n".join(_part(name, recipe) for name, recipe in recipes.items()) + "\n" + TAIL


def _read(root: Path, name: str) -> dict[str, Any]:
    return yaml.safe_load((root / "recipes" / f"{name}.yaml").read_text(encoding="utf-8"))


def _part(name: str, values: dict[str, Any]) -> str:
    recipe = values["recipe"]
    lines = [
        f"## {name}",
        "",
        recipe["about"].strip(),
        "",
        f"The file: [recipes/{name}.yaml](../recipes/{name}.yaml)",
        "",
    ]
    if recipe.get("backbones"):
        lines += ["Backbones on offer: " + ", ".join(f"`{backbone}`" for backbone in recipe["backbones"]), ""]
    lines += ["Sources:", "", *(f"- {source}" for source in recipe["sources"]), ""]
    if measured := recipe.get("measured"):
        lines += ["Measured here ([commands](results.md)):", "", *(f"- {figure}" for figure in measured), ""]
    else:
        lines += ["Not measured here yet.", ""]
    for chosen in _chosen(values):
        lines += [f"Its validation score is optimistic, and flagged so: {chosen}.", ""]
    return "\n".join(lines)


def _chosen(values: dict[str, Any]) -> list[str]:
    """What chooses by the rows that are scored, in the recipe's own training or that of a member."""
    own = values.get("train", {})
    of_members = {f" (member {each['name']})": own | each.get("train", {}) for each in values.get("members", [])}
    trains = {"": own, **of_members}
    found = {where: Training.model_construct(**train).chooses_on_validated_rows for where, train in trains.items()}
    return [f"`{why}`{where}" for where, why in found.items() if why and (not where or why != found[""])]

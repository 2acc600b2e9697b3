"""docs/recipes.md: it lists every recipe, and what it tells to do works."""

import re
from pathlib import Path

import pytest
import yaml
from cookiecutter_json import cookiecutter_json
from copier import run_copy
from recipes_page import recipes_page
from rendering import APPROACHES, ROOT, answers, commit, recipe, resolved
from variants import Prompts, quick


def test_the_readme_lists_every_task_and_recipe():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\S+)` \| \[`(\S+)`\]\(recipes/\2\.yaml\) \|", readme, re.MULTILINE)
    assert listed == APPROACHES


@pytest.mark.parametrize("name", [name for _, name in APPROACHES])
def test_a_recipe_names_its_sources_and_what_was_measured_is_told_in_the_results(name):
    about = recipe(name)["recipe"]
    assert about["title"].strip()
    assert about["about"].strip()
    assert about["sources"]
    told = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    known = {round(float(figure), 3) for figure in re.findall(r"(?<!\d)0?\.\d{2,}", told)}
    figures = [float(figure) for line in about.get("measured", []) for figure in re.findall(r"\b0\.\d{3}", line)]
    assert bool(figures) == bool(about.get("measured"))
    assert set(figures) <= known


def test_the_recipe_in_the_documentation_works_as_it_is_told(own_template: Path, tmp_path: Path):
    page = recipes_page()
    name = re.search(r"Save them as `recipes/(\S+)\.yaml`", page).group(1)
    text = re.search(r"```yaml\n(.*?)```", page, re.DOTALL).group(1)
    (own_template / "recipes" / f"{name}.yaml").write_text(text, encoding="utf-8")
    about = own_template / re.search(r"Add its name to `recipes:` in `(\S+)`", page).group(1)
    before = about.read_text(encoding="utf-8")
    about.write_text(before.replace("classify-modern,", f"classify-modern, {name},"), encoding="utf-8")
    commit(own_template, "One more recipe", tag="v1.1.0")
    run_copy(str(own_template), tmp_path / "new", data={"recipe": name}, defaults=True, quiet=True)
    row = re.search(r"^\| `(\S+)` \| \[`(\S+)`\]\(recipes/\2\.yaml\) \|", page, re.MULTILINE)  # as README.md has them
    assert row.groups() == ("classify", name)
    values = yaml.safe_load(text)
    given = answers(tmp_path / "new")
    assert given["backbone"] == values["model"]["backbone"]
    assert (given["image_size"], given["folds"]) == (values["model"]["image_size"], values["folds"]["n"])
    [baseline] = resolved(tmp_path / "new", "conf/baseline.yaml").values()
    assert baseline["train"]["epochs"] == values["train"]["epochs"]
    (tmp_path / "new/conf/own.yaml").write_text(f"{text}name: own\n", encoding="utf-8")
    [own] = resolved(tmp_path / "new", "conf/own.yaml").values()
    assert own["model"]["image_size"] == values["model"]["image_size"]
    assert {"task": "classify", "recipe": name} in quick(Prompts.read(own_template))
    assert f"## {name}\n" in recipes_page(own_template)
    assert name in cookiecutter_json(own_template)


def test_a_recipe_whose_score_is_optimistic_says_so():
    parts = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## )", recipes_page(), re.DOTALL | re.MULTILINE))
    said = {name: re.findall(r"flagged so: (.*)\.\n", parts[name]) for _, name in APPROACHES}
    assert said["emoji-ensemble"] == ["`schedule=plateau`"]
    assert said["text-to-image"] == ["`keep=best, early_stop` (member later)"]
    assert said["classify-modern"] == said["emotion-modern"] == []

"""The prompts: what is asked, what is taken for granted, what is refused."""

from pathlib import Path

import pytest
import yaml
from copier import run_copy
from jinja2 import UndefinedError
from rendering import (
    APPROACHES,
    PARTS,
    PROMPTS,
    ROOT,
    SETTINGS,
    TASKS,
    TEMPLATE,
    answers,
    by_level,
    commit,
    copier,
    python,
    recipe,
    resolved,
)
from variants import Prompts

OF_IMAGES = {"backbone", "image_size"}


@pytest.mark.parametrize("task", PARTS)
def test_with_defaults_nothing_is_asked(abridged, tmp_path, task):
    done = copier("copy", "--defaults", "-d", f"task={task}", abridged, tmp_path / "new comp")
    assert done.returncode == 0, done.stderr
    assert (answers(tmp_path / "new comp")["task"], answers(tmp_path / "new comp")["title"]) == (task, "My Competition")
    told = done.stderr + done.stdout
    assert f"cd '{tmp_path / 'new comp'}' && " in told
    assert "comp demo-data && comp run conf/demo.yaml" in told
    assert "comp download    # my-competition" in told
    assert "\n    comp run\n" in told


def test_without_defaults_there_are_questions(abridged, tmp_path):
    assert copier("copy", abridged, tmp_path / "new").returncode != 0


@pytest.mark.parametrize("name", PROMPTS)
def test_every_prompt_has_help_a_default_and_a_limit(name):
    prompt = PROMPTS[name]
    assert prompt["help"].strip().endswith(("?", "."))
    assert "default" in prompt
    assert prompt.get("choices") or prompt.get("validator")


def test_nothing_ever_needs_trust():
    assert not {"_tasks", "_migrations", "_jinja_extensions"} & SETTINGS.keys()


@pytest.mark.parametrize("task", PARTS)
def test_what_people_answer_is_all_that_is_remembered(render_abridged, task):
    remembered = {name for name in answers(render_abridged(task=task)) if not name.startswith("_")}
    unasked = {"backbone_name"} | (set() if "vision" in PARTS[task] else OF_IMAGES)
    assert remembered == PROMPTS.keys() - unasked | {"first_task"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("title", "two\nlines"),
        ("title", "two\rlines"),
        ("title", "a bell \a"),
        ("title", "   "),
        ("slug", "My-Comp"),
        ("slug", "my comp"),
        ("slug", "my--comp"),
        ("slug", "-comp"),
        ("slug", "comp\n"),
        ("slug", ""),
        ("task", "knitting"),
        ("recipe", "no-such-recipe"),
        ("backbone", "two words"),
        ("image_size", 0),
        ("image_size", 15),
        ("image_size", 2049),
        ("image_size", "large"),
        ("folds", 0),
        ("folds", 51),
        ("folds", "five"),
        ("metric", "luck"),
        ("compute", "abacus"),
        ("tracker", "notebook"),
    ],
)
def test_a_bad_answer_is_refused(abridged, tmp_path, name, value):
    with pytest.raises(ValueError, match=rf"{name}|int\(\)|Invalid choice"):
        run_copy(str(abridged), tmp_path / "new", data={name: value}, defaults=True, quiet=True)
    assert not (tmp_path / "new" / "pyproject.toml").exists()


@pytest.mark.parametrize("task", PARTS)
def test_a_metric_of_another_task_is_refused(abridged, tmp_path, task):
    others = {metric for about in TASKS.values() for metric in about["metrics"]} - set(TASKS[task]["metrics"])
    metric = min(others)
    with pytest.raises(ValueError, match=r"metric|Invalid choice"):
        run_copy(str(abridged), tmp_path / "new", data={"task": task, "metric": metric}, defaults=True, quiet=True)


@pytest.mark.parametrize("name", ["", "two words", "resnet50:", "resnet50 # comment", "{resnet50}", "resnet50\n", "é"])
def test_a_name_that_no_backbone_can_have_is_refused(abridged, tmp_path, name):
    data = {"backbone": "other", "backbone_name": name}
    with pytest.raises(ValueError, match="backbone_name"):
        run_copy(str(abridged), tmp_path / "new", data=data, defaults=True, quiet=True)


@pytest.mark.parametrize("name", ["resnet18.a1_in1k", "hf-hub:timm/vit_small_patch14_dinov2.lvd142m", "no", "1e3"])
def test_any_other_name_of_timm_works(render_abridged, name):
    for data in ({"backbone": "other", "backbone_name": name}, {"backbone": name}):
        [baseline] = resolved(render_abridged(**data), "conf/baseline.yaml").values()
        assert baseline["model"]["backbone"] == name


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Petals to the Metal", "petals-to-the-metal"),
        ("  MNIST -- 2026!  ", "mnist-2026"),
        ("Die schönsten Äpfel", "die-schonsten-apfel"),
        ("Ünïcødé, Straße, Œuvre, Łódź, Æ", "unicode-strasse-oeuvre-lodz-ae"),
        ("手書き数字", "competition"),
        ("x" * 400, "x" * 60),  # a folder's name
        ("", "my-competition"),
    ],
)
def test_a_title_makes_a_slug(render_abridged, title, slug):
    assert answers(render_abridged(title=title))["slug"] == slug


def test_the_tasks_on_offer_are_those_that_have_a_folder_and_an_entry():
    folders = {path.parent.name for path in (ROOT / "parts").glob("*/task.yaml")}
    entries = {
        path.stem for path in (TEMPLATE / "src/comp/tasks").glob("*.py") if path.stem not in ("__init__", "usual")
    }
    shared = {folder for folders in PARTS.values() for folder in folders} - PARTS.keys()
    assert set(Prompts.read().choices("task", {})) == PARTS.keys() == folders - shared == entries - shared


def test_every_choice_that_is_a_name_says_what_it_is():
    prompts = Prompts.read()
    given = {"task": "classify", "recipe": "emoji-ensemble"}
    labels = prompts.rendered(prompts.questions["recipe"]["choices"], given)
    assert labels["emoji-ensemble: An ensemble of five backbones, stacked, with pseudo-labels"] == "emoji-ensemble"
    labels = prompts.rendered(prompts.questions["backbone"]["choices"], given)
    assert labels["efficientnet_b0.ra_in1k (4 M parameters, about 2 GB of memory)"] == "efficientnet_b0.ra_in1k"


def test_what_the_prompt_says_of_a_backbone_is_what_timm_builds():
    from backbones import offered, parameters_m  # takes seconds

    known = yaml.safe_load((ROOT / "parts/vision/backbones.yaml").read_text(encoding="utf-8"))
    assert {name: size["parameters_m"] for name, size in known.items()} == {
        name: parameters_m(name) for name in offered()
    }, "a recipe has changed: run python ci/backbones.py"


@pytest.mark.parametrize("task", by_level(PARTS, ["classify", "align"]))  # the others read images too
def test_the_metrics_on_offer_are_those_that_the_task_registers(render, task):
    code = (
        "from importlib import import_module; from comp.registry import _parts; from comp.tasks import registering\n"
        "for module in registering('metric'): import_module(module)\n"
        "print(*_parts['metric'])"
    )
    registered = python(render(task=task), code).split()
    assert sorted(registered) == sorted(TASKS[task]["metrics"] + TASKS[task].get("only_reported", []))


@pytest.mark.parametrize(("task", "name"), APPROACHES)
def test_a_recipe_gives_the_defaults_of_the_prompts(render_abridged, task, name):
    values, given = recipe(name), answers(render_abridged(task=task, recipe=name))
    assert values["task"] == given["task"] == task
    assert given["recipe"] == name
    if "vision" in PARTS[task]:
        assert given["backbone"] == values["model"]["backbone"] == values["recipe"]["backbones"][0]
        assert given["image_size"] == values["model"]["image_size"]
    assert given["folds"] == (1 if values["folds"]["kind"] == "holdout" else values["folds"]["n"])
    assert given["metric"] == values["metric"]


@pytest.mark.parametrize("name", [name for _, name in APPROACHES])
def test_timm_has_every_backbone_that_a_recipe_offers(name):
    """Or it is a CLIP model of the hub, which the template knows by name."""
    known = (ROOT / "template/src/comp/clip/model/known.py").read_text(encoding="utf-8")
    import timm  # takes seconds

    offered = set(recipe(name)["recipe"].get("backbones", []))
    assert {each for each in offered if f'"{each}": ' not in known} <= set(timm.list_pretrained())


def test_the_recipes_on_offer_are_the_files_there_are():
    assert sorted(name for _, name in APPROACHES) == sorted(path.stem for path in (ROOT / "recipes").iterdir())


def test_a_new_recipe_is_a_new_file_and_its_name(own_template, tmp_path):
    text = (own_template / "recipes/classify-modern.yaml").read_text(encoding="utf-8")
    (own_template / "recipes/mine.yaml").write_text(text.replace("image_size: 224", "image_size: 96"), encoding="utf-8")
    about = own_template / "parts/classify/task.yaml"
    before = about.read_text(encoding="utf-8")
    about.write_text(before.replace("recipes: [", "recipes: [mine, "), encoding="utf-8")
    commit(own_template, "One more recipe", tag="v1.1.0")
    run_copy(str(own_template), tmp_path / "new", defaults=True, quiet=True)
    assert answers(tmp_path / "new")["image_size"] == 96
    assert (tmp_path / "new/conf/recipes/mine.yaml").is_file()


def test_a_name_that_a_file_forgot_to_define_stops_the_copy(own_template, tmp_path):
    readme: Path = own_template / "template/README.md.jinja"
    readme.write_text(readme.read_text(encoding="utf-8") + "{{ no_such_answer }}\n", encoding="utf-8")
    commit(own_template, "A slip", tag="v1.1.0")
    with pytest.raises(UndefinedError, match="no_such_answer"):
        run_copy(str(own_template), tmp_path / "new", defaults=True, quiet=True)

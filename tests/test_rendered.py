"""What a render holds, for tasks, recipes and answers that meet each other in pairs."""

import ast
import json
import re
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from checks import jinja_left_over, misdeclared, named, project
from copier import run_copy
from rendering import (
    APPROACHES,
    FIRST_OF_EACH,
    FIRST_TASK,
    PARTS,
    RECIPES,
    ROOT,
    SETTINGS,
    TASKS,
    TEMPLATE,
    answers,
    by_level,
    commit,
    files_in,
    git,
    recipe,
    resolved,
)
from variants import NASTY, Prompts, Trial, pairs, quick

PROMPTS = Prompts.read()


def variants() -> Iterator[dict[str, Any]]:
    """Every recipe with the defaults, and each task for each place to train with answers that are not the defaults."""
    yield from quick(PROMPTS)
    answered = pairs(PROMPTS)
    for task, (turn, compute) in product(PARTS, enumerate(PROMPTS.choices("compute", {}))):
        fitting = [given for given in answered if (given["task"], given["compute"]) == (task, compute)]
        yield fitting[turn % len(fitting)]


def by_name(variants: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {Trial(given, Path()).name: given for given in variants}


WITH_THE_DEFAULTS, VARIANTS = by_name(quick(PROMPTS)), by_name(variants())
DAILY = [*WITH_THE_DEFAULTS.values(), *(given for given in VARIANTS.values() if given["task"] == FIRST_TASK)]
WHOLE = [{"task": task, "recipe": name} for task, name in FIRST_OF_EACH]


@pytest.fixture(params=by_level(VARIANTS.values(), DAILY), ids=VARIANTS.keys())
def repo(request: pytest.FixtureRequest, render: Any, render_abridged: Any) -> Path:
    """A variant; but for one of each task without the code of tasks, which no answer changes."""
    return (render if request.param in WHOLE else render_abridged)(**request.param)


@pytest.fixture(params=by_level(WITH_THE_DEFAULTS.values(), WHOLE), ids=WITH_THE_DEFAULTS.keys())
def whole_repo(request: pytest.FixtureRequest, render: Any) -> Path:
    return render(**request.param)


def test_files_without_a_jinja_suffix_arrive_byte_for_byte(template, repo):
    for path in files_in(repo):
        source = template / "template" / path.relative_to(repo)
        if source.exists() and not source.with_name(f"{source.name}.jinja").exists():  # which says whose it is
            assert path.read_bytes() == source.read_bytes()


def test_no_jinja_is_left_over(template, repo):
    given = [NASTY, json.dumps(NASTY, ensure_ascii=False)[1:-1], NASTY.replace("'", "''")]
    assert not jinja_left_over(repo, template / "template", given)


def test_no_line_shows_where_a_condition_stood(repo):
    for path in files_in(repo):
        text = path.read_text(encoding="utf-8")
        assert text.endswith("\n") or not text, f"{path} has no last line end"
        assert not text.endswith("\n\n"), f"{path} ends with empty lines"
        assert not re.search(r"[ \t]$", text, re.MULTILINE), f"{path} has blanks at the end of a line"
        assert "\r" not in text, f"{path} has line ends of Windows"
        assert path.suffix == ".py" or "\n\n\n" not in text, f"{path} has a gap"


def test_every_configuration_loads_and_the_baseline_says_what_was_answered(repo, request):
    names = [path.relative_to(repo).as_posix() for path in repo.glob("conf/**/*.yaml") if path.parent.name != "launch"]
    loaded, given = resolved(repo, *names), {**answers(repo), **request.node.callspec.params["repo"]}
    baseline = loaded["conf/baseline.yaml"]
    assert baseline["task"] == given["task"]
    assert baseline["metric"] == given["metric"]
    if "backbone" in given:
        named = given["backbone_name"] if given["backbone"] == "other" else given["backbone"]
        assert baseline["model"]["backbone"] == named
        assert baseline["model"]["image_size"] == given["image_size"]
    assert baseline["tracker"] == given["tracker"]
    folds = baseline["folds"]
    assert given["folds"] == (1 if folds["kind"] == "holdout" else folds["n"])


def test_the_baseline_holds_the_answers_and_what_they_change(repo):
    written = yaml.safe_load((repo / "conf/baseline.yaml").read_text(encoding="utf-8"))
    stated = {name for name in ("task", "metric", "folds", "tracker") if written.pop(name)}
    assert len(stated) == 4
    if "vision" in PARTS[answers(repo)["task"]]:
        assert written.pop("model").keys() == {"backbone", "image_size"}
    assert written.pop("base") == f"recipes/{answers(repo)['recipe']}.yaml"
    assert written.pop("name") == "baseline"
    assert written.pop("kaggle") == {"competition": answers(repo)["slug"]}
    inherited = recipe(answers(repo)["recipe"])
    for section, values in written.items():
        before = inherited.get(section)
        if isinstance(values, dict):
            assert not values.items() & (before or {}).items()
        else:
            assert values != before


@pytest.mark.parametrize(("task", "name"), APPROACHES)
def test_with_the_defaults_the_baseline_changes_nothing(render, tmp_path, task, name):
    made, bare = render(task=task, recipe=name), tmp_path / "bare.yaml"
    base = json.dumps((made / f"conf/recipes/{name}.yaml").as_posix())
    bare.write_text(f"base: {base}\nname: baseline\n", encoding="utf-8")
    baseline, recipes_own = resolved(made, "conf/baseline.yaml", str(bare)).values()
    assert baseline.pop("kaggle")["competition"] == answers(made)["slug"]
    recipes_own.pop("kaggle")
    assert baseline == recipes_own


def test_all_recipes_of_the_task_come_along_comments_and_all(repo):
    made = {path.stem: path.read_bytes() for path in (repo / "conf/recipes").iterdir()}
    assert made == {name: (ROOT / "recipes" / f"{name}.yaml").read_bytes() for name in RECIPES[answers(repo)["task"]]}
    assert all(text.startswith(b"#") for text in made.values())


def test_the_project_file_declares_the_tracker_that_was_chosen_and_no_other(repo):
    made, given = project(repo), answers(repo)
    assert named(made["dependencies"]) & {"tensorboard", "wandb", "trackio"} == {given["tracker"]} - {"none"}
    assert made["name"] == given["slug"]


def test_what_is_imported_is_declared_and_what_is_declared_is_imported(whole_repo):
    assert not misdeclared(whole_repo)


def test_the_package_carries_its_data_files_and_the_command(render, tmp_path):
    repo = tmp_path / "repo"
    for path in files_in(render()):
        (repo / path.relative_to(render())).parent.mkdir(parents=True, exist_ok=True)
        (repo / path.relative_to(render())).write_bytes(path.read_bytes())
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        tmp_path,
        repo,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        inside = set(wheel.namelist())
        entry_points = next(name for name in inside if name.endswith("entry_points.txt"))
        assert "comp = comp.cli:main" in wheel.read(entry_points).decode()
    assert {
        path.relative_to(repo / "src").as_posix() for path in files_in(repo / "src") if "comp/" in str(path)
    } <= inside


def test_a_title_survives_in_every_file_that_quotes_it(render):
    repo = render(title=NASTY)
    assert project(repo)["description"] == NASTY
    assert answers(repo)["title"] == NASTY
    assert (repo / "README.md").read_text(encoding="utf-8").splitlines()[0] == f"# {NASTY}"


def test_what_is_the_users_is_there_in_every_variant(repo):
    for name in SETTINGS["_skip_if_exists"]:
        assert "{" not in name
        assert list(repo.glob(name)) or name in {"notebooks", "tests/mine"}  # the template puts nothing there


@pytest.mark.parametrize(("name", "kind"), [("multi-node", "MULTI_GPU"), ("multi-node-fsdp", "FSDP")])
def test_several_machines_have_a_launcher_file(repo, name, kind):
    if kind == "FSDP" and "vision" not in PARTS[answers(repo)["task"]]:  # other models are small
        assert not (repo / f"conf/launch/{name}.yaml").exists()
        return
    settings = yaml.safe_load((repo / f"conf/launch/{name}.yaml").read_text(encoding="utf-8"))
    assert settings["num_machines"] > 1
    assert settings["distributed_type"] == kind


def test_file_names_suit_windows(repo):
    reserved = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
    names = [path.relative_to(repo) for path in files_in(repo)]
    for part in {part for name in names for part in name.parts}:
        assert not re.search(r'[<>:"|?*\\\x00-\x1f]|[. ]$', part)
        assert part.partition(".")[0].lower() not in reserved
    assert len({str(name).lower() for name in names}) == len(names)


def test_only_scripts_are_executable(repo):
    for path in files_in(repo):
        assert bool(path.stat().st_mode & 0o111) == path.read_bytes().startswith(b"#!"), path


def test_git_ignores_what_a_run_leaves_and_nothing_that_was_generated(render, template, tmp_path):
    repo = tmp_path / "repo"
    run_copy(str(template), repo, defaults=True, quiet=True)
    for leftover in ("data/train.csv", "runs/demo/oof.parquet", "submissions/demo.csv", "src/x.egg-info/PKG-INFO"):
        (repo / leftover).parent.mkdir(parents=True, exist_ok=True)
        (repo / leftover).write_text("x", encoding="utf-8")
    commit(repo, "All there is")
    committed = set(git(repo, "ls-files").splitlines())
    assert committed == {path.relative_to(render()).as_posix() for path in files_in(render())}


def test_no_two_modules_of_tests_have_one_name():
    """pytest imports them by that name alone, and takes the second for the first."""
    names = Counter(path.name for path in files_in(TEMPLATE / "tests") if path.name.startswith("test_"))
    assert [name for name, count in names.items() if count > 1] == []


def test_python_in_the_template_holds_no_jinja():
    for path in files_in(TEMPLATE):
        if path.name.endswith(".py.jinja"):  # chooses between two files, and has not a line of its own
            assert re.fullmatch(r"\{% include [^%]+ %\}", path.read_text(encoding="utf-8")), path
        if path.suffix == ".py":
            assert not re.search(r"\{\{[^{}]*\}\}|\{%", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("task", PARTS)
def test_a_task_gets_its_own_folders_and_what_is_shared(render, task):
    everything = {folder for folders in PARTS.values() for folder in folders}
    for name in ("src/comp", "tests"):
        there = {path.relative_to(TEMPLATE / name).parts[0] for path in files_in(TEMPLATE / name)} - {"custom.py.jinja"}
        made = {path.relative_to(render(task=task) / name).parts[0] for path in files_in(render(task=task) / name)}
        assert made == there - (everything - set(PARTS[task]))
    entries = {path.stem for path in (render(task=task) / "src/comp/tasks").glob("*.py")} - {"__init__", "usual"}
    assert task in entries <= {task, *PARTS[task]}


@pytest.mark.parametrize("task", PARTS)
def test_a_repository_has_no_module_that_nothing_imports_and_imports_none_that_it_lacks(render, task):
    source = render(task=task) / "src"
    known = {module_called(source, path): path for path in files_in(source) if path.suffix == ".py"}
    used: set[str] = set()
    left = {"comp.__main__", "comp.custom", f"comp.tasks.{task}"}
    while left:
        used |= left
        left = {name for module in left for name in names_in(known[module], known)} - used
    packages = {module for module, path in known.items() if path.name == "__init__.py"}
    assert known.keys() - used - packages == set()


def module_called(source: Path, path: Path) -> str:
    return ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")


def names_in(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules of the repository that a module imports, and those that its records name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | ({f"{node.module}.{alias.name}" for alias in node.names} & known.keys())
        elif isinstance(node, ast.Constant) and re.fullmatch(r"comp(\.\w+)+(:\w+)?", str(node.value)):
            found.add(node.value.partition(":")[0])
    return {name for name in found if name.partition(".")[0] == "comp"}


@pytest.mark.parametrize("task", PARTS)
def test_a_task_declares_no_library_of_another(render, task):
    others = {need for about in TASKS.values() for need in about["dependencies"]} - set(TASKS[task]["dependencies"])
    assert not set(project(render(task=task))["dependencies"]) & others


@pytest.mark.parametrize("task", PARTS)
def test_the_file_of_the_users_own_parts_shows_each_kind_that_the_task_takes(render, task):
    text = (render(task=task) / "src/comp/custom.py").read_text(encoding="utf-8")
    assert text.startswith('"""Yours: ')
    called = {"reader": "dataset reader", "augment": "augmentation", "postprocess": "post-processing"}
    shown = {called.get(kind, kind) for kind in re.findall(r'^@register\("(\w+)"', text, re.MULTILINE)}
    assert shown == set(re.split(", | or ", TASKS[task]["custom"]))


def test_no_page_of_the_generator_asks_for_a_task_by_name():
    """Otherwise a third task would get the text of one of them."""
    asks = re.compile(rf"""task['"\]]* *[!=]= *['"]({"|".join(PARTS)})['"]""")
    for folder in (ROOT / "ci", ROOT / "parts", ROOT / "template"):
        pages = [path for path in files_in(folder) if path.suffix in {".py", ".md", ".yaml", ".jinja", ""}]
        found = [path for path in pages if asks.search(path.read_text(encoding="utf-8"))]
        assert not found
    assert not asks.search((ROOT / "copier.yml").read_text(encoding="utf-8"))

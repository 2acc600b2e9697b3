"""Which variants are tried, and that each check finds what it is there for."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import combinations, product
from pathlib import Path

import pytest
import variants
import yaml
from checks import files_in, jinja_left_over, misdeclared, unlike_the_sample, untidy
from rendering import PARTS, ROOT, TEMPLATE
from variants import VALUES, Prompts, Trial, Wrong, own_tests, pairs, quick, uncovered

ONCE = "{{ first_task is undefined }}"  # asked of everybody, when the repository is made


@pytest.fixture
def prompts() -> Prompts:
    return Prompts.read()


def test_no_choice_goes_untried(prompts):
    assert not uncovered(prompts, quick(prompts) + pairs(prompts))


@pytest.mark.parametrize(
    ("name", "value"), [("metric", "log_loss"), ("tracker", "wandb"), ("recipe", "emoji-ensemble")]
)
def test_a_choice_that_no_variant_makes_is_named(prompts, name, value):
    made = [given for given in quick(prompts) + pairs(prompts) if given.get(name) != value]
    missing = uncovered(prompts, made)
    assert any(fault.startswith(f"{name}={value}") for fault in missing)


def test_the_chosen_backbone_of_each_recipe_counts_for_that_recipe_alone(prompts):
    made = [g for g in pairs(prompts) if not (g["recipe"] == "classify-modern" and g.get("backbone") == "other")]
    missing = [fault for fault in uncovered(prompts, made) if not fault.startswith("metric=")]  # some go with them
    assert missing == ["backbone=other for classify, classify-modern"]


def test_any_two_answers_meet(prompts):
    made = pairs(prompts)
    free = {}
    for name in set(prompts.asked) - {"task", "recipe"}:
        question = prompts.questions[name]
        if question.get("when", ONCE) == ONCE and not isinstance(question.get("choices"), str):
            free[name] = prompts.choices(name, {}) or VALUES[name]
    assert len(free) > 3
    for one, other in combinations(free, 2):
        for left, right in product(free[one], free[other]):
            assert any(given.get(one) == left and given.get(other) == right for given in made), (
                one,
                left,
                other,
                right,
            )


def test_a_new_task_and_its_recipe_join_by_being_there(prompts):
    prompts.questions["task"]["choices"]["Knitting"] = "knit"
    for table in prompts.constants.values():  # by task
        if isinstance(table, dict) and "classify" in table:
            table["knit"] = table["classify"]
    prompts.constants["recipes_of"]["knit"] = ["classify-modern"]
    assert {"task": "knit", "recipe": "classify-modern"} in quick(prompts)
    made = pairs(prompts)
    assert not uncovered(prompts, quick(prompts) + made)
    metrics = prompts.choices("metric", {"task": "knit"})
    assert {given["metric"] for given in made if given["task"] == "knit"} == set(metrics)


def test_a_new_choice_joins_by_being_there(prompts):
    prompts.questions["compute"]["choices"]["On a TPU"] = "tpu"
    assert any(given["compute"] == "tpu" for given in pairs(prompts))


def test_a_new_prompt_without_choices_needs_values(prompts):
    prompts.questions["team"] = {"type": "str", "help": "?", "default": ""}
    with pytest.raises(SystemExit, match="the prompt team has no choices"):
        pairs(prompts)


# ------------------------------------------------------------------ faults, planted


@pytest.fixture
def repo(render, tmp_path: Path) -> Path:
    """A repository to spoil."""
    shutil.copytree(render(), tmp_path / "repo")
    return tmp_path / "repo"


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_an_untouched_repository_has_no_fault(repo):
    assert not jinja_left_over(repo, TEMPLATE, []) + untidy(repo) + misdeclared(repo)


def rename_a_file(repo: Path) -> None:
    (repo / "conf/baseline.yaml").rename(repo / "conf/{{ name }}.yaml")


@pytest.mark.parametrize(
    ("spoil", "check", "fault"),
    [
        (lambda repo: append(repo / "README.md", "{{ slug }}\n"), jinja_left_over, "README.md: {{ slug }}"),
        (lambda repo: append(repo / "pyproject.toml", "# {% endif %}\n"), jinja_left_over, "{% endif %}"),
        (rename_a_file, jinja_left_over, "conf/{{ name }}.yaml"),
        (
            lambda repo: append(repo / "src/comp/files/__init__.py", "x = {'a':1}\n"),
            untidy,
            "src/comp/files/__init__.py",
        ),
        (lambda repo: append(repo / "src/comp/files/__init__.py", "\n\nimport re\n"), untidy, "F401"),
        (
            lambda repo: append(repo / "src/comp/files/__init__.py", "import polars\n"),
            misdeclared,
            "imported, not declared: polars",
        ),
        (lambda repo: append(repo / "tests/conftest.py", "import nox\n"), misdeclared, "tests, not declared: nox"),
    ],
)
def test_a_fault_is_found(repo, spoil, check, fault):
    spoil(repo)
    assert any(fault in line for line in (check(repo, TEMPLATE, []) if check is jinja_left_over else check(repo)))


def test_a_dependency_that_nothing_imports_is_found(repo):
    path = repo / "pyproject.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('"tqdm>', '"flask>=3",\n    "tqdm>'), encoding="utf-8")
    assert misdeclared(repo) == ["declared, not imported: flask"]


SAMPLE = "id,label\n007,a\n008,a\n"


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("id,label\n007,b\n008,a\n", 0),
        ("id,target\n007,b\n008,a\n", 1),
        ("id,label\n7,b\n8,a\n", 1),
        ("id,label\n008,b\n007,a\n", 1),
        ("id,label\n007,b\n", 1),
        ("id,label\n007,\n008,a\n", 1),
    ],
)
def test_a_submission_is_compared_with_the_sample(tmp_path, text, faults):
    for name, content in (("ours.csv", text), ("sample.csv", SAMPLE)):
        (tmp_path / name).write_text(content, encoding="utf-8")
    assert len(unlike_the_sample(tmp_path / "ours.csv", tmp_path / "sample.csv")) == faults


@pytest.mark.parametrize("failing", ["classify/classify-modern", "clip/clip-modern"])
def test_what_takes_all_cores_comes_first_and_what_failed_is_tried_no_further(monkeypatch, capsys, failing):
    tried: list[tuple[str, str]] = []

    def render(trial: Trial) -> None:
        (trial.repo / "tests").mkdir(parents=True)
        (trial.repo / "src").mkdir()
        (trial.repo / "src/code.py").write_text(trial.name, encoding="utf-8")

    def step(name: str, trial: Trial) -> None:
        tried.append((name, trial.name))
        if (name, trial.name) == ("tests", failing):
            raise Wrong("it fails")

    monkeypatch.setattr(variants, "STEPS", {"render": render, "tests": partial(step, "tests")})
    monkeypatch.setattr(variants, "SMOKE", {"smoke": partial(step, "smoke")})
    assert variants.main(["quick"]) == 1
    names = [name for what, name in tried if what == "tests"]
    assert names[:2] == ["classify/classify-modern", "align/align-modern"]
    assert len({*names}) == len(names) > len(PARTS)
    assert sorted(name for what, name in tried if what == "smoke") == sorted(name for name in names if name != failing)
    lines = capsys.readouterr().out.splitlines()
    assert {name: f"no   {name}" if name == failing else f"yes  {name}" for name in names} == {
        name: next(line for line in reversed(lines) if line.endswith(f"  {name}"))[-len(name) - 5 :] for name in names
    }


def test_demo_data_is_made_once_and_what_a_run_adds_stays_out_of_the_copy(render, tmp_path):
    trials: list[Trial] = []
    for name in ("one", "other"):
        trials.append(Trial({"task": "align", "recipe": "align-modern"}, tmp_path / name))
        shutil.copytree(render(task="align"), trials[-1].repo)
    one, other = trials
    demo = yaml.safe_load((one.repo / "conf/demo.yaml").read_text(encoding="utf-8"))
    one.demo_data(demo)
    made = files_of(one.repo / "data/demo")
    (one.repo / "data/demo/folds.csv").write_text("x", encoding="utf-8")
    shutil.rmtree(other.repo / "src")
    other.demo_data(demo)  # runs nothing
    assert files_of(other.repo / "data/demo") == made
    append(other.repo / "conf" / demo["base"], "data: {train: elsewhere}\n")
    with pytest.raises(Wrong, match="comp demo-data"):
        other.demo_data(demo)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files_in(folder)}


def test_in_short_every_model_trains_for_one_epoch(tmp_path):
    demo = {
        "members": [{"name": "a", "train": {"epochs": 8, "lr": 0.1}}, {"name": "b"}],
        "pseudo": {"rounds": 2, "train": {"epochs": 9}},
    }
    first = Trial({"task": "clip", "recipe": "clip-modern"}, tmp_path, is_first=True).in_short(demo)
    assert first == [
        "pseudo.train.epochs=1",
        'members=[{"name": "a", "train": {"epochs": 1, "lr": 0.1}}, {"name": "b", "train": {"epochs": 1}}]',
        "train.processes=2",
    ]
    assert Trial({"task": "align", "recipe": "align-modern"}, tmp_path).in_short({}) == ["baselines=[mean]"]


def test_a_step_that_fails_says_which_command_and_why(render, tmp_path):
    trial = Trial({"task": "classify", "recipe": "classify-modern"}, tmp_path)
    shutil.copytree(render(), trial.repo)
    with pytest.raises(Wrong, match=r"(?s)comp run conf/nothing.yaml\n.*error: conf/nothing.yaml"):
        trial.run("comp", "run", "conf/nothing.yaml")


def test_what_runs_leave_is_no_part_of_a_repository_and_code_of_that_name_is(repo):
    for leftover in ("data/train.csv", "runs/demo/config.yaml", "src/comp.egg-info/PKG-INFO", "src/__pycache__/x.pyc"):
        (repo / leftover).parent.mkdir(parents=True)
        (repo / leftover).write_text("x", encoding="utf-8")
    names = {path.relative_to(repo).as_posix() for path in files_in(repo)}
    assert {"src/comp/runs/rundir.py", "src/comp/vision/data/read.py"} <= names
    assert not [name for name in names if name.startswith(("data/", "runs/")) or name.endswith(("PKG-INFO", ".pyc"))]


def test_a_step_is_skipped_only_if_nothing_that_it_reads_changed(render, tmp_path):
    trials: list[Trial] = []
    for number, answers in enumerate([{}, {"metric": "log_loss"}]):
        trials.append(Trial({"task": "classify", "recipe": "classify-modern"}, tmp_path / str(number), release=True))
        shutil.copytree(render(**answers), trials[-1].repo)
    one, other = trials
    same: Callable[[str], bool] = lambda step: one.key(step) == other.key(step)  # noqa: E731
    assert same("types")
    assert same("tests")
    assert not same("smoke")
    append(other.repo / "src/comp/files/__init__.py", "# Mine.\n")
    assert not same("types")
    assert not same("tests")


def test_tests_of_a_house_that_passed_as_another_tasks_are_those_of_its_own_part(render, tmp_path):
    trials: list[Trial] = []
    for number, (task, recipe) in enumerate([("classify", "classify-modern"), ("emotion", "emotion-modern")]):
        trials.append(Trial({"task": task, "recipe": recipe}, tmp_path / str(number)))
        shutil.copytree(render(task=task, recipe=recipe), trials[-1].repo)
    one, other = trials
    assert one.house() == other.house()
    wanted = own_tests(other, house_passed=True)
    assert wanted[0] == "tests/emotion"
    assert {"tests/test_cli.py", "tests/vision/test_recipes.py"} <= set(wanted)
    assert "tests/vision/test_pipeline.py" in {*own_tests(replace(other, release=True), house_passed=True)} - {*wanted}
    assert not [name for name in wanted if name.startswith(("tests/vision/training", "tests/config"))]
    append(other.repo / "src/comp/emotion/demo.py", "# Mine.\n")
    assert one.house() == other.house()
    append(other.repo / "src/comp/vision/batches.py", "# Mine.\n")
    assert one.house() != other.house()


def test_tests_of_what_no_task_owns_run_again_only_if_they_take_the_tasks_own_data(render, tmp_path):
    trials: list[Trial] = []
    for number, (task, recipe) in enumerate([("classify", "classify-modern"), ("align", "align-modern")]):
        trials.append(Trial({"task": task, "recipe": recipe}, tmp_path / str(number)))
        shutil.copytree(render(task=task, recipe=recipe), trials[-1].repo)
    one, other = trials
    assert one.house() != other.house()
    assert one.ground() == other.ground()
    wanted = own_tests(other, house_passed=False)
    assert wanted[0] == "tests/align"
    assert {"tests/test_cli.py", "tests/files/test_lock.py", "tests/distributed/test_launch.py"} <= set(wanted)
    assert not {"tests/runs/test_paired.py", "tests/files/test_archives.py"} & set(wanted)
    assert "align" in wanted[-1].split(" or ")  # and what stands beside those waits for a release
    assert "-k" not in own_tests(replace(other, release=True), house_passed=False)
    append(other.repo / "src/comp/folds.py", "# Mine.\n")
    assert one.ground() != other.ground()


def test_make_test_tries_each_task_and_recipe():
    assert "level=${1:-quick}\n" in (ROOT / "ci/test").read_text(encoding="utf-8")
    assert "\tci/test all\n" in (ROOT / "Makefile").read_text(encoding="utf-8")

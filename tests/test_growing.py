"""What it takes to add a task, or a command: the files that stand here, and not a line elsewhere."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from checks import jinja_left_over, untidy
from copier import run_copy
from rendering import FIRST_TASK, PARTS, answers, by_level, commit, comp, files_in, git
from variants import Prompts, quick

TOY = {  # a whole task: its pieces of pages, a recipe, its entry, its code, its tests
    "parts/toy/task.yaml": """\
label: A game of chance
demo: Dice
recipes: [toy-dice]
metrics: [luck]
schema: src/comp/toy/schema.py
folds: auto
custom: metric
dependencies: [polars>=1]
extras: {}
dev: []
""",
    "parts/toy/demo.yaml": "# Yours.\nbase: recipes/toy-dice.yaml\nname: demo\nrounds: 2\n",
    "parts/toy/experiment.yaml": "rounds: 5\n",
    "parts/toy/guide.md": "**Dice** have six sides.\n",
    "parts/toy/compute.md": "",
    "recipes/toy-dice.yaml": """\
# Throw and hope.
recipe: {title: Dice, about: Throw and hope., sources: [Everybody]}
task: toy
metric: luck
folds: {n: 3, kind: auto}
rounds: 4
steps: [play]
""",
    "template/src/comp/tasks/toy.py": '''\
"""A game of chance."""

from comp.tasks import Command, Task

COMMANDS = {"play": Command("comp.toy.play:play", "throw the dice", flags={"twice": "throw them twice"})}
TASK = Task("comp.toy.schema:ToyConfig", COMMANDS, {"metric": ("comp.toy.play",)})
''',
    "template/src/comp/toy/__init__.py": '"""Dice."""\n',
    "template/src/comp/toy/schema.py": '''\
"""Every key of a game."""

from typing import Literal

from comp.config.common import Experiment


class ToyConfig(Experiment):
    task: Literal["toy"] = "toy"
    metric: str = "luck"
    rounds: int = 1
''',
    "template/src/comp/toy/play.py": '''\
"""`comp play`."""

from comp.registry import register
from comp.toy.schema import ToyConfig


@register("metric", "luck")
def luck() -> float:
    """The same for everybody."""
    return 0.5


def play(config: ToyConfig, twice: bool = False) -> int:
    """Returns 3, the exit status of a lost game."""
    print(f"lost {config.rounds * (1 + twice)} rounds")
    return 3
''',
    "template/src/comp/toy/custom.py": '"""Yours: `comp update` never touches this file."""\n',
    "template/tests/toy/test_play.py": """\
from comp.toy.play import luck


def test_luck_is_the_same_for_everybody():
    assert luck() == 0.5
""",
}
LOST = '''\
"""`comp lose`."""

from comp.config import Experiment


def lose(config: Experiment) -> int:
    """Returns 3."""
    print(f"{config.name} lost")
    return 3
'''
PAGES = """
from pages import pages
for path, text in pages().items():
    path.write_text(text, encoding="utf-8")
"""  # what ci/pages.py does, but for the page of layouts, which follows from neither
RECORD = '    "lose": Command("comp.{folder}.lose:lose", "lose on purpose"),\n'


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def insert(path: Path, before: str, line: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1
    path.write_text(text.replace(before, before + line), encoding="utf-8")


def grown(template: Path, folder: Path, change: Callable[[Path], None]) -> Path:
    """The changed template, once the files that follow from others are written."""
    git(folder, "clone", "--quiet", str(template), "own")
    change(folder / "own")
    subprocess.run([sys.executable, "-c", PAGES], cwd=folder / "own/ci", check=True)
    commit(folder / "own", "Grown", tag="v1.1.0")
    return folder / "own"


def made(template: Path, repo: Path, task: str) -> Path:
    run_copy(str(template), repo, data={"task": task}, defaults=True, quiet=True, unsafe=False)
    return repo


@pytest.fixture(scope="module")
def with_toy(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template with one task more. Not to be changed."""

    def change(own: Path) -> None:
        write(own, TOY)
        insert(own / "copier.yml", "    align: [align]\n", "    toy: [toy]\n")

    return grown(template, tmp_path_factory.mktemp("toy"), change)


@pytest.fixture(scope="module")
def with_commands(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template with one command more in the first folder of each task. Not to be changed."""

    def change(own: Path) -> None:
        for folder in {folders[0] for folders in PARTS.values()}:
            write(own, {f"template/src/comp/{folder}/lose.py": LOST})
            insert(own / f"template/src/comp/tasks/{folder}.py", "COMMANDS = {\n", RECORD.format(folder=folder))

    return grown(template, tmp_path_factory.mktemp("command"), change)


def test_a_task_is_a_folder_of_pieces_a_folder_of_code_an_entry_and_a_line(with_toy, tmp_path):
    own_template, repo = with_toy, made(with_toy, tmp_path / "repo", "toy")
    assert answers(repo)["recipe"] == "toy-dice"
    assert not [folder for folder in ("vision", "align") if (repo / "src/comp" / folder).exists()]
    assert (repo / "tests/toy/test_play.py").is_file()
    assert not jinja_left_over(repo, own_template / "template", []) + untidy(repo)
    assert re.search(r"^ +play +throw the dice$", comp(repo, "--help"), re.MULTILINE)
    assert "rounds: 4" in comp(repo, "config")
    assert comp(repo, "play", "--twice", "rounds=5", status=3) == "lost 10 rounds\n"
    assert comp(repo, "run", status=3) == "\n== play\nlost 4 rounds\n"
    assert comp(repo, "run", "conf/demo.yaml", status=3) == "\n== play\nlost 2 rounds\n"
    readme = (repo / "README.md").read_text(encoding="utf-8")
    assert "| `comp play` | throw the dice; `--twice`: throw them twice |\n" in readme
    assert "`comp train` |" not in readme
    assert '"polars>=1"' in (repo / "pyproject.toml").read_text(encoding="utf-8")
    assert {"task": "toy", "recipe": "toy-dice"} in quick(Prompts.read(own_template))
    assert '"toy": "A game of chance"' in (own_template / "cookiecutter.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("task", PARTS)
def test_and_the_repositories_of_other_tasks_stay_as_they_are(with_toy, render, tmp_path, task):
    repo = made(with_toy, tmp_path / "repo", task)
    now, before = (
        {path.relative_to(top): path.read_bytes() for path in files_in(top)} for top in (repo, render(task=task))
    )
    assert now.keys() == before.keys()
    assert [str(name) for name in now if now[name] != before[name]] == [".copier-answers.yml"]  # the version


@pytest.mark.parametrize("task", by_level(PARTS, [FIRST_TASK]))
def test_a_command_is_a_function_and_a_record(with_commands, tmp_path, task):
    repo = made(with_commands, tmp_path / "repo", task)
    assert comp(repo, "lose", status=3) == "baseline lost\n"
    assert comp(repo, "run", "members=[]", "steps=[lose,split]", status=3) == "\n== lose\nbaseline lost\n"
    assert re.search(r"^ +lose +lose on purpose$", comp(repo, "--help"), re.MULTILINE)
    assert "| `comp lose` | lose on purpose |\n" in (repo / "README.md").read_text(encoding="utf-8")

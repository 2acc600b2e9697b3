"""Files that follow from others are what ci/pages.py would write."""

import re

import pytest
from layouts_page import layouts_page
from pages import pages
from rendering import PARTS, ROOT, TASKS

from comp.tasks import commands_of, imported, task_called


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_page_is_what_it_follows_from(path):
    assert path.read_text(encoding="utf-8") == pages()[path], "run python ci/pages.py"


def test_the_page_of_layouts_has_what_the_program_says_now():
    page = (ROOT / "docs/layouts.md").read_text(encoding="utf-8")
    assert page == layouts_page(), "run python ci/pages.py"
    assert str(ROOT) not in page
    assert "/tmp" not in page


@pytest.mark.parametrize("task", PARTS)
def test_the_readme_has_a_row_for_every_command_and_flag(render, task):
    readme = (render(task=task) / "README.md").read_text(encoding="utf-8")
    for name, command in commands_of(task).items():
        assert f"| `comp {name}` | {command.help}" in readme
        assert all(f"`--{flag.replace('_', '-')}`: {help_}" in readme for flag, help_ in command.flags.items())


@pytest.mark.parametrize("task", PARTS)
def test_every_file_with_keys_of_the_task_is_named_where_keys_are_looked_up(render, task):
    config = imported(task_called(task).schema)
    modules = {base.__module__ for base in config.__mro__ if base.__module__.startswith("comp.")}
    for page in ("README.md", "AGENTS.md", "conf/baseline.yaml"):
        text = (render(task=task) / page).read_text(encoding="utf-8")
        assert all(f"src/{module.replace('.', '/')}.py" in text for module in modules), page
    assert TASKS[task]["schema"] == f"src/{config.__module__.replace('.', '/')}.py"


@pytest.mark.parametrize("task", PARTS)
def test_every_command_that_a_repositorys_pages_name_is_one_of_its_task(render_abridged, task):
    repo, known = render_abridged(task=task, compute="kaggle-2xt4"), commands_of(task)
    for page in ("README.md", "AGENTS.md", "docs/guide.md"):
        text = (repo / page).read_text(encoding="utf-8")
        code = re.findall(r"```sh\n(.*?)```", text, re.DOTALL) + re.findall(r"`(comp [^`]+)`", text)
        named = {name for piece in code for name in re.findall(r"\bcomp ((?:kaggle|synth) [a-z]+|[a-z][a-z-]*)", piece)}
        assert named - known.keys() == set(), page

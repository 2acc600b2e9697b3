"""Files that follow from others are what ci/pages.py would write."""

import pytest
from layouts_page import layouts_page
from pages import pages
from rendering import PARTS, ROOT, TASKS, TEMPLATE

from comp.tasks import commands_of, task_called


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
def test_the_schema_that_the_readme_names_is_the_tasks(render, task):
    module = task_called(task).schema.partition(":")[0]
    assert TASKS[task]["schema"] == f"src/{module.replace('.', '/')}.py"
    assert (TEMPLATE / TASKS[task]["schema"]).is_file()

"""Writes every file that follows from others: `python ci/pages.py`. Tests compare them with what it would write.

docs/recipes.md comes from the recipes, docs/layouts.md from what is said of the layouts that the template's tests try,
cookiecutter.json from copier.yml, and parts/<task>/commands.md, the table of commands in a repository's README, from
the records in template/src/comp/tasks.
"""

import sys
from pathlib import Path

from cookiecutter_json import cookiecutter_json
from layouts_page import layouts_page
from questions import ROOT, constants_of
from recipes_page import recipes_page

sys.path.insert(0, str(ROOT / "template/src"))

from comp.tasks import Command, commands_of


def pages() -> dict[Path, str]:
    """Path → text of all these files, but for the layouts, which take a while."""
    tables = {ROOT / "parts" / task / "commands.md": commands_table(task) for task in constants_of()["parts"]}
    return {ROOT / "docs/recipes.md": recipes_page(), ROOT / "cookiecutter.json": cookiecutter_json(), **tables}


def commands_table(task: str) -> str:
    """A row per command, with its flags."""
    rows = [f"| `comp {name}` | {_about(command)} |\n" for name, command in commands_of(task).items()]
    return "".join(["| command | what it does |\n", "| --- | --- |\n", *rows])


def _about(command: Command) -> str:
    flags = [f"`--{flag.replace('_', '-')}`: {help_}" for flag, help_ in command.flags.items()]
    options = [(name, *meaning.partition(": ")[::2]) for name, meaning in command.options.items()]
    flags += [f"`--{name} {value}`: {help_}" for name, value, help_ in options]
    return "; ".join([command.help, *flags]).replace("|", r"\|")


if __name__ == "__main__":
    for path, text in {**pages(), ROOT / "docs/layouts.md": layouts_page()}.items():
        path.write_text(text, encoding="utf-8")

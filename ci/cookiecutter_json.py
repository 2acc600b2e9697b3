"""Writes cookiecutter.json, the questions of the cookiecutter front door, from copier.yml.

Cookiecutter asks what it can: text, and choices that are the same for everybody. A default that follows from earlier
answers is copier's own expression, where plain Jinja can render it. Where it cannot (the default stands in the recipe's
file) it is empty, and copier is not given an empty answer: its own default holds. Copier also checks all answers.
"""

import json
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined, TemplateError, meta

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = {"backbone_name"}  # copier asks it after `other`; here any name can be given as the backbone
EMPTY = "empty: as the earlier answers suggest"
JINJA = Environment(undefined=StrictUndefined)


def cookiecutter_json() -> str:
    """The text of the file."""
    settings = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    questions = {name: question for name, question in settings.items() if not name.startswith("_")}
    tasks = list(questions["task"]["choices"].values())
    asked: dict[str, Any] = {}
    constants: dict[str, Any] = {}
    prompts: dict[str, Any] = {}
    for name, question in questions.items():
        default, choices = question["default"], question.get("choices")
        if question.get("when") is False:
            if isinstance(default, str) and "{" not in default:
                constants[name] = yaml.safe_load(default)
        elif name not in LEFT_OUT:
            asked[name] = "" if "when" in question else _default(default, asked, constants)
            if isinstance(choices, (list, dict)):
                labels = _labels(choices) if asked[name] else {"": EMPTY} | _labels(choices)
                prompts[name] = {"__prompt__": question["help"], **labels}
                asked[name] = sorted(
                    labels, key=lambda value, first=asked[name]: value != first
                )  # the first is the default
            else:
                hints = _choices_by_task(choices, tasks, constants) if choices else []
                prompts[name] = " ".join([question["help"], *([] if asked[name] else [f"({EMPTY})"]), *hints])
    private = {f"_{name}": value for name, value in constants.items()}
    return json.dumps({**private, **asked, "__prompts__": prompts}, indent=2, ensure_ascii=False) + "\n"


def _default(default: Any, asked: dict[str, Any], constants: dict[str, Any]) -> str:
    """Copier's default for cookiecutter, where earlier answers are called `cookiecutter.<name>`; empty if it cannot."""
    text = str(default)
    try:
        needs = meta.find_undeclared_variables(JINJA.parse(text))
        JINJA.compile(text)  # refuses filters that are copier's
    except TemplateError:
        return ""
    if not needs <= asked.keys() | constants.keys():
        return ""
    known = {name: f"cookiecutter.{'_' * (name in constants)}{name}" for name in sorted(needs)}
    return "".join(f"{{% set {name} = {place} %}}" for name, place in known.items()) + text


def _labels(choices: list[str] | dict[str, str]) -> dict[str, str]:
    return {value: label for label, value in choices.items()} if isinstance(choices, dict) else {c: c for c in choices}


def _choices_by_task(choices: str, tasks: list[str], constants: dict[str, Any]) -> list[str]:
    """`task: one, two` for each task, where the choices depend on it alone."""
    try:
        return [
            f"{task}: {', '.join(yaml.safe_load(JINJA.from_string(choices).render(constants, task=task)))}."
            for task in tasks
        ]
    except TemplateError:
        return []


if __name__ == "__main__":
    (ROOT / "cookiecutter.json").write_text(cookiecutter_json(), encoding="utf-8")

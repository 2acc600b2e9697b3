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
COPIERS = Environment(undefined=StrictUndefined)
COPIERS.filters["to_json"] = json.dumps


def cookiecutter_json(root: Path = ROOT) -> str:
    """The text of the file."""
    settings = yaml.safe_load((root / "copier.yml").read_text(encoding="utf-8"))
    questions = {name: question for name, question in settings.items() if not name.startswith("_")}
    constants = {name: value for name, question in questions.items() if (value := constant(question)) is not None}
    tasks = list(questions["task"]["choices"].values())
    asked: dict[str, Any] = {}
    prompts: dict[str, Any] = {}
    for name, question in questions.items():
        if question.get("when") is False or name in LEFT_OUT:
            continue
        choices, help_ = question.get("choices"), question["help"]
        conditional = _needs(str(question.get("when", ""))) & questions.keys()
        default = "" if conditional else _default(str(question["default"]), asked, constants, questions)
        if isinstance(choices, (list, dict)):
            labels = _labels(choices) if default else {"": EMPTY} | _labels(choices)
            prompts[name] = {"__prompt__": help_, **labels}
            asked[name] = [default, *(value for value in labels if value != default)]  # the first is the default
        else:
            hints = _choices_by_task(choices, tasks, constants) if choices else []
            prompts[name] = " ".join([help_, *([] if default else [f"({EMPTY})"]), *hints])
            asked[name] = default
    private = {f"_{name}": value for name, value in constants.items() if f"cookiecutter._{name} " in str(asked)}
    return json.dumps({**private, **asked, "__prompts__": prompts}, indent=2, ensure_ascii=False) + "\n"


def constant(question: dict[str, Any]) -> Any:
    """What a hidden question always answers; None where it is asked, or depends on others."""
    default = question["default"]
    if question.get("when") is not False or (isinstance(default, str) and "{" in default):
        return None
    return yaml.safe_load(default) if isinstance(default, str) else default


def _needs(text: str) -> set[str]:
    return meta.find_undeclared_variables(COPIERS.parse(text))


def _default(text: str, asked: dict[str, Any], constants: dict[str, Any], questions: dict[str, Any]) -> str:
    """Copier's default for cookiecutter, where earlier answers are called `cookiecutter.<name>`; empty if it cannot."""
    try:
        JINJA.from_string(text)  # refuses filters that are copier's
        needs = _needs(text) & questions.keys()
        if not needs:
            return JINJA.from_string(text).render()
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
        template = COPIERS.from_string(choices)
        return [f"{task}: {', '.join(yaml.safe_load(template.render(constants, task=task)))}." for task in tasks]
    except TemplateError:
        return []


if __name__ == "__main__":
    (ROOT / "cookiecutter.json").write_text(cookiecutter_json(), encoding="utf-8")

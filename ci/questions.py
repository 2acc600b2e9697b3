"""What copier.yml asks, and what its hidden questions say of the tasks, read as copier reads them."""

import json
from pathlib import Path
from typing import Any

import yaml
from jinja2 import BaseLoader, Environment, FileSystemLoader, StrictUndefined, TemplateError

ROOT = Path(__file__).resolve().parent.parent
Questions = dict[str, dict[str, Any]]


def questions_in(settings: str) -> Questions:
    """The questions in the text of copier.yml, hidden ones too."""
    return {name: each for name, each in yaml.safe_load(settings).items() if not name.startswith("_")}


def questions(root: Path = ROOT) -> Questions:
    return questions_in((root / "copier.yml").read_text(encoding="utf-8"))


def jinja(loader: BaseLoader) -> Environment:
    """Renders as copier does, as far as copier.yml needs it."""
    environment = Environment(undefined=StrictUndefined, loader=loader, keep_trailing_newline=True)
    environment.filters |= {"to_json": json.dumps, "from_yaml": yaml.safe_load}
    return environment


def constants(asked: Questions, loader: BaseLoader) -> dict[str, Any]:
    """What the hidden questions answer that depend on no other answer: `parts`, `tasks`, `recipes_of` …"""
    environment, found = jinja(loader), {}
    for name, question in asked.items():
        value = question["default"]
        if question.get("when") is not False:
            continue
        if isinstance(value, str):
            try:
                value = yaml.safe_load(environment.from_string(value).render(found))
            except TemplateError:  # it depends on an answer, or on copier itself
                continue
        found[name] = value
    return found


def constants_of(root: Path = ROOT) -> dict[str, Any]:
    return constants(questions(root), FileSystemLoader(root))


def choices_of(question: dict[str, Any], environment: Environment, known: dict[str, Any]) -> dict[str, Any] | None:
    """Label → value; None where any text can be typed, or where more than `known` decides what can be chosen."""
    choices = question.get("choices")
    if isinstance(choices, str):
        try:
            choices = yaml.safe_load(environment.from_string(choices).render(known))
        except TemplateError:
            return None
    return {choice: choice for choice in choices} if isinstance(choices, list) else choices

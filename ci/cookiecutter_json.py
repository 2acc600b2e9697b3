"""cookiecutter.json, the questions of the cookiecutter front door, from copier.yml; ci/pages.py writes it.

Cookiecutter asks what it can: text, and choices that are the same for everybody. A default that follows from earlier
answers is copier's own expression, where plain Jinja can render it. Where it cannot (the default stands in the recipe's
file) it is empty, and copier is not given an empty answer: its own default holds. Copier also checks all answers.
"""

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, meta
from questions import ROOT, Questions, choices_of, constants_of, jinja, questions

LEFT_OUT = {"backbone_name"}  # copier asks it after `other`; here any name can be given as the backbone
EMPTY = "empty: as the earlier answers suggest"
PLAIN = Environment(undefined=StrictUndefined)
Answers = dict[str, Any]


def cookiecutter_json(root: Path = ROOT) -> str:
    """The text of the file."""
    every, known = questions(root), constants_of(root)
    copiers = jinja(FileSystemLoader(root))
    asked: Answers = {}
    prompts: dict[str, Any] = {}
    for name, question in every.items():
        if question.get("when") is False or name in LEFT_OUT:
            continue
        conditional = _needs(str(question.get("when", "")), copiers) & every.keys()
        text = str(question.get("placeholder") or question["default"])
        default = "" if conditional else _default(text, asked, known, every)
        choices, help_ = choices_of(question, copiers, known), question["help"]
        if choices is None:
            hints = _choices_by_task(question, copiers, known)
            prompts[name] = " ".join([help_, *([] if default else [f"({EMPTY})"]), *hints])
            asked[name] = default
        else:
            labels = {value: label for label, value in choices.items()}
            prompts[name] = {"__prompt__": help_, **({} if default else {"": EMPTY}), **labels}
            asked[name] = [default, *(value for value in labels if value != default)]  # the first is the default
    private = {f"_{name}": value for name, value in known.items() if f"cookiecutter._{name} " in str(asked)}
    return json.dumps({**private, **asked, "__prompts__": prompts}, indent=2, ensure_ascii=False) + "\n"


def _needs(text: str, environment: Environment) -> set[str]:
    return meta.find_undeclared_variables(environment.parse(text))


def _default(text: str, asked: Answers, known: Answers, every: Questions) -> str:
    """Copier's default for cookiecutter, where earlier answers are called `cookiecutter.<name>`; empty if it cannot."""
    try:
        template = PLAIN.from_string(text)  # refuses filters that are copier's
        needs = _needs(text, PLAIN) & every.keys()
        if needs <= known.keys():
            return template.render(known)
    except TemplateError:
        return ""
    if not needs <= asked.keys() | known.keys():
        return ""
    places = {name: f"cookiecutter.{'_' * (name in known)}{name}" for name in sorted(needs)}
    return "".join(f"{{% set {name} = {place} %}}" for name, place in places.items()) + text


def _choices_by_task(question: dict[str, Any], copiers: Environment, known: Answers) -> list[str]:
    """`task: one, two.` for each task, where the choices depend on it alone."""
    by_task = {task: choices_of(question, copiers, {**known, "task": task}) for task in known["parts"]}
    return [f"{task}: {', '.join(choices.values())}." for task, choices in by_task.items() if choices]

"""From YAML files and `key=value` overrides to one checked configuration, as the schema of its `task` wants it."""

import difflib
import re
import typing
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from comp.config.common import Experiment
from comp.config.yaml12 import MOST_BYTES, Dumper, parsed
from comp.errors import CompError, shortened
from comp.files import is_file
from comp.tasks import imported, steps_of, task_called, task_name

COMMAND_LINE = "the command line"
PATTERN = re.compile(r"\{\w+\}.")  # {split}/{id}.png, which is no YAML
Config = TypeVar("Config", bound=Experiment)
SHORTHANDS = {"folds": "folds.use"}  # `folds=[0,2]` means `folds.use=[0,2]`
NAMES = {"name", "parent", "member"}  # as they stand: 1.10 is not 1.1
MOST_BASES = 20  # files that one inherits from


def load_config(path: Path, overrides: list[str] | None = None) -> Any:
    """Reads `path`, what it inherits through `base:`, then the overrides; the later wins, key by key.

    `task` decides which configuration it is; without one, this repository's.

    Raises:
        CompError: a file is missing or not YAML, a key is unknown, a value has the wrong type. One line per fault,
            each with the file, the key and, for an unknown key, the nearest known one.
    """
    source: dict[str, str] = {}  # dotted key → the file that sets it
    values = _inherit(path, source, seen=[])
    for override in overrides or []:
        _apply(override, values, source)
    values["task"] = task_name(values.get("task"))
    schema = imported(task_called(values["task"]).schema)
    try:
        config = schema.model_validate(values)
    except ValidationError as error:
        raise CompError(_explained(error, source, path, schema)) from None
    _check_steps(config, source.get("steps", str(path)))
    members = {str(member.get("name")): each for member, each in zip(config.members, members_of(config), strict=True)}
    if config.member is None:
        return config
    if config.member not in members:
        raise CompError(f"member={config.member}: there is no such member; there are {', '.join(members) or 'none'}")
    return members[config.member]


def members_of(config: Config) -> list[Config]:
    """The experiments that `members` lists: this one with each member's overrides, called <name>-<member>.

    Raises:
        CompError: a member has no name of its own, an unknown key or a wrong type.
    """
    return [_member(config, number, member) for number, member in enumerate(config.members)]


def modules_of(task: str, command: str) -> list[str]:
    """The modules that a task consists of where it carries out this command alone."""
    its = task_called(task)
    named = [its.schema, its.commands[command].run]
    return [f"comp.tasks.{task}", *chain(*its.registers.values()), *(name.partition(":")[0] for name in named)]


def changed(config: Config, /, **sections: Any) -> Config:
    """A copy with other values; a dictionary changes what it names of its section.

    Raises:
        CompError: an unknown key or a wrong type.
    """
    values = config.model_dump(mode="json")
    _merge(values, sections, {}, "")
    try:
        return type(config).model_validate(values)
    except ValidationError as error:
        raise CompError(_explained(error, {}, Path(config.name), type(config))) from None


def changed_by(key: str, config: Config, /, **sections: Any) -> Config:
    """The same, by what the configuration says at `key`: an error begins with that."""
    try:
        return changed(config, **sections)
    except CompError as error:
        lines = [line.removeprefix(f"{config.name}: ") for line in str(error).splitlines()]
        raise CompError("\n".join(f"{key}: {line}" for line in lines)) from None


def _member(config: Config, number: int, member: dict[str, Any]) -> Config:
    names = [each.get("name") for each in config.members]
    if not isinstance(names[number], str) or names.count(names[number]) > 1:
        raise CompError(f"members[{number}] needs a name that no other member has, such as name: b0")
    own = {**member, "name": f"{config.name}-{names[number]}", "members": [], "member": None}
    return changed_by(f"members[{number}] ({names[number]})", config, **own)


def to_yaml(config: Experiment) -> str:
    """The resolved configuration: `load_config` of this text gives the same again."""
    return yaml.dump(config.model_dump(mode="json"), Dumper=Dumper, sort_keys=False, allow_unicode=True)


def _inherit(path: Path, source: dict[str, str], seen: list[Path]) -> dict[str, Any]:
    if path.resolve() in seen:
        raise CompError(f"{path}: base: files inherit from each other in a circle")
    if len(seen) > MOST_BASES:
        raise CompError(f"{path}: base: more than {MOST_BASES} files inherit from each other")
    values = _read(path)
    base = values.pop("base", None)
    inherited: dict[str, Any] = {}
    if base is not None:
        if not isinstance(base, str):
            raise CompError(f"{path}: base: must be the path of one YAML file, relative to this one")
        if not is_file(path.parent / base):
            raise CompError(f"{path}: base: {base} does not exist (looked for {path.parent / base})")
        inherited = _inherit(path.parent / base, source, [*seen, path.resolve()])
    _merge(inherited, values, source, str(path))
    return inherited


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1).decode("utf-8")
    except FileNotFoundError:
        raise CompError(
            f"{path} does not exist: run comp in the repository's folder, or name a configuration"
        ) from None
    except IsADirectoryError:
        raise CompError(f"{path} is a folder: name a YAML file") from None
    except UnicodeDecodeError:
        raise CompError(f"{path}: not UTF-8: save it as UTF-8") from None
    except OSError as error:
        raise CompError(f"{shortened(str(path))} cannot be read: {error.strerror}") from None
    values = parsed(text, str(path))
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise CompError(f"{path}: expected `key: value` lines, found {type(values).__name__}")
    return values


def _merge(into: dict[str, Any], values: dict[str, Any], source: dict[str, str], file: str, prefix: str = "") -> None:
    for key, value in values.items():
        dotted = f"{prefix}{key}"
        source[dotted] = file
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value, source, file, f"{dotted}.")
        else:
            for inner in _dotted_keys(value, dotted):
                source[inner] = file
            into[key] = value


def _dotted_keys(value: Any, prefix: str) -> list[str]:
    if not isinstance(value, dict):
        return []
    return [
        key for name, inner in value.items() for key in (f"{prefix}.{name}", *_dotted_keys(inner, f"{prefix}.{name}"))
    ]


def _apply(override: str, values: dict[str, Any], source: dict[str, str]) -> None:
    key, equals, text = override.partition("=")
    if not equals and Path(key).suffix in {".yaml", ".yml"}:
        raise CompError(
            f"{shortened(repr(override))}: one configuration file, and it comes first, before any key=value"
        )
    if not equals or not key:
        raise CompError(f"{shortened(repr(override))} is neither a configuration file nor key=value")
    as_it_is = text.startswith("%") or PATTERN.match(text)  # "%d/%m/%Y", once the shell took its quotes
    value = text if as_it_is else parsed(text, shortened(repr(override)))
    if key in NAMES and isinstance(value, (int, float)):
        value = text.strip()
    if key in SHORTHANDS and not isinstance(value, dict):
        key = SHORTHANDS[key]
    *parents, last = key.split(".")
    nested: dict[str, Any] = {last: value}
    for parent in reversed(parents):
        nested = {parent: nested}
    _merge(values, nested, source, COMMAND_LINE)


def _check_steps(config: Experiment, file: str) -> None:
    known = steps_of(config.task)
    for step in config.steps:
        if step not in known:
            near = difflib.get_close_matches(step, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise CompError(f"{file}: steps: {step!r} is not a step of the task {config.task}: {hint}")


def _explained(error: ValidationError, source: dict[str, str], path: Path, schema: type[BaseModel]) -> str:
    """A line for each key that is wrong: where it may be one of several things, pydantic has a fault for each."""
    lines: dict[str, tuple[list[str], str]] = {}
    for fault in sorted(error.errors(), key=lambda fault: len(fault["loc"])):
        where, message, given = _explain(dict(fault), source, path, schema)
        messages, _ = lines.setdefault(where, ([], given))
        messages += [message] if message not in messages else []
    return "\n".join(sorted(f"{where}{' or '.join(each)}{given}" for where, (each, given) in lines.items()))


def _explain(
    fault: dict[str, Any], source: dict[str, str], path: Path, schema: type[BaseModel]
) -> tuple[str, str, str]:
    """One of pydantic's faults: where it is, what it is, and what was given."""
    keys, known = _known_part(fault["loc"], schema)
    dotted = ".".join(keys)
    file = next(
        (source[".".join(keys[:n])] for n in range(len(keys), 0, -1) if ".".join(keys[:n]) in source), str(path)
    )
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(keys[-1], known, n=1, cutoff=0.5)
        elsewhere = [name for name in _all_keys(schema) if name.split(".")[-1] == keys[-1]]
        nearest = [".".join([*keys[:-1], near[0]])] if near else []
        hint = f"did you mean {(elsewhere + nearest)[0]!r}?" if elsewhere or near else f"known here: {', '.join(known)}"
        return f"{file}: unknown key {shortened(repr(dotted))}: {hint}", "", ""
    message = fault["msg"].removeprefix("Value error, ")
    if not keys or fault["type"] == "value_error":
        return f"{file}: {message}", "", ""
    given = f", not {shortened(repr(fault['input']))}"
    return f"{file}: {dotted}: ", f"{message[0].lower()}{message[1:]}", given


def _known_part(location: tuple[int | str, ...], schema: type[BaseModel]) -> tuple[list[str], list[str]]:
    """The dotted key of a fault without pydantic's own additions, and the keys known beside it."""
    keys: list[str] = []
    section: type[BaseModel] | None = schema
    known = list(schema.model_fields)
    for part in location:
        if section is None or not isinstance(part, str):
            break
        keys.append(part)
        known = list(section.model_fields)
        field = section.model_fields.get(part)
        section = _section_of(field.annotation) if field else None
    return keys, known


def _section_of(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *typing.get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _all_keys(section: type[BaseModel], prefix: str = "") -> list[str]:
    found = []
    for name, field in section.model_fields.items():
        found.append(f"{prefix}{name}")
        inner = _section_of(field.annotation)
        if inner is not None:
            found += _all_keys(inner, f"{prefix}{name}.")
    return found

"""`requirements.txt` of a handover: the packages of this repository and whatever they need, in exact versions."""

import re
import tomllib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path

from comp.readback import reading

PROJECT = Path("pyproject.toml")
NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def requirements(recorded: Mapping[str, str]) -> str:
    """A line a package: the version that a run has `recorded`, else that which is installed here now.

    Raises:
        CompError: pyproject.toml is damaged.
    """
    lines = ["# As installed where comp handover was run; what a run has noted itself comes first."]
    for name, version in sorted(_installed().items()):
        then = recorded.get(name, version)
        public = then.partition("+")[0]
        told = [f"here {version}"] if then != version else []
        told += [f"this build: {then}"] if public != then else []  # an index of its own has it
        lines.append(f"{name}=={public}{'  # ' * bool(told)}{', '.join(told)}")
    return "\n".join([*lines, ""])


def _installed() -> dict[str, str]:
    """Name and version of all that this repository needs, or of all packages where nothing says what that is."""
    found: dict[str, str] = {}
    todo = _declared()
    while todo:
        name = _normal(todo.pop())
        if name in found:
            continue
        try:
            package = distribution(name)
        except PackageNotFoundError:  # of another system, or an extra
            continue
        found[name] = package.version
        todo += [NAME.match(each)[0] for each in package.requires or [] if "extra ==" not in each]  # type: ignore[index]
    return found


def _declared() -> list[str]:
    if not PROJECT.is_file():
        return [str(each.metadata["Name"]) for each in distributions()]
    with reading(PROJECT, "restore it from git"):
        needed = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]
        return [NAME.match(each)[0] for each in needed]  # type: ignore[index]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()

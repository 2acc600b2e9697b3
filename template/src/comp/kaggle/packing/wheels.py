"""Wheels of what Kaggle's image lacks: which ones, from pip, and whether all that they need is there."""

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions, requires, version
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from comp.config.common import Kaggle
from comp.errors import CompError, shortened
from comp.kaggle.packing.code import Code
from comp.kaggle.secrets import scrubbed

NEVER = {"torch", "numpy", "protobuf"}  # another one than the image's breaks what was built for that
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (28, 27, 24, 17)] + ["manylinux2014_x86_64"]
IN_URL = re.compile(r"//[^/@\s]+@")  # who logs in at an index of packages


@dataclass(frozen=True)
class Import:
    """A package that the packed code imports as `module`, as it is here."""

    module: str
    package: str
    version: str
    carried: bool  # as a wheel


def imports_of(code: Code, settings: Kaggle) -> list[Import]:
    """What the code imports from other packages; what it may do without is among them only where it goes along.

    Raises:
        CompError: it imports what neither the image has nor a wheel brings, or a wheel would replace the image's own.
    """
    image, wheels = image_of(settings), {canonicalize_name(name) for name in settings.wheels}
    own = sorted(wheels & NEVER)
    if own:
        raise CompError(f"kaggle.wheels: Kaggle's image has a {own[0]} that all else there is built for: take it out")
    installed, found = packages_distributions(), {}
    for module, where in sorted({**code.late, **code.imports}.items()):
        names: list[str] = [canonicalize_name(name) for name in installed.get(module, [])]
        package = next((name for name in names if name in wheels or name in image), None)
        if package is not None and (package in wheels or module in code.imports):
            found[package] = Import(module, package, version(package), package in wheels)
        elif package is None and module in code.imports:
            name = (names or [module])[0]
            raise CompError(
                f"{where} imports {module}, which Kaggle's image lacks: add {name} to kaggle.wheels, or to "
                "kaggle.image if it is there"
            )
    waiting = [each.package for each in found.values() if each.carried]
    modules = {canonicalize_name(name): module for module, names in installed.items() for name in names}
    while waiting:  # wheels that wheels need
        for needed in _needed(requires(waiting.pop()) or [], settings.python):
            name = canonicalize_name(needed.name)
            if name in wheels and name not in found and name in modules:
                found[name] = Import(modules[name], name, version(name), True)
                waiting.append(name)
    return list(found.values())


def image_of(settings: Kaggle) -> dict[str, str | None]:
    """The packages of Kaggle's image, each with its version where that is said.

    Raises:
        CompError: an entry is none.
    """
    found: dict[str, str | None] = {}
    for entry in settings.image:
        try:
            requirement = Requirement(entry)
        except InvalidRequirement:
            raise CompError(f"kaggle.image: {shortened(entry)!r} is neither a package nor name==version") from None
        exact = [each.version for each in requirement.specifier if each.operator == "=="]
        found[canonicalize_name(requirement.name)] = exact[0] if exact else None
    return found


def fetch(imports: list[Import], folder: Path, known: Path, settings: Kaggle) -> dict[str, Path]:
    """The wheel of each carried package, by the package's name, in `folder`; those in `known` are not loaded again.

    Raises:
        CompError: pip cannot load one for the image's Python; it is named.
    """
    wanted = {each.package: each.version for each in imports if each.carried}
    if not wanted:
        return {}
    folder.mkdir(parents=True)
    for path in sorted(known.glob("*.whl")):
        if wanted.get(_name_of(path)) == _version_of(path):
            shutil.copy2(path, folder)
    found = {_name_of(path): path for path in folder.iterdir()}
    for name in sorted(wanted.keys() - found.keys()):
        found[name] = _download(f"{name}=={wanted[name]}", folder, settings.python)
    return found


def check_closure(wheels: Mapping[str, Path], settings: Kaggle) -> None:
    """Reads what the wheels say of themselves: no index is asked, and the Python here may be another one.

    Raises:
        CompError: one needs a package that neither the image has nor another wheel brings, or another version.
    """
    image = image_of(settings)
    faults = []
    for path in wheels.values():
        about = _metadata(path)
        needs_python = about.get("Requires-Python")
        if needs_python and not SpecifierSet(needs_python).contains(f"{settings.python}.20"):
            faults.append(f"{path.name} needs Python {needs_python}, the image has {settings.python} (kaggle.python)")
        for needed in _needed(about.get_all("Requires-Dist") or [], settings.python):
            name = canonicalize_name(needed.name)
            there = _version_of(wheels[name]) if name in wheels else image.get(name)
            if name not in wheels and name not in image:
                faults.append(f"{path.name} needs {name}: add it to kaggle.wheels, or to kaggle.image if it is there")
            elif there is not None and not needed.specifier.contains(there, prereleases=True):
                faults.append(f"{path.name} needs {name}{needed.specifier}, and there is {there}")
    if faults:
        raise CompError("; ".join(faults[:5]))


def _needed(texts: list[str], python: str) -> list[Requirement]:
    """The requirements among `texts` that count on Kaggle's machines, without extras."""
    there = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "extra": "",
    }
    every = [Requirement(text) for text in texts]
    return [each for each in every if each.marker is None or each.marker.evaluate(there)]


def _download(what: str, folder: Path, python: str) -> Path:
    if find_spec("pip") is None:
        raise CompError("pip is not installed here, and it is what loads wheels: python -m ensurepip")
    options = ["--no-deps", "--only-binary=:all:", "--python-version", python, "--implementation", "cp"]
    options += [word for platform in PLATFORMS for word in ("--platform", platform)]
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", *options]
        done = subprocess.run([*command, "--dest", place, what], capture_output=True, text=True, errors="replace")
        found = sorted(Path(place).glob("*.whl"))
        if done.returncode or not found:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["ERROR: without a word"]
            why = shortened(scrubbed(IN_URL.sub("//", lines[-1].removeprefix("ERROR: "))))
            raise CompError(f"pip has no wheel of {what} for Python {python} ({why}): is there a network?")
        return Path(shutil.move(found[0], folder / found[0].name))


def _metadata(path: Path) -> Message:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
        if not names:
            raise CompError(f"{path} is no wheel: it has no METADATA")
        return Parser().parsestr(archive.read(names[0]).decode("utf-8"))


def _name_of(path: Path) -> str:
    return canonicalize_name(path.name.split("-")[0])


def _version_of(path: Path) -> str:
    return path.name.split("-")[1]


def is_pure(path: Path) -> bool:
    """Whether the wheel can be installed on any machine."""
    return path.stem.endswith("-none-any")

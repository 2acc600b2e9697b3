"""Which modules of `src/` a package needs, and which other packages these import: read, nothing is run."""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from comp.errors import CompError

SOURCE = Path(__file__).resolve().parents[3]  # src/
NAMED = re.compile(r"(comp(?:\.\w+)+)(?::\w+)?")  # a module in a text, with or without what it has
NOT_PACKED = {"__pycache__", ".ipynb_checkpoints", ".DS_Store"}
RECORDS = "comp.tasks"  # they name what carries out every command


@dataclass
class Code:
    """Files by their names below `src/`; other packages that they import, with one of the files that do."""

    files: dict[str, Path] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)  # when they are imported themselves
    late: dict[str, str] = field(default_factory=dict)  # within a function, or where it may be missing


def code_of(modules: list[str]) -> Code:
    """The code that `modules` import, one from the other.

    Raises:
        CompError: a module of `src/` is imported, and is not there.
    """
    code, seen, waiting = Code(), set[str](), [("", name, True) for name in modules]
    while waiting:
        importer, name, at_once = waiting.pop()
        root = name.partition(".")[0]
        if not _is_own(root):
            if root not in sys.stdlib_module_names:
                (code.imports if at_once else code.late).setdefault(root, importer)
            continue
        for module in _with_parents(name):
            path = _path_of(module)
            if path is None:
                if module == name and importer == "":
                    raise CompError(f"src/ has no module {module}, and the notebook needs it")
                break  # what a module has, not a module
            if module not in seen:
                seen.add(module)
                place = path.relative_to(SOURCE).as_posix()
                code.files[place] = path
                waiting += [(f"src/{place}", *found) for found in _imports(path, module)]
    own = {name.partition("/")[0] for name in code.files} - {"comp"}  # the user's packages, with their data
    code.files |= {name: path for name, path in source_files().items() if name.partition("/")[0] in own}
    code.late = {name: where for name, where in code.late.items() if name not in code.imports}
    return code


def source_files() -> dict[str, Path]:
    """All of `comp` and of the user's own modules and packages beside it, by their names below `src/`."""
    files = {path.relative_to(SOURCE).as_posix(): path for path in files_below(SOURCE)}
    return {name: path for name, path in files.items() if name.partition("/")[0].removesuffix(".py").isidentifier()}


def files_below(folder: Path) -> list[Path]:
    """All files, but for what programs leave behind."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path for path in found if not NOT_PACKED.intersection(path.relative_to(folder).parts)]


def _is_own(root: str) -> bool:
    return _path_of(root) is not None or (SOURCE / root).is_dir()


def _with_parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: length + 1]) for length in range(len(parts))]


def _path_of(module: str) -> Path | None:
    place = SOURCE.joinpath(*module.split("."))
    return next((path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()), None)


def _imports(path: Path, module: str) -> Iterator[tuple[str, bool]]:
    """What a file imports, and whether at once; of `from a import b` both a and a.b, which may be a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    yield from _below(tree, package, at_once=True)
    if not module.startswith(RECORDS):
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAMED.fullmatch(node.value):
                yield node.value.partition(":")[0], False


def _below(node: ast.AST, package: str, at_once: bool) -> Iterator[tuple[str, bool]]:
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    if isinstance(node, ast.Import):
        yield from ((alias.name, at_once) for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        name = ".".join([*parents, *([node.module] if node.module else [])])
        yield name, at_once
        yield from ((f"{name}.{alias.name}", at_once) for alias in node.names)
    later = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.Try))
    for child in ast.iter_child_nodes(node):
        yield from _below(child, package, at_once and not later)

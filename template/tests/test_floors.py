"""The house: imports only go down its floors, and never in a circle; what `custom.py` builds on is a fixed face."""

import ast
import importlib
from pathlib import Path

import pytest
from support import SOURCE

PACKAGE = SOURCE / "comp"
# From the ground up; the longest name that fits a module decides. What is not named stands on top of the others.
FLOORS = (
    ("errors", "files", "readback"),
    ("updating",),
    ("tasks",),  # the records; a task's own entry is above the folders that it names
    ("config", "registry", "tables"),
    ("folds",),
    ("runs",),
    ("kaggle",),
    ("distributed",),
    ("loop",),
    ("vision", "align"),
    ("emotion", "clip"),
    ("tasks.usual",),
    ("tasks.vision",),
    ("tasks.*", "custom"),
    ("run", "cli", "__main__"),
)
FACE = {
    "comp.registry": {"register"},
    "comp.tables": {"Tables", "Targets"},
    "comp.vision": {"Data", "ImageConfig", "Model", "Train"},
}


def modules() -> dict[str, Path]:
    """Every module of the package by its name without `comp.`; a folder stands for its `__init__.py`."""
    names = {path: path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".") for path in sources()}
    return {name.removesuffix(".__init__"): path for path, name in names.items() if name != "__init__"}


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def arrows() -> set[tuple[str, str]]:
    """Which module imports which, wherever in the file; what is imported for types alone counts too."""
    known = modules()
    found = set()
    for name, path in known.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for wanted in imported_by(node):
                module = wanted if wanted in known else wanted.rpartition(".")[0]
                if module in known and module != name:
                    found.add((name, module))
    return found


def imported_by(node: ast.AST) -> list[str]:
    """The names that a statement imports from the package, without `comp.`."""
    if isinstance(node, ast.Import):
        return [alias.name.removeprefix("comp.") for alias in node.names if alias.name.startswith("comp.")]
    if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "comp":
        module = node.module.removeprefix("comp").removeprefix(".")
        return [f"{module}.{alias.name}".lstrip(".") for alias in node.names]
    return []


def floor(module: str) -> int:
    """The number of a module's floor."""
    fits = {}
    for number, rooms in enumerate(FLOORS):
        for room in rooms:
            place = room.removesuffix(".*")
            if (module == place and room == place) or module.startswith(f"{place}."):
                fits[len(place), room != place] = number
    return fits[max(fits)] if fits else len(FLOORS)


def circles(graph: set[tuple[str, str]]) -> set[str]:
    """The nodes that lie on a circle: what is left once those without way out, or in, are taken away."""
    left = {node for arrow in graph for node in arrow}
    while True:
        inside = {(a, b) for a, b in graph if a in left and b in left}
        on = {a for a, _ in inside} & {b for _, b in inside}
        if on == left:
            return left
        left = on


def test_every_module_has_a_floor():
    assert [name for name in modules() if floor(name) == len(FLOORS)] == []


def test_imports_only_go_down():
    up = sorted(f"{a} → {b}" for a, b in arrows() if floor(a) < floor(b))
    assert up == []


def test_tasks_do_not_import_each_other():
    """Of the folders on one floor, none imports another."""
    folders = {"vision", "align", "emotion", "clip"}
    across = [(a, b) for a, b in arrows() if {x.partition(".")[0] for x in (a, b)} <= folders and floor(a) == floor(b)]
    assert [(a, b) for a, b in across if a.partition(".")[0] != b.partition(".")[0]] == []


def test_no_import_goes_in_a_circle():
    """A package and its own modules are one another's: what counts are other ways round."""
    graph = {(a, b) for a, b in arrows() if not a.startswith(f"{b}.") and not b.startswith(f"{a}.")}
    assert circles(graph) == set()


def test_the_rooms_and_the_arrows_between_them_are_few():
    """A room: a folder at the top of the package, or a module there. pytest -s shows how many there are."""
    rooms = {name.partition(".")[0] for name in modules()}
    between = {(a.partition(".")[0], b.partition(".")[0]) for a, b in arrows()}
    between = {(a, b) for a, b in between if a != b}
    print(f"{len(rooms)} rooms, {len(between)} arrows")
    assert len(rooms) <= 22
    assert len(between) <= 89
    # Task entries stand in a folder with the records that lower floors read: what they import leads down from them.
    assert circles({(a, b) for a, b in between if a != "tasks"}) == set()


def test_the_top_of_the_package_is_read_at_a_glance():
    entries = [path for path in PACKAGE.iterdir() if path.name not in {"__pycache__", "__init__.py"}]
    assert len(entries) <= 22  # the template has all tasks, a repository those of one


def test_what_is_the_users_imports_the_stable_face_alone():
    for path in [PACKAGE / "custom.py", *PACKAGE.glob("*/custom.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("comp."):
                assert {alias.name for alias in node.names} <= FACE.get(node.module, set()), (path, node.module)


@pytest.mark.parametrize("module", FACE)
def test_the_stable_face_has_its_names(module):
    """Names may join it within a major version, none may leave it: the user's custom.py is never written again."""
    if not (PACKAGE / module.removeprefix("comp.")).with_suffix(".py").is_file():
        if not (PACKAGE / module.removeprefix("comp.")).is_dir():
            pytest.skip(f"this repository has no {module}")
        assert set(importlib.import_module(module).__all__) == FACE[module]
    assert FACE[module] <= vars(importlib.import_module(module)).keys()

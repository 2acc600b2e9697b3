"""What would break on Windows or macOS, as far as reading tells. The CI of both repositories runs there too."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from rendering import ROOT, TEMPLATE, files_in

RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
POSIX_MODULES = {"fcntl", "grp", "pwd", "resource", "syslog", "termios", "tty", "pty"}
POSIX_NAMES = {
    "os": {
        "sysconf",
        "sched_getaffinity",
        "fork",
        "killpg",
        "setsid",
        "getuid",
        "geteuid",
        "getpgid",
        "mkfifo",
        "nice",
    },
    "signal": {"SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD", "SIGPIPE", "alarm", "pthread_kill"},
}
SOURCES = [*(TEMPLATE / "src").rglob("*.py"), *(ROOT / "hooks").glob("*.py")]
TESTS = [*(TEMPLATE / "tests").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]


def uses_of_posix(tree: ast.AST) -> Iterator[str]:
    """Names that only POSIX has, where neither a `try`, nor a condition on what there is, stands around them."""

    def below(node: ast.AST, guarded: bool) -> Iterator[str]:
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names} & POSIX_MODULES
        elif isinstance(node, ast.ImportFrom):
            names = {node.module} & POSIX_MODULES
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            names = {node.attr} & POSIX_NAMES.get(node.value.id, set())
        else:
            names = set()
        if not guarded:
            yield from sorted(names)
        for child in ast.iter_child_nodes(node):
            yield from below(child, guarded or guards(node))

    yield from below(tree, False)


def guards(node: ast.AST) -> bool:
    if isinstance(node, ast.Try):
        return bool({"AttributeError", "ImportError"} & {name for each in node.handlers for name in caught(each)})
    if isinstance(node, ast.FunctionDef):  # a test that Windows skips
        return any(ast.unparse(each) in {"posix", "needs_signals"} for each in node.decorator_list)
    return isinstance(node, (ast.If, ast.IfExp)) and bool(
        re.search(r"hasattr|platform|os\.name", ast.unparse(node.test))
    )


def caught(handler: ast.ExceptHandler) -> set[str]:
    return {each.id for each in ast.walk(handler.type or handler) if isinstance(each, ast.Name)}


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_only_posix_has_is_used_only_where_it_is(path):
    assert not list(uses_of_posix(ast.parse(path.read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import fcntl", ["fcntl"]),
        ("def f():\n    import resource", ["resource"]),
        ("import os\nos.sysconf('x')", ["sysconf"]),
        ("import signal\nX = signal.SIGKILL", ["SIGKILL"]),
        ("try:\n    import fcntl\nexcept ImportError:\n    fcntl = None", []),
        ("try:\n    import fcntl\nexcept KeyError:\n    fcntl = None", ["fcntl"]),
        ("import os\n@posix\ndef test():\n    os.killpg(1, 2)", []),
        ("import os\n@other\ndef test():\n    os.killpg(1, 2)", ["killpg"]),
        ("import os\nn = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else 1", []),
    ],
)
def test_the_search_finds_what_it_should(code, found):
    assert list(uses_of_posix(ast.parse(code))) == found


def names_of_both() -> list[Path]:
    """Of the generator's files; those of a render are tested where it is rendered."""
    return [path.relative_to(ROOT) for path in files_in(ROOT)]


def test_windows_can_check_out_every_file():
    names = names_of_both()
    for part in {part for name in names for part in name.parts}:
        assert not re.search(r'[<>:"|?*\\\x00-\x1f]|[. ]$', part)
        assert part.partition(".")[0].lower() not in RESERVED
    assert len({str(name).lower() for name in names}) == len(names)
    assert max(len(str(name)) for name in names) < 120  # of 260, with the folder that it is checked out to


def test_line_ends_are_the_same_everywhere():
    for folder in (ROOT, TEMPLATE):
        assert "* text=auto eol=lf\n" in (folder / ".gitattributes").read_text(encoding="utf-8")
    for name in names_of_both():
        if name.suffix not in {".png", ".jpg"}:
            assert b"\r" not in (ROOT / name).read_bytes(), name


@pytest.mark.parametrize("folder", [ROOT, TEMPLATE], ids=["generator", "generated"])
def test_the_tests_run_on_all_three_systems_and_on_the_oldest_python(folder):
    job = yaml.safe_load((folder / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]["test"]
    matrix = job["strategy"]["matrix"]
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    assert job["runs-on"] == "${{ matrix.os }}"
    pythons = [*matrix["python"], *(each["python"] for each in matrix["include"])]
    declared = (TEMPLATE / "pyproject.toml.jinja").read_text(encoding="utf-8")
    assert f'requires-python = ">={min(pythons)}"' in declared
    assert {"python-version": "${{ matrix.python }}"} in [step.get("with") for step in job["steps"]]

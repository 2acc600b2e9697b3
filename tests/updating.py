"""Three releases of a template that change every kind of file in every way, and a user who has edited all of them.

A cell is a file: `cells/<whose>-<what the template does>.txt`. Every line that the user writes holds the word MINE and
the cell's name, so that none can stand in for another.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from copier import run_copy
from rendering import QUESTIONS, commit, copy_of_the_tree

RELEASES = ("v1.0.0", "v1.1.0", "v1.2.0")
LINES = 30
BLOCK = "# Yours from here on\n"
NEW_PROMPT = """
team:
  type: str
  help: What is your team called?
  default: Early Birds
  validator: "{% if not team %}A name, please.{% endif %}"
"""
CONDITIONAL = """  - "{% if compute == 'cpu' %}cells/*-conditional.txt{% endif %}"\n"""
TIERS, CHANGES = ("template", "shared", "yours"), ("same", "near", "append", "renamed", "deleted", "conditional")
SPECIAL = (
    "latin-1",
    "windows line ends",
    "not a text",
    "executable",
    "ein Häuschen",
    "emptied",
    "fixed alike",
    "moved",
    "unwanted",
)
SHARED: list[str] = QUESTIONS["ownership"]["default"]["shared"]
USERS_OWN = ("user-new", "user-added by both")
CELLS = [f"{tier}-{change}" for tier in TIERS for change in CHANGES] + [f"special-{name}" for name in SPECIAL]


def path_of(cell: str) -> Path:
    return Path("cells") / f"{cell}.txt"


def original(cell: str) -> str:
    """A cell as the first release has it; a shared one ends with the user's block."""
    lines = [f"{cell} line {number}\n" for number in range(LINES)]
    return "".join(lines) + (f"\n{BLOCK}" if cell.startswith("shared") else "")


def changed(cell: str, text: str, release: int) -> str | None:
    """What the template's release 1 or 2 makes of a cell; None where it is no longer there."""
    change = cell.partition("-")[2]
    theirs = f"{cell} THEIRS {release}\n"
    if change == "append":
        head, block, tail = text.partition(f"\n{BLOCK}")
        return head + theirs + block + tail
    if change in {"renamed", "deleted"} and release == 2:
        return None
    if change == "fixed alike" and release == 2:
        text = text.replace(f"{cell} line 20\n", f"MINE {cell}\n")
    before = f"{cell} line 10\n" if release == 1 else f"{cell} THEIRS 1\n"
    return text.replace(before, theirs)


def edited(cell: str, text: str) -> bytes:
    """What the user makes of a cell that came with the template."""
    mine = f"MINE {cell}\n"
    tier, _, change = cell.partition("-")
    if tier == "shared":
        return (text + mine).encode()
    if change == "append":
        return (text + mine).encode()
    if change == "not a text":
        return b"MINE\0\1\2\xff"
    if change == "latin-1":
        return text.replace(f"{cell} line 20\n", f"{mine.strip()} é\n").encode("latin-1")
    if change == "windows line ends":
        return text.replace(f"{cell} line 20\n", mine).replace("\n", "\r\n").encode()
    if change == "emptied":
        return text.replace("".join(f"{cell} line {n}\n" for n in range(15, 25)), "").encode()
    if change == "moved":
        return (text.replace(f"{cell} line 20\n", "") + f"{cell} line 20\n").encode()
    if change == "same":
        return text.replace(f"{cell} THEIRS 1\n", mine).replace(f"{cell} line 10\n", mine).encode()
    return text.replace(f"{cell} line {12 if change == 'near' else 20}\n", mine).encode()


def make_releases(folder: Path) -> Path:
    """The template of the working tree, abridged, and its cells, tagged three times."""
    copy_of_the_tree(folder, abridged=True)
    settings = folder / "copier.yml"
    text = settings.read_text(encoding="utf-8")
    text = text.replace("  - tests/mine\n", "  - tests/mine\n  - cells/yours-*.txt\n", 1)
    text = text.replace("  - .DS_Store\n", f"  - .DS_Store\n{CONDITIONAL}", 1)
    settings.write_text(text, encoding="utf-8")
    texts = {cell: original(cell) for cell in CELLS}
    _write(folder, texts)
    commit(folder, "The first", tag=RELEASES[0])
    for release in (1, 2):
        for cell in list(texts):
            after = changed(cell, texts[cell], release)
            if after is None:
                _template(folder, cell).unlink()
                if "renamed" in cell:
                    _template(folder, f"{cell}-later").write_text(texts[cell], encoding="utf-8")
                del texts[cell]
            else:
                texts[cell] = after
        _write(folder, texts)
        _change_the_rest(folder, release)
        commit(folder, "Later", tag=RELEASES[release])
    return folder


def _change_the_rest(folder: Path, release: int) -> None:
    """Both sides append to the real shared files; every recipe changes; files and a question are new."""
    lines = {
        "template/.github/workflows/ci.yml": "      # Yours from",
        "template/.gitignore.jinja": "\n# Yours from",
        "template/.pre-commit-config.yaml": "  # Yours from",
        "template/AGENTS.md.jinja": "\n## Notes",
        "template/README.md.jinja": "\n## Notes",
        "template/pyproject.toml.jinja": "\n# Yours from",
    }
    for name, before in lines.items():
        text = (folder / name).read_text(encoding="utf-8")
        assert text.count(before) == 1, name
        indent = before.partition("#")[0].strip("\n")
        theirs = f"{indent}# THEIRS {release}\n"
        (folder / name).write_text(text.replace(before, f"{theirs}{before}"), encoding="utf-8")
    for path in (folder / "recipes").iterdir():
        path.write_text(path.read_text(encoding="utf-8") + f"# THEIRS {release}\n", encoding="utf-8")
    if release == 2:
        _template(folder, "user-added by both").write_text("user-added by both THEIRS 2\n", encoding="utf-8")
        (folder / "template/conf/mine.yaml").write_text("# THEIRS 2\n", encoding="utf-8")
        with (folder / "copier.yml").open("a", encoding="utf-8") as file:
            file.write(NEW_PROMPT)


def _template(folder: Path, cell: str) -> Path:
    return folder / "template" / path_of(cell)


def _write(folder: Path, texts: dict[str, str]) -> None:
    (folder / "template/cells").mkdir(exist_ok=True)
    for cell, text in texts.items():
        _template(folder, cell).write_text(text, encoding="utf-8", newline="\n")


@dataclass
class Edits:
    """What the user wrote: file → its lines, and the whole of each file."""

    lines: dict[str, list[bytes]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def note(self, repo: Path, name: str) -> None:
        content = (repo / name).read_bytes().replace(b"\r\n", b"\n")  # as .gitattributes has git commit it
        self.files[name] = content
        self.lines[name] = [line.rstrip(b"\r") for line in content.split(b"\n") if b"MINE" in line]


def live_in(repo: Path) -> Edits:
    """The user's edits to every cell, every shared file, a recipe, files of the user's own; committed."""
    edits = Edits()

    def change(name: str, edit: Callable[[bytes], bytes]) -> None:
        path = repo / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(edit(path.read_bytes() if path.is_file() else b""))
        edits.note(repo, name)

    for cell in CELLS:
        text = (repo / path_of(cell)).read_text(encoding="utf-8")
        change(path_of(cell).as_posix(), lambda _, text=text, cell=cell: edited(cell, text))
    (repo / path_of("special-executable")).chmod(0o755)
    for cell in USERS_OWN:
        change(path_of(cell).as_posix(), lambda _, cell=cell: f"MINE {cell}\n".encode())
    for name in SHARED:
        change(name, lambda text, name=name: text + f"# MINE {name}\n".encode())
    for name in ("conf/baseline.yaml", "src/comp/custom.py", "conf/mine.yaml", "tests/mine/test_mine.py"):
        change(name, lambda text, name=name: f"# MINE {name}\n".encode() + text)
    for path in sorted((repo / "conf/recipes").iterdir()):
        name = path.relative_to(repo).as_posix()
        change(name, lambda text, name=name: f"# MINE {name}\n".encode() + text)
    for name in (path_of("special-unwanted"), "conf/demo.yaml"):
        (repo / name).unlink()
    for noted in (edits.files, edits.lines):
        del noted[path_of("special-unwanted").as_posix()]
    commit(repo, "Mine")
    return edits


def generated_from(template: Path, repo: Path, version: str) -> Path:
    """A committed repository of this version, all answers as they come."""
    run_copy(str(template), repo, defaults=True, quiet=True, vcs_ref=version)
    commit(repo, "From the template")
    return repo


def comp_update(repo: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `comp update` as a user does, with nobody there to answer."""
    env = {**os.environ, **NAME, "PYTHONPATH": str(repo / "src"), **environment}
    command = [sys.executable, "-m", "comp", "update", *words]
    return subprocess.run(
        command, cwd=repo, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


NAME = {f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

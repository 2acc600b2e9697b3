"""What errors and help offer to be typed can be pasted as printed, into any shell: brackets and braces are quoted."""

import ast
import re
import shutil
import subprocess

import pytest
from support import SOURCE

SETTING = re.compile(r"[a-z_]+(?:\.[a-z_]+)*=")
BARE = re.compile(rf"(?<!['\"\w.]){SETTING.pattern}[^\s'\"]*[\[{{].*")
QUOTED = re.compile(rf"'({SETTING.pattern}[^']*[\[{{][^']*)'")


def texts():
    """Every text of the source, with X for what is put into it; what is not for people has no spaces."""
    for path in sorted((SOURCE / "comp").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                text = "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
                text = node.value
            else:
                continue
            if " " in text:
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", text


def test_brackets_and_braces_are_quoted():
    assert [(where, found[0]) for where, text in texts() for found in BARE.finditer(text)] == []


def test_what_is_quoted_is_one_word_of_a_shell():
    shells = [shell for shell in ("bash", "zsh", "dash") if shutil.which(shell)]
    if not shells:
        pytest.skip("no shell here")
    hints = {found[1] for _, text in texts() for found in QUOTED.finditer(text)}
    assert len(hints) > 1
    for shell in shells:
        for hint in hints:
            typed = [shell, "-c", f"printf '%s|' x '{hint}'"]
            assert subprocess.run(typed, capture_output=True, text=True, check=True).stdout == f"x|{hint}|"

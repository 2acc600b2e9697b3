"""The prompts as a person meets them: a real terminal, arrow keys, a slip of the finger, a change of mind."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jinja2 import Template
from rendering import PROMPTS, RECIPES, TASKS, answers

pexpect = pytest.importorskip("pexpect")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals of this kind")

UP, DOWN, ENTER, CLEAR, CTRL_C = "\x1b[A", "\x1b[B", "\r", "\x15", "\x03"
TITLE = 'Ä "quoted" title'  # a person's; test_front_doors.py has worse ones
TIMEOUT_S = 60
Start = Callable[..., "pexpect.spawn"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start("copier", …)` begins a program at a terminal of its own."""
    started = []
    environment = {**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    rc = f"cookiecutters_dir: {tmp_path}/clones\nreplay_dir: {tmp_path}/replay\n"
    (tmp_path / "rc").write_text(rc, encoding="utf-8")

    def spawn(*words: str) -> "pexpect.spawn":
        (tmp_path / "desk").mkdir(exist_ok=True)
        started.append(
            pexpect.spawn(
                sys.executable,
                ["-m", *words],
                cwd=str(tmp_path / "desk"),
                env={**environment, "COOKIECUTTER_CONFIG": str(tmp_path / "rc")},
                encoding="utf-8",
                dimensions=(50, 160),
                timeout=TIMEOUT_S,
            )
        )
        return started[-1]

    yield spawn
    for child in started:
        child.close(force=True)


def asked(child: "pexpect.spawn", name: str) -> None:
    """Waits for this question, in the words of the task that is asked for first."""
    words = Template(PROMPTS[name]["help"]).render(task="classify", tasks=TASKS)
    assert "{{" not in words
    child.expect_exact(words)


def ended(child: "pexpect.spawn") -> int:
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus


def test_arrow_keys_choose_and_a_wrong_entry_is_asked_again(abridged, start, tmp_path):
    child = start("copier", "copy", str(abridged), "new")
    asked(child, "title")
    child.expect_exact("My Competition")  # shown, and gone with the first key
    child.send("  " + ENTER)
    child.expect_exact("One line, please.")
    child.send(CLEAR + TITLE + ENTER)
    asked(child, "slug")
    child.send(CLEAR + "Not A Slug" + ENTER)
    child.expect_exact("Small letters, digits and single hyphens.")
    child.send(CLEAR + "my-slug" + ENTER)
    asked(child, "task")
    child.send(ENTER)
    asked(child, "recipe")
    child.send(DOWN + ENTER)
    asked(child, "backbone")
    child.send(UP + ENTER)  # from the first to the last one
    asked(child, "backbone_name")
    child.send(CLEAR + "resnet18.a1_in1k" + ENTER)
    asked(child, "image_size")
    child.send(CLEAR + "large")  # int: letters are refused
    child.send(ENTER)
    child.expect_exact("Invalid")
    child.send(CLEAR + "5" + ENTER)
    child.expect_exact("Between 16 and 2048.")
    child.send(CLEAR + "96" + ENTER)
    asked(child, "folds")
    child.send(ENTER)
    asked(child, "metric")
    child.send(DOWN + ENTER)
    asked(child, "compute")
    child.send(UP + ENTER)
    asked(child, "tracker")
    child.send(ENTER)
    child.expect_exact(f"{TITLE} is ready.")
    assert ended(child) == 0
    given = answers(tmp_path / "desk" / "new")
    assert given["title"] == TITLE
    assert given["slug"] == "my-slug"
    assert given["recipe"] == RECIPES["classify"][1]
    assert given["backbone"] == "resnet18.a1_in1k"
    assert given["image_size"] == 96
    assert given["compute"] == "cpu"
    assert given["tracker"] == "none"


@pytest.mark.parametrize("name", ["title", "recipe", "tracker"])
def test_a_change_of_mind_leaves_nothing(abridged, start, tmp_path, name):
    child = start("copier", "copy", str(abridged), "new")
    for question in PROMPTS:
        if question != "backbone_name":
            asked(child, question)
            if question == name:
                break
            child.send(ENTER)
    child.send(CTRL_C)
    assert ended(child) != 0
    assert not list((tmp_path / "desk").iterdir())


def test_cookiecutter_asks_by_number_and_passes_a_title_on_as_typed(abridged, start, tmp_path):
    title = TITLE + " {{ 7 * 7 }} C:\\n '''"
    child = start("cookiecutter", str(abridged))
    asked(child, "title")
    child.sendline(title)
    asked(child, "slug")
    child.sendline("my-slug")
    for name in PROMPTS:
        if name not in ("title", "slug", "backbone_name"):
            child.expect_exact(PROMPTS[name]["help"][:40])
            child.expect(r"\)[^:\r\n]*: ")  # the default in brackets, perhaps in bold
            child.sendline({"compute": "2", "image_size": "96"}.get(name, ""))
    assert ended(child) == 0
    given = answers(tmp_path / "desk" / "my-slug")
    assert given["title"] == title
    assert given["compute"] == "cpu"
    assert given["image_size"] == 96
    assert given["recipe"] == RECIPES["classify"][0]


def test_a_change_of_mind_in_cookiecutter_leaves_nothing(abridged, start, tmp_path):
    child = start("cookiecutter", str(abridged))
    asked(child, "title")
    child.sendline("")
    asked(child, "slug")
    child.send(CTRL_C)
    assert ended(child) != 0
    assert not list((tmp_path / "desk").iterdir())

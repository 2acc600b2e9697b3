"""Notebooks as files, the cell that finds its inputs, and the one that installs what is missing."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from comp.kaggle.notebook import FIND, INPUT, WORKING, code, markdown, notebook
from comp.kaggle.training.cells import PACKAGES, PREPARE

LAYOUTS = {
    "flat": ("digits", "digits-code"),
    "moved": ("competitions/digits", "datasets/somebody/digits-code"),
    "mixed": ("competitions/digits", "digits-code"),
}


def found(*markers):
    """What the cell says where `find` is asked for these markers."""
    source = f"{FIND}\nprint(find('the package', *{markers!r}).relative_to(INPUT).as_posix())"
    told = subprocess.run(
        [sys.executable, "-I", "-c", source], env={**os.environ, INPUT: "input"}, capture_output=True, text=True
    )
    return (told.stdout or told.stderr.splitlines()[-1].removeprefix("RuntimeError: ")).strip()


def put(*paths):
    for path in paths:
        place = Path("input") / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("", encoding="utf-8")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_inputs_are_found_in_each_layout(layout):
    competition, package = LAYOUTS[layout]
    put(f"{competition}/test.csv", f"{competition}/sample.csv", f"{competition}/train/1/test.csv", f"{package}/p.json")
    assert found("sample.csv", "test.csv") == competition
    assert found("p.json") == package


def test_the_folders_are_overridable():
    assert f'"{INPUT}"' in FIND
    assert f'"{WORKING}"' in FIND


def test_what_is_missing_or_there_twice_is_named():
    put("one/p.json", "two/p.json")
    assert found("p.json") == "the package is there more than once: input/one, input/two: remove one of them".replace(
        "/", os.sep
    )
    assert found("q.json").startswith("the package is not below input: no folder has q.json")


@pytest.mark.parametrize(
    ("extra", "installed"),
    [("", []), ("[project.optional-dependencies]\nmine = ['json>=1', 'not-there.yet>=2']\n", ["not-there.yet>=2"])],
)
def test_a_training_gets_what_is_missing_of_its_own_packages_too(extra, installed):
    assert packages(extra) == installed


def test_packages_of_ones_own_that_cannot_be_installed_do_not_end_the_session(output):
    own = "[project.optional-dependencies]\nmine = ['not-there', 'nor-there']\n"
    assert packages(own, status=1) == ["not-there", "nor-there"]
    assert output().endswith("not installed: not-there\nnot installed: nor-there\n")
    with pytest.raises(subprocess.CalledProcessError):
        packages("", needed="not-there", status=1)


def packages(extra, needed="sys", status=0):
    """Those that the cell installs, where pip ends with this status."""
    Path("pyproject.toml").write_text(f"[project]\ndependencies = ['{needed}']\n{extra}", encoding="utf-8")
    calls = []

    def run(words, check):
        calls.append(words)
        done = subprocess.CompletedProcess(words, status)
        if check:
            done.check_returncode()
        return done

    imports = "\n".join(line for line in PREPARE.splitlines() if line.startswith(("import ", "from ")))
    names = {"HERE": Path()}
    exec(imports, names)
    exec(PACKAGES, names | {"subprocess": SimpleNamespace(run=run)})
    return [word for words in calls for word in words[words.index("--no-deps") + 1 :]]


def test_a_notebook_is_the_same_each_time_and_holds_no_output():
    cells = [markdown("# A title\n\ntext\n"), code("\nprint(1)\nprint(2)\n")]
    made = notebook(cells)
    assert json.dumps(made) == json.dumps(notebook(cells))
    first, second = made["cells"]
    assert "".join(first["source"]) == "# A title\n\ntext"
    assert second["source"] == ["print(1)\n", "print(2)"]
    assert (second["outputs"], second["execution_count"]) == ([], None)
    assert "outputs" not in first
    assert made["metadata"]["kernelspec"]["name"] == "python3"
    nbformat.validate(made)

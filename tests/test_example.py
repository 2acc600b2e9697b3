"""`ci/example` generates, updates and trains, and no difference goes unseen."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import FIRST_TAG
from example import Example
from rendering import RELEASE, commit, git

NEW = "src/comp/of_the_next_release.py"


def example(template: Path, out: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(template / "ci/example.py"), "align", "--out", str(out), *words]
    return subprocess.run(command, env={**os.environ}, capture_output=True, text=True, check=False)


def next_release(template: Path, name: str, old: str, new: str) -> None:
    """Commits what is to be the next release: a new file, and a change."""
    (template / "template" / NEW).write_text('"""New."""\n', encoding="utf-8")
    text = (template / name).read_text(encoding="utf-8")
    assert text.count(old) == 1
    (template / name).write_text(text.replace(old, new), encoding="utf-8")
    commit(template, "The next release")


@RELEASE  # what ci/release does next
def test_a_repository_of_the_last_release_is_brought_to_what_is_committed(own_template, tmp_path):
    next_release(own_template, "parts/align/demo.yaml", "name: demo\n", "name: demo\nseed: 3\n")
    (own_template / "not-committed.txt").write_text("x", encoding="utf-8")
    out = tmp_path / "out"
    done = example(own_template, out, "--no-training")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"release {FIRST_TAG}\n" in done.stdout
    assert f"{NEW} | 1 +" in done.stdout
    assert "note    what is not committed is not in it" in done.stdout
    assert (out / "align-updated" / NEW).is_file()
    fresh, updated = (
        (out / name / "conf/demo.yaml").read_text(encoding="utf-8") for name in ("align", "align-updated")
    )
    assert "seed: 3" in fresh
    assert "seed: 3" not in updated  # the user's own: written once, and no difference that counts
    assert "align     train" not in done.stdout
    refused = example(own_template, out)
    assert refused.returncode == 2
    assert "is not empty" in refused.stderr


@pytest.mark.parametrize(
    ("where", "name", "text", "found"),
    [
        ("fresh", "ruff.toml", "line-length = 99\n", "+line-length = 99"),
        ("fresh", "src/new.py", "x = 1\n", "b/src/new.py"),
        ("updated", "src/old.py", "x = 1\n", "deleted file"),
        ("updated", "conf/demo.yaml", "name: mine\n", None),
        ("fresh", "conf/launch/late/one.yaml", "x: 1\n", None),
    ],
)
def test_only_what_is_the_users_may_differ(tmp_path, where, name, text, found):
    both = Example("align", tmp_path, tmp_path)
    shared = {".copier-answers.yml": "_yours: [conf/*.yaml, conf/launch]\n", "ruff.toml": "line-length = 120\n"}
    for folder in (both.fresh, both.updated):
        for path, content in {**shared, **({name: text} if folder == getattr(both, where) else {})}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content, encoding="utf-8")
        commit(folder, "All there is")
    told = both.differences()
    assert found in told if found else told == ""
    assert git(both.updated, "status", "--porcelain") == ""


def test_without_a_release_nothing_is_updated_and_a_demo_that_fails_is_told(own_template, tmp_path):
    git(own_template, "tag", "--delete", FIRST_TAG)
    next_release(own_template, "parts/align/demo.yaml", "kind: group}", "kind: sideways}")
    done = example(own_template, tmp_path / "out")
    assert done.returncode == 1
    assert "release none yet" in done.stdout
    assert "align     train    wrong" in done.stdout
    assert "folds.kind" in done.stdout
    assert not (tmp_path / "out/align-updated").exists()


def test_a_task_that_is_none_is_refused(template, tmp_path):
    done = example(template, tmp_path / "out", "knit")
    assert done.returncode == 2
    assert "no such task: knit (there are classify" in done.stderr

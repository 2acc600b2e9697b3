"""An update trains nothing else: not by a newer recipe, and not by an answer that conf/baseline.yaml says otherwise.

One repository meets one release that changes all at once, through the workflow that a repository may switch on.
"""

import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendering import RELEASE, answers, commit, comp, copier, git
from updating import comp_update, generated_from

OLD, NEW = "v1.0.0", "v1.1.0"
RECIPE, NEWER = "conf/recipes/classify-modern.yaml", f"conf/recipes/classify-modern-{NEW}.yaml"
OTHER_WORDS = {
    "metric": "log_loss",
    "kind": "stratified",
    "backbone": "mobilenetv4_conv_small.e2400_r224_in1k",
    "optimizer": "sgd",
    "schedule": "constant",
    "keep": "last",
}
BOTH, DROPPED, RENAMED, DELETED = "tests/support.py", "mypy.ini", "tests/browser.py", "tests/kaggle_server.py"
GH = """#!/bin/sh
for word; do echo "$word" >> "$GH_TOLD"; case "$word" in *.md) cat "$word" >> "$GH_TOLD";; esac; done
"""
posix = pytest.mark.skipif(os.name == "nt", reason="a workflow's shell is bash on Linux")


def other(value: Any, key: str) -> Any:
    """Another value that the key can have."""
    if isinstance(value, dict):
        return {name: other(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [value[0] * 0.8, *value[1:]] if isinstance(value[0], float) else value[:-1]
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1 if isinstance(value, int) else value * 0.9
    return OTHER_WORDS[key]


def leaves(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def change_first_line(path: Path, line: str) -> None:
    path.write_text(line + path.read_text(encoding="utf-8").partition("\n")[2], encoding="utf-8")


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


@pytest.fixture(scope="module")
def releases(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two releases: the second changes each value of a recipe, and files that the user has edited, renamed, deleted."""
    folder = tmp_path_factory.mktemp("two") / "template"
    git(folder.parent, "clone", "--quiet", str(template), folder.name)
    path = folder / "recipes/classify-modern.yaml"
    before = yaml.safe_load(path.read_text(encoding="utf-8"))
    kept = {name: before.pop(name) for name in ("recipe", "task")}
    after = other(before, "")
    same = [key for key, value in leaves(after).items() if value == leaves(before)[key]]
    assert not same
    path.write_text(yaml.safe_dump({**kept, **after}), encoding="utf-8")
    change_first_line(folder / "template" / BOTH, '"""Theirs."""\n')
    (folder / "template" / DROPPED).unlink()
    for name in (RENAMED, DELETED):
        append(folder / "template" / name, "# THEIRS\n")
    commit(folder, "Later", tag=NEW)
    return folder


@pytest.fixture(scope="module")
def generated(releases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generated_from(releases, tmp_path_factory.mktemp("generated") / "repo", OLD)


@pytest.fixture
def repo(generated: Path, tmp_path: Path) -> Path:
    shutil.copytree(generated, tmp_path / "repo")
    return tmp_path / "repo"


def refused(repo: Path, *words: str) -> str:
    before = git(repo, "status", "--porcelain", "--branch"), git(repo, "rev-parse", "HEAD")
    done = comp_update(repo, *words)
    assert done.returncode == 1, done.stdout
    assert (git(repo, "status", "--porcelain", "--branch"), git(repo, "rev-parse", "HEAD")) == before
    assert all(line.startswith("error: ") for line in done.stderr.splitlines()), done.stderr
    return done.stderr


@posix
def test_the_workflow_brings_all_and_the_experiment_trains_what_it_did(repo, tmp_path):
    before = comp(repo, "config")
    change_first_line(repo / BOTH, '"""Mine."""\n')
    append(repo / DROPPED, "# mine\n")
    git(repo, "mv", RENAMED, "tests/my_browser.py")
    git(repo, "rm", "--quiet", DELETED)
    git(repo, "mv", ".github/workflows/update.yml.off", ".github/workflows/update.yml")
    commit(repo, "Mine")
    git(tmp_path, "clone", "--quiet", "--bare", str(repo), "origin.git")
    git(repo, "remote", "add", "origin", str(tmp_path / "origin.git"))
    told = run_the_workflow(repo, tmp_path)

    assert git(repo, "ls-remote", "--heads", "origin", f"template-{NEW}")
    assert told.startswith(f"pr\ncreate\n--base\nmain\n--head\ntemplate-{NEW}\n--title\nThe template, {NEW}\n")
    assert told.endswith("\n--draft\n")
    settle, _, rest = told.partition("What `comp update` said:")
    for line in (
        f"conflict {BOTH}: ",
        f"lost    {DROPPED}: these edits of yours could not be merged; your version is in {DROPPED}.mine",
        f"renamed {RENAMED}: you call it tests/my_browser.py, where these changes of the template's are missing:",
    ):
        assert line in settle
        assert line in rest
    assert f"deleted {DELETED}: the template changed it; you have deleted it" in rest
    assert rest.count("        + # THEIRS") == 2
    assert f"recipe  {RECIPE} stays as it is; base: recipes/{Path(NEWER).name} would train with the newer one:" in rest
    assert "        folds.n 5 → 6 (conf/baseline.yaml has its own: 5)" in rest
    assert f" {BOTH} " in rest.partition("Files:")[2]

    told = refused(repo, "--finish")
    assert f"'{BOTH}': between <<<<<<< and >>>>>>> stand both versions" in told
    assert f"'{DROPPED}.mine': take from it what is still wanted, then delete it" in told
    text = (repo / BOTH).read_text(encoding="utf-8")
    (repo / BOTH).write_text(text[text.index(">>>>>>> after updating\n") :].partition("\n")[2], encoding="utf-8")
    (repo / f"{DROPPED}.mine").unlink()
    assert comp_update(repo, "--finish").returncode == 0
    assert git(repo, "branch", "--show-current").strip() == "main"
    assert (answers(repo)["_commit"], git(repo, "status", "--porcelain")) == (NEW, "")

    assert comp(repo, "config") == before
    text = (repo / "conf/baseline.yaml").read_text(encoding="utf-8")
    (repo / "conf/baseline.yaml").write_text(text.replace(Path(RECIPE).name, Path(NEWER).name), encoding="utf-8")
    was, now = leaves(yaml.safe_load(before)), leaves(yaml.safe_load(comp(repo, "config")))
    assert now["train.epochs"] == was["train.epochs"] + 1
    for key in ("task", "metric", "folds.n", "folds.kind", "model.backbone", "model.image_size", "tracker"):
        assert now[key] == was[key], "baseline.yaml states the answers"


def run_the_workflow(repo: Path, folder: Path) -> str:
    """Runs the workflow's last step as GitHub does; returns what `gh` was given."""
    workflow = yaml.safe_load((repo / ".github/workflows/update.yml").read_text(encoding="utf-8"))
    script = workflow["jobs"]["update"]["steps"][-1]["run"]
    (folder / "bin").mkdir()
    for name, text in (("gh", GH), ("python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')):
        (folder / "bin" / name).write_text(text, encoding="utf-8")
        (folder / "bin" / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"}
    env |= {"PYTHONPATH": "src", "RUNNER_TEMP": str(folder), "GH_TOLD": str(folder / "gh.txt")}
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script], cwd=repo, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / "gh.txt").read_text(encoding="utf-8")


@RELEASE  # the same with comp update above
def test_plain_copier_leaves_the_experiment_as_it_is_too(repo):
    before = comp(repo, "config")
    git(repo, "mv", RENAMED, "tests/my_browser.py")
    git(repo, "rm", "--quiet", DELETED)
    commit(repo, "Mine")
    done = copier("update", "--defaults", cwd=repo)
    assert done.returncode == 0, done.stderr
    assert "Plain copier update drops without a word" in done.stderr
    assert answers(repo)["_commit"] == NEW
    assert comp(repo, "config") == before
    assert "THEIRS" not in (repo / "tests/my_browser.py").read_text(encoding="utf-8")  # docs/updating.md says so
    assert not (repo / RENAMED).exists()
    assert not (repo / DELETED).exists()


def test_plain_copier_takes_no_answer_that_the_baseline_says(repo):
    done = copier("update", "--defaults", "-d", "metric=macro_f1", cwd=repo)
    assert done.returncode == 1
    assert "It stands in conf/baseline.yaml, which is yours: write it there." in done.stderr
    assert git(repo, "status", "--porcelain") == ""


def test_an_answer_that_the_baseline_says_is_written_there_or_told(repo):
    done = comp_update(repo, "metric=rmse", "--write")
    assert (done.returncode, done.stderr) == (0, "")
    assert {"-metric: accuracy", "+metric: rmse", "+data: {kind: regression}"} <= set(done.stdout.splitlines())
    assert yaml.safe_load(comp(repo, "config"))["metric"] == "rmse"
    assert git(repo, "status", "--porcelain").split() == ["M", "conf/baseline.yaml"]
    assert "rmse" not in (repo / ".copier-answers.yml").read_text(encoding="utf-8")

    assert "conf/baseline.yaml has changes that are not committed" in refused(repo, "metric=accuracy", "--write")
    commit(repo, "Numbers")
    told = refused(repo, "metric=macro_f1")
    command = "comp update metric=macro_f1 --write"
    assert f"conf/baseline.yaml says otherwise, and is yours: write there (or {command} does)" in told
    assert told.splitlines()[1:] == [
        "error:     metric: macro_f1",
        "error: remove  data: {kind: regression}: the answer before brought it",
    ]


@RELEASE  # an answer of the baseline alone is written above
@posix
def test_one_that_other_files_need_too_goes_into_all_of_them_whatever_hooks_there_are(repo, tmp_path):
    for name in ("prepare-commit-msg", "post-checkout"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    config = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.hooksPath", "GIT_CONFIG_VALUE_0": str(tmp_path)}
    done = comp_update(repo, "tracker=wandb", "--write", **config)
    assert done.returncode == 0, done.stderr
    assert "+tracker: wandb" in done.stdout.splitlines()
    assert "wandb" in (repo / "pyproject.toml").read_text(encoding="utf-8")
    assert yaml.safe_load(comp(repo, "config"))["tracker"] == answers(repo)["tracker"] == "wandb"
    assert comp_update(repo, "--undo", **config).returncode == 0
    assert git(repo, "branch", "--show-current").strip() == "main"
    assert git(repo, "status", "--porcelain") == ""


class Private(BaseHTTPRequestHandler):
    """A server that wants to know who asks."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="private"')
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def remember(repo: Path, name: str, value: str) -> None:
    lines = (repo / ".copier-answers.yml").read_text(encoding="utf-8").splitlines(keepends=True)
    lines = [f"{name}: {value}\n" if line.startswith(f"{name}:") else line for line in lines]
    (repo / ".copier-answers.yml").write_text("".join(lines), encoding="utf-8")
    commit(repo, "Elsewhere")


def test_a_private_source_asks_nobody_and_the_line_says_what_to_do(repo):
    server = HTTPServer(("127.0.0.1", 0), Private)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    remember(repo, "_src_path", f"git+http://127.0.0.1:{server.server_port}/template.git")
    told = refused(repo)
    server.shutdown()
    assert "terminal prompts disabled" in told
    assert "the template is private, or no longer there: git ls-remote must read its address" in told


def test_a_version_that_the_template_no_longer_has_is_told_with_the_way_out(repo):
    remember(repo, "_commit", "v0.9.0")
    assert "the template no longer has that version, its history was rewritten" in refused(repo)

"""`comp update` where things are not as they should be: it says so in a line and leaves everything as it was."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from copier import run_copy
from rendering import RELEASE, answers, commit, copier, files_in, git
from updating import NAME, comp_update, generated_from

OLD, NEW = "v1.0.0", "v1.1.0"
MINE = "# MINE\n"
OWNED = "src/comp/registry.py"  # a file of the template's
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send")


@pytest.fixture(scope="module")
def releases(abridged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two releases: the second changes a module, adds one and a folder."""
    folder = tmp_path_factory.mktemp("two") / "the template"
    git(folder.parent, "clone", "--quiet", str(abridged), folder.name)
    append(folder / "template" / OWNED, "# THEIRS\n")
    for name in ("template/src/comp/novelty.py", "template/place/inside.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("# THEIRS\n", encoding="utf-8")
    commit(folder, "Later", tag=NEW)
    return folder


@pytest.fixture(scope="module")
def generated(releases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed repository of the first release; copied by `make`."""
    return generated_from(releases, tmp_path_factory.mktemp("generated") / "repo", OLD)


@pytest.fixture
def repo(generated: Path, tmp_path: Path) -> Path:
    """A committed repository of the first release with one line of the user's."""
    shutil.copytree(generated, tmp_path / "new comp")
    repo = tmp_path / "new comp"
    text = (repo / OWNED).read_text(encoding="utf-8")
    (repo / OWNED).write_text(MINE + text, encoding="utf-8")
    commit(repo, "Mine")
    return repo


def append(path: Path, text: str) -> None:
    path.write_text((path.read_text(encoding="utf-8") if path.exists() else "") + text, encoding="utf-8")


def everything(repo: Path) -> dict[str, bytes | str]:
    """The files, and what git knows of them."""
    known = [git(repo, *words.split()) for words in ("status --porcelain", "for-each-ref", "symbolic-ref HEAD")]
    return {"git": "".join(known), **{str(path): path.read_bytes() for path in files_in(repo)}}


def refused(repo: Path, *words: str) -> str:
    """The one line of a refusal; nothing was touched."""
    before = everything(repo)
    done = comp_update(repo, *words)
    assert done.returncode == 1, done.stdout
    assert everything(repo) == before
    assert all(line.startswith("error: ") for line in done.stderr.splitlines())
    return done.stderr


def command(done: subprocess.CompletedProcess[str], name: str) -> str:
    """One of the commands that are printed at the end, or in an error."""
    lines = (done.stdout + done.stderr).splitlines()
    marks = (f"{name:8}", f"error: to {name} it: ")
    return next(line.removeprefix(mark) for line in lines for mark in marks if line.startswith(mark))


def shell(repo: Path, words: str) -> None:
    if words.startswith("comp update "):
        done = comp_update(repo, *words.split()[2:])
        assert done.returncode == 0, done.stderr
        return
    done = subprocess.run(words, shell=True, cwd=repo, env={**os.environ, **NAME}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def is_updated(repo: Path) -> bool:
    text = (repo / OWNED).read_text(encoding="utf-8")
    return text.startswith(MINE) and text.endswith("# THEIRS\n") and answers(repo)["_commit"] == NEW


def test_a_clean_update_can_be_finished_with_the_printed_command(repo):
    done = comp_update(repo)
    assert (done.returncode, done.stderr) == (0, "")
    assert is_updated(repo)
    shell(repo, command(done, "finish"))
    assert is_updated(repo)
    assert git(repo, "branch", "--format=%(refname:short)").split() == ["main"]
    assert git(repo, "status", "--porcelain") == ""
    again = comp_update(repo)
    assert again.returncode == 0
    assert "v1.1.0 is the newest version" in again.stdout


def test_check_tells_what_would_change_and_touches_nothing(repo):
    append(repo / "notes.txt", "not committed")
    before = everything(repo)
    done = comp_update(repo, "--check")
    assert done.returncode == 2
    assert "update  v1.0.0 → v1.1.0 of " in done.stdout
    assert f"        M {OWNED}\n" in done.stdout
    assert "        A src/comp/novelty.py\n" in done.stdout
    assert everything(repo) == before


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda repo: append(repo / OWNED, MINE), id="a file of the template's"),
        pytest.param(lambda repo: append(repo / "pyproject.toml", MINE), id="a shared file"),
        pytest.param(lambda repo: append(repo / "src/comp/custom.py", MINE), id="a file of the user's"),
        pytest.param(lambda repo: append(repo / "new.py", MINE), id="a new file"),
        pytest.param(lambda repo: append(repo / "src/comp/novelty.py", MINE), id="a new file where one comes"),
        pytest.param(lambda repo: (repo / OWNED).unlink(), id="a deleted file"),
        pytest.param(lambda repo: append(repo / OWNED, MINE) or git(repo, "add", "."), id="staged"),
    ],
)
def test_uncommitted_work_is_refused_and_kept(repo, work):
    work(repo)
    assert "uncommitted changes" in refused(repo)


def test_plain_copier_refuses_it_too(repo):
    append(repo / OWNED, MINE)
    before = everything(repo)
    assert copier("update", "--defaults", cwd=repo).returncode == 1
    assert everything(repo) == before


def test_a_file_that_git_ignores_is_not_written_over(repo):
    append(repo / ".gitignore", "novelty.py\n")
    commit(repo, "Ignored")
    append(repo / "src/comp/novelty.py", MINE)
    assert "src/comp/novelty.py" in refused(repo)


@RELEASE  # what plain copier loses is asserted in test_update_matrix.py
def test_plain_copier_writes_over_it(repo):
    append(repo / ".gitignore", "novelty.py\n")
    commit(repo, "Ignored")
    append(repo / "src/comp/novelty.py", MINE)
    assert copier("update", "--defaults", cwd=repo).returncode == 0
    assert (repo / "src/comp/novelty.py").read_text(encoding="utf-8") == "# THEIRS\n"


def test_nor_one_that_git_was_told_not_to_look_at(repo):
    git(repo, "update-index", "--skip-worktree", OWNED)
    append(repo / OWNED, MINE)
    assert OWNED in refused(repo)


def test_without_git_a_line_says_what_to_do(repo):
    shutil.rmtree(repo / ".git")
    for words in ((), ("--check",)):
        done = comp_update(repo, *words)
        assert done.returncode == 1
        assert "not under git: git init" in done.stderr


def test_with_nothing_committed_too(repo):
    shutil.rmtree(repo / ".git")
    git(repo, "init", "--quiet")
    assert "nothing is committed yet" in comp_update(repo).stderr


def test_elsewhere_than_in_the_repository_too(repo):
    done = subprocess.run(
        [sys.executable, "-m", "comp", "update"],
        cwd=repo / "conf",
        env={**os.environ, "PYTHONPATH": str(repo / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert ".copier-answers.yml is not here" in done.stderr


def test_an_unreachable_template_is_told_in_a_line(repo):
    text = (repo / ".copier-answers.yml").read_text(encoding="utf-8").splitlines(keepends=True)
    gone = ["_src_path: /no/such/template.git\n" if line.startswith("_src_path") else line for line in text]
    (repo / ".copier-answers.yml").write_text("".join(gone), encoding="utf-8")
    commit(repo, "Moved")
    assert "/no/such/template.git" in refused(repo)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["trakcer=wandb"], "the template has no such question: 'trakcer=wandb'"),
        (["tracker"], "'tracker' is not an answer"),
        (["folds=77"], "copier: Between 1 and 50."),
        (["metric=luck"], "copier: Invalid choice for 'metric'"),
        (["task=another"], "copier: Invalid choice for 'task'"),
        (["task=align"], "copier: This repository stays one for classify. Start a second one beside it: copier copy"),
    ],
)
def test_a_wrong_answer_is_refused(repo, words, told):
    assert told in refused(repo, *words)


@RELEASE  # an undone update is in test_update_matrix.py
def test_a_detached_head_comes_back_to_its_commit(repo):
    git(repo, "switch", "--quiet", "--detach")
    commit_id = git(repo, "rev-parse", "HEAD")
    done = comp_update(repo)
    assert done.returncode == 0, done.stderr
    assert is_updated(repo)
    shell(repo, command(done, "undo"))
    assert git(repo, "rev-parse", "HEAD") == commit_id
    assert git(repo, "branch", "--show-current") == ""
    assert git(repo, "status", "--porcelain") == ""


@RELEASE  # one that is its own is finished above
def test_a_repository_within_a_larger_one(generated, tmp_path):
    top, repo = tmp_path / "all of mine", tmp_path / "all of mine" / "a comp"
    shutil.copytree(generated, repo, ignore=shutil.ignore_patterns(".git"))
    append(top / "other.txt", "of the larger one\n")
    text = (repo / OWNED).read_text(encoding="utf-8")
    (repo / OWNED).write_text(MINE + text, encoding="utf-8")
    commit(top, "Mine")
    checked = comp_update(repo, "--check")
    assert checked.returncode == 2, checked.stderr
    assert f"M {OWNED}" in checked.stdout
    done = comp_update(repo)
    assert done.returncode == 0, done.stderr
    assert is_updated(repo)
    shell(repo, command(done, "finish"))
    assert is_updated(repo)
    assert git(top, "status", "--porcelain") == ""
    assert (top / "other.txt").read_text(encoding="utf-8") == "of the larger one\n"
    assert not list(top.rglob("*.rej"))


@RELEASE  # with releases everywhere else
def test_a_template_without_releases_updates_from_commit_to_commit(abridged, tmp_path):
    own_template = tmp_path / "own"
    git(tmp_path, "clone", "--quiet", str(abridged), "own")
    git(own_template, "tag", "--delete", OLD)
    repo = tmp_path / "repo"
    run_copy(str(own_template), repo, defaults=True, quiet=True)
    commit(repo, "From the template")
    assert "is the newest version" in comp_update(repo).stdout
    append(own_template / "template" / OWNED, "# THEIRS\n")
    commit(own_template, "Later")
    done = comp_update(repo)
    assert done.returncode == 0, done.stderr
    assert (repo / OWNED).read_text(encoding="utf-8").endswith("# THEIRS\n")


def test_what_copier_cannot_do_leaves_everything_as_it_was(repo):
    append(repo / "place", MINE)  # a file where the template has a folder
    commit(repo, "In the way")
    before = everything(repo)
    done = comp_update(repo)
    assert done.returncode == 1
    assert "error: copier: " in done.stderr
    if "git stash drop" in done.stderr:  # what copier had written by then
        git(repo, "stash", "drop")
    assert everything(repo) == before


@posix
def test_killed_in_the_middle_nothing_is_lost_and_the_way_back_is_told(repo):
    before = {str(path.relative_to(repo)): path.read_bytes() for path in files_in(repo)}
    env = {**os.environ, **NAME, "PYTHONPATH": str(repo / "src")}
    process = subprocess.Popen([sys.executable, "-m", "comp", "update"], cwd=repo, env=env, start_new_session=True)
    while process.poll() is None and not git(repo, "--no-optional-locks", "status", "--porcelain"):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was over before it was killed"
    assert git(repo, "show", f"HEAD:{OWNED}").startswith(MINE)
    (repo / ".git/index.lock").unlink(missing_ok=True)
    done = comp_update(repo)
    assert done.returncode == 1
    assert "was cut off in the middle" in done.stderr
    assert comp_update(repo, "--finish").returncode == 1
    shell(repo, command(done, "undo"))
    assert git(repo, "status", "--porcelain") == ""
    assert {str(path.relative_to(repo)): path.read_bytes() for path in files_in(repo)} == before
    assert comp_update(repo).returncode == 0
    assert is_updated(repo)


@RELEASE  # killed, which is harder, above
@posix
def test_interrupted_it_goes_back_by_itself(repo):
    before = everything(repo)
    env = {**os.environ, **NAME, "PYTHONPATH": str(repo / "src")}
    words = [sys.executable, "-m", "comp", "update"]
    process = subprocess.Popen(words, cwd=repo, env=env, start_new_session=True, stderr=subprocess.PIPE)
    while process.poll() is None and git(repo, "branch", "--show-current").strip() == "main":
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    git(repo, "stash", "drop") if git(repo, "stash", "list") else None
    assert everything(repo) == before


def test_an_update_that_was_not_merged_is_not_begun_twice(repo):
    done = comp_update(repo)
    git(repo, "commit", "--quiet", "-m", "Template") if not NAME else shell(repo, "git commit -qm Template")
    git(repo, "switch", "--quiet", "main")
    assert "the branch template-v1.1.0 holds an update that is not merged" in refused(repo)
    shell(repo, "git merge -q template-v1.1.0")
    assert done.returncode == 0
    assert comp_update(repo, "compute=cpu").returncode == 0  # the merged branch is used again


@RELEASE  # versions put beside are in test_update_matrix.py
def test_a_version_put_beside_never_takes_the_place_of_another(repo, releases, tmp_path):
    gone = tmp_path / "template"
    git(tmp_path, "clone", "--quiet", str(releases), "template")
    (gone / "template" / OWNED).unlink()
    commit(gone, "Without it", tag="v1.2.0")
    text = (repo / ".copier-answers.yml").read_text(encoding="utf-8")
    (repo / ".copier-answers.yml").write_text(text.replace(str(releases), str(gone)), encoding="utf-8")
    append(repo / f"{OWNED}.mine", "an older one\n")
    commit(repo, "Elsewhere")
    done = comp_update(repo)
    assert done.returncode == 1
    assert f"your version is in {OWNED}.mine1" in done.stdout
    assert (repo / f"{OWNED}.mine").read_text(encoding="utf-8") == "an older one\n"
    assert (repo / f"{OWNED}.mine1").read_text(encoding="utf-8").startswith(MINE)


@RELEASE  # an ignored file is refused above
def test_what_git_ignores_of_the_templates_own_does_not_stop_later_updates(repo):
    append(repo / ".gitignore", "mypy.ini\n")
    git(repo, "rm", "--quiet", "--cached", "mypy.ini")
    commit(repo, "Ignored, as it came")
    assert (repo / "mypy.ini").is_file()
    assert comp_update(repo).returncode == 0
    assert is_updated(repo)

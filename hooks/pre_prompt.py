"""Before cookiecutter asks, in its temporary copy of the template: the newest release, and a folder to generate from.

Cookiecutter takes the default branch where copier takes the newest release. So that both ask and write the same, a copy
that stands on the default branch is moved there; `--checkout` is respected. Cookiecutter also wants a folder whose name
holds a question; made here, it does not have to stand in the repository.
"""

import re
import subprocess
from pathlib import Path


def git(*words):
    """What git prints, None where it fails."""
    done = subprocess.run(["git", *words], capture_output=True, encoding="utf-8", check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def newest_release():
    tags = (git("tag", "--sort=-version:refname") or "").split()
    return next((tag for tag in tags if re.fullmatch(r"v\d+(\.\d+)*", tag)), None)


def on_the_default_branch():
    branch = git("symbolic-ref", "--quiet", "--short", "HEAD")
    default = git("rev-parse", "--abbrev-ref", "origin/HEAD")  # None in a repository that was not cloned
    return branch is not None and default in (None, f"origin/{branch}")


if Path(".git").is_dir() and on_the_default_branch():  # a file leads to another folder's .git: not ours to move
    release = newest_release()
    if release and git("cat-file", "-e", f"{release}:cookiecutter.json") is not None:
        git("checkout", "--quiet", "--force", release)
Path("{{cookiecutter.slug}}").mkdir()

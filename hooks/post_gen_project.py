"""Hands cookiecutter's answers to copier, with the same source at the same release: copier writes the repository.

So `.copier-answers.yml` is as a copier user would have it, and `copier update` works later. Runs in the new folder.
"""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

# The one line of Jinja. JSON never has three quotes in a row, so no answer ends the literal: each arrives as given.
CONTEXT = json.loads(r"""{{ cookiecutter | jsonify }}""")


def main():
    """The exit status: 0, or 1 after a line that says what to do. Cookiecutter then removes the folder."""
    here, template = Path.cwd(), Path(CONTEXT["_repo_dir"])
    if any(here.iterdir()):
        return complain(f"{here} is not empty; copier update brings a repository up to date")
    source = source_for_copier(CONTEXT["_template"], template)
    if source is None:
        return complain(
            f"copier update would not find {CONTEXT['_template']}: give gh:…, a git URL or an absolute folder"
        )
    command = ["copy", "--defaults"]
    if (template / ".git").exists():
        wanted = CONTEXT["_checkout"] or "HEAD"
        commit = git(template, "rev-parse", "--quiet", "--verify", f"{wanted}^0")
        if commit is None:
            return complain(f"{source} has no {wanted}")
        command += ["--vcs-ref", git(template, "describe", "--tags", "--exact-match", commit) or commit]
    for name, value in CONTEXT.items():
        if not name.startswith("_") and value != "":  # empty: copier's default
            command += ["--data", f"{name}={value}"]
    command += [source, str(here)]
    copier = copier_here()
    if copier is None:
        quoted = subprocess.list2cmdline if os.name == "nt" else shlex.join
        return complain(
            f"copier is missing (pip install copier). Then, without cookiecutter: {quoted(['copier', *command])}"
        )
    done = subprocess.run([*copier, *command], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    told = done.stderr.decode("utf-8", errors="replace").rstrip().splitlines()
    if done.returncode:
        return complain(what_went_wrong(told) or f"copier ended with {done.returncode}")
    print("\n".join(line for line in told if not re.search(r"^\S*\s+create\S*\s", line)), file=sys.stderr)
    return 0


def source_for_copier(given, template):
    """What a copier user would type for the source that cookiecutter was given; None where there is no such thing."""
    if re.match(r"(gh|gl):|[^/]+@", given) or given.endswith(".git"):
        return given
    if "://" in given:
        known = given.startswith(("git+", "git://", "https://github.com/", "https://gitlab.com/"))
        return given if known else f"git+{given}"  # copier tells a repository by .git at the end, or by this
    folder = Path(CONTEXT["_output_dir"], Path(given).expanduser())  # the working directory, unless told otherwise
    if (folder / "copier.yml").is_file():
        return str(folder.resolve())
    if ":" not in given and re.search(r"[\\/]", given):
        return None
    return git(template, "remote", "get-url", "origin")  # an abbreviation of the user's, or an earlier clone's name


def git(folder, *words):
    """What git prints, None where it fails."""
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, encoding="utf-8", check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def copier_here():
    """The command that starts copier: this Python's, the one on the PATH, or uv's; None where there is none."""
    if importlib.util.find_spec("copier"):
        return [sys.executable, "-m", "copier"]
    if found := shutil.which("copier"):
        return [found]
    return [found, "copier"] if (found := shutil.which("uvx")) else None


def what_went_wrong(told):
    """The last line, or the last one that uv begins with `error:`, before causes and hints."""
    errors = [line for line in told if line.startswith("error: ")] or told
    return re.sub(r"^([\w.]*(Error|Exception)|error): ", "", errors[-1]) if errors else ""


def complain(message):
    print(f"error: {message}", file=sys.stderr)
    return 1


sys.exit(main())

"""Makes the example: `ci/example [TASK …]`. Each task's repository as it is generated from what is committed here, its
demo trained, and beside it (TASK-updated) a repository of the last release that `comp update` brought here.

Nobody touched the latter, so it has to be what a new one is, but for the user's own files, which are written once: any
other difference is shown, and is a failure. Tasks whose demo fails are one too. All of it lies in build/example.
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from jinja2 import FunctionLoader
from questions import ROOT, constants, constants_of, questions_in
from versions import NEXT, last_release

OUT = ROOT / "build/example"
SHOWN = 12  # files of an update, and lines of what failed
NAME = {f"GIT_{who}_{what}": "example@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


class Wrong(Exception):
    """What is wrong with a task's example."""


@dataclass(frozen=True)
class Example:
    """One task's, in the folder `out`; `template` is a clone of this repository, in which NEXT is what is committed."""

    task: str
    template: Path
    out: Path

    @property
    def fresh(self) -> Path:
        return self.out / self.task

    @property
    def updated(self) -> Path:
        return self.out / f"{self.task}-updated"

    def generate(self, to: Path, version: str) -> str:
        """A repository as this version of the template writes it, committed. Returns how many files it has."""
        title = constants_of(self.template)["tasks"][self.task]["demo"]
        data = ["--data", f"task={self.task}", "--data", f"title={title}"]
        python("copier", "copy", "--quiet", "--defaults", "--vcs-ref", version, *data, str(self.template), str(to))
        git(to, "init", "--quiet")
        return commit(to, f"From the template, {version}")

    def update(self, release: str) -> str:
        """A repository of the last release, brought to what is committed here. Returns the diff's last line."""
        self.generate(self.updated, release)
        python("comp", "update", repo=self.updated)
        print(git(self.updated, "diff", "--cached", f"--stat-count={SHOWN}", "--stat=100").rstrip(), flush=True)
        commit(self.updated, f"From the template, {NEXT}")
        different = self.differences()
        if different:
            raise Wrong(f"{self.updated} is not what a new repository is (+):\n{different}")
        return git(self.updated, "diff", "--shortstat", "HEAD~1").strip() or "nothing changed"

    def differences(self) -> str:
        """The diff from the updated repository to the fresh one, without the user's own files; empty if all is well."""
        yours = yaml.safe_load((self.fresh / ".copier-answers.yml").read_text(encoding="utf-8"))["_yours"]
        git(self.updated, f"--work-tree={self.fresh}", "add", "--all")
        found = git(self.updated, "diff", "--cached", "--", ".", *(f":(exclude,glob){pattern}" for pattern in yours))
        git(self.updated, "reset", "--quiet")
        return found

    def train(self) -> str:
        """The demo, from its data to a report. Returns what each run scored."""
        python("comp", "demo-data", repo=self.fresh)
        python("comp", "run", "conf/demo.yaml", repo=self.fresh)
        with (self.fresh / "runs/leaderboard.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return ", ".join(f"{row['name']} {row['metric']} {row['cv']}" for row in rows)


def main(words: list[str]) -> int:
    """Prints a line a step, with its seconds; 1 if something is wrong."""
    given = arguments(words)
    if given.out == OUT and OUT.exists():
        shutil.rmtree(OUT)
    given.out.mkdir(parents=True, exist_ok=True)
    template = given.out / "template"
    git(ROOT, "clone", "--quiet", str(ROOT), str(template))
    git(template, "tag", NEXT)
    if git(ROOT, "status", "--porcelain"):
        print("note    what is not committed is not in it")
    release = last_release(ROOT)
    print(f"release {release or 'none yet (no tag v1.2.3): nothing is updated'}")
    wrong = [task for task in given.tasks if not make(Example(task, template, given.out), release, given.training)]
    if wrong:
        print(f"error: the example of {', '.join(wrong)} does not hold", file=sys.stderr)
    return int(bool(wrong))


def arguments(words: list[str]) -> argparse.Namespace:
    tasks = list(constants_of()["parts"])
    raw = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(prog="ci/example", description=__doc__, formatter_class=raw)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"some of {', '.join(tasks)}; else all")
    parser.add_argument("--no-training", dest="training", action="store_false", help="leave the demos out")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FOLDER", help="another, empty folder for all of it")
    given = parser.parse_intermixed_args(words)
    given.tasks, given.out = given.tasks or tasks, given.out.resolve()
    if unknown := [task for task in given.tasks if task not in tasks]:
        parser.error(f"no such task: {', '.join(unknown)} (there are {', '.join(tasks)})")
    if given.out != OUT and given.out.exists() and any(given.out.iterdir()):
        parser.error(f"{given.out} is not empty: --out takes a new folder")
    return given


def make(example: Example, release: str | None, training: bool) -> bool:
    """All steps of one task, until one fails; whether none did."""
    steps = {"generate": lambda: example.generate(example.fresh, NEXT)}
    if release:
        was_there = example.task in tasks_at(example.template, release)
        steps["update"] = lambda: example.update(release) if was_there else f"{release} has no such task"
    if training:
        steps["train"] = example.train
    for name, do in steps.items():
        started = time.monotonic()
        try:
            told = do()
        except Wrong as error:
            print(f"{example.task:<9} {name:<8} wrong\n{error}", flush=True)
            return False
        print(f"{example.task:<9} {name:<8} {time.monotonic() - started:5.1f} s  {told}", flush=True)
    return True


def tasks_at(template: Path, release: str) -> set[str]:
    """The tasks that a release has."""
    of_the_release = FunctionLoader(lambda name: git(template, "show", f"{release}:{name}"))
    return set(constants(questions_in(git(template, "show", f"{release}:copier.yml")), of_the_release)["parts"])


def commit(repo: Path, message: str) -> str:
    git(repo, "add", "--all")
    git(repo, "-c", "commit.gpgsign=false", "commit", "--quiet", "--message", message)
    return f"{len(git(repo, 'ls-files').splitlines())} files"


def python(module: str, *words: str, repo: Path | None = None) -> str:
    """A command of the user's with this environment's Python, in the repository whose code it is to run."""
    path = {"PYTHONPATH": str(repo / "src")} if repo else {}
    return run([sys.executable, "-m", module, *words], repo, {"PYTHONUTF8": "1", **path})


def git(folder: Path, *words: str) -> str:
    return run(["git", *words], folder, {})


def run(command: list[str], folder: Path | None, environment: dict[str, str]) -> str:
    """Returns what it prints.

    Raises:
        Wrong: it failed; its last lines.
    """
    env = {**os.environ, **NAME, **environment}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        told = (done.stdout + done.stderr).rstrip().splitlines()[-SHOWN:]
        raise Wrong("\n".join([" ".join(command), *told]))
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

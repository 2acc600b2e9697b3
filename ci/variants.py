"""Generates every variant and tries it as its user would.

    python ci/variants.py [quick|release|all] [--no-STEP …] [WORD …]

The variants come from copier.yml, parts/ and recipes/: each task with each of its recipes at the default answers
(`quick`), and answers to all prompts that meet each other in pairs (`all`). Each is rendered, linted and type-checked,
its imports are compared with its dependencies, its own tests run, and so does its pipeline, from demo data to a checked
submission and a report. All share this Python's environment. What depends on the same bytes as in another variant is
not done again: the modules of a task are type-checked and tested once. A WORD chooses the variants whose name has it; a
STEP, a column of what is printed, is left out.

`release` is `quick` with the tests marked `release`, which `quick` leaves out; that has one repository type-checked, as
ci/test does it for all code in place.
"""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import yaml
from allpairspy import AllPairs
from checks import files_in, jinja_left_over, misdeclared, mistyped, unlike_the_sample, untidy
from jinja2 import Environment, FileSystemLoader
from questions import ROOT, Questions, choices_of, constants_of, jinja, questions

NASTY = """L'été "à la carte" & <Übung> № 1: {{ 7 * 7 }} #[x] \\n 😀"""
# What is answered where there is nothing to choose from; None: the default.
VALUES: dict[str, list[Any]] = {
    "title": ["Petals", NASTY],
    "slug": [None, "a-2-b"],
    "backbone_name": ["resnet18.a1_in1k"],
    "image_size": [None, 64],
    "folds": [None, 1, 7],
}
Answers = dict[str, Any]


@dataclass(frozen=True)
class Prompts:
    """What copier.yml asks, and the recipes it offers."""

    questions: Questions
    constants: dict[str, Any]  # what its hidden questions say of the tasks
    recipes: dict[str, dict[str, Any]]
    jinja: Environment

    @classmethod
    def read(cls, root: Path = ROOT) -> "Prompts":
        recipes = {
            path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in (root / "recipes").glob("*.yaml")
        }
        found = cls(questions(root), constants_of(root), recipes, jinja(FileSystemLoader(root)))
        for question in found.questions.values():
            if choices := choices_of(question, found.jinja, found.constants):  # the same whatever is answered
                question["choices"] = choices
        return found

    @property
    def asked(self) -> list[str]:
        return [name for name, question in self.questions.items() if question.get("when") is not False]

    def rendered(self, text: str, given: Answers) -> Any:
        """A piece of copier.yml as copier would render it, after these answers."""
        context = {**self.constants, **given}
        if "recipe" in given:
            context["recipe_values"] = self.recipes[given["recipe"]]
        return yaml.safe_load(self.jinja.from_string(text).render(context))

    def choices(self, name: str, given: Answers) -> list[Any]:
        """What can be chosen after these answers; nothing where any text can be typed."""
        choices = self.questions[name].get("choices", {})
        if isinstance(choices, str):
            choices = self.rendered(choices, given)
        return list(choices.values()) if isinstance(choices, dict) else choices

    def is_asked(self, name: str, given: Answers) -> bool:
        when = self.questions[name].get("when", True)
        return bool(self.rendered(when, given)) if isinstance(when, str) else when

    def approaches(self) -> list[Answers]:
        """Every task with each of its recipes."""
        return [
            {"task": task, "recipe": recipe}
            for task in self.choices("task", {})
            for recipe in self.choices("recipe", {"task": task})
        ]


def quick(prompts: Prompts) -> list[Answers]:
    """Each task with each of its recipes, all else as it comes; and a metric of each kind of targets that one tells."""
    approaches, tasks = prompts.approaches(), prompts.constants["tasks"]
    first = {answers["task"]: answers for answers in reversed(approaches)}
    kinds = [(task, metrics[0]) for task, about in tasks.items() for metrics in about.get("kinds", {}).values()]
    return [*approaches, *({**first[task], "metric": metric} for task, metric in kinds)]


def pairs(prompts: Prompts) -> list[Answers]:
    """Answers to all prompts: any two values of two prompts meet in one of them, and each choice is made somewhere.

    Choices that depend on the task or the recipe take turns instead, in all variants of that recipe.
    """
    approaches = prompts.approaches()
    rest = [name for name in prompts.asked if name not in ("task", "recipe")]
    fixed = {
        name: prompts.choices(name, {}) or values_of(name)
        for name in rest
        if not isinstance(prompts.questions[name].get("choices"), str)
    }
    rows = list(AllPairs([range(len(approaches)), *fixed.values()]))
    made = []
    for number, approach in enumerate(approaches):
        mine = [dict(zip(fixed, row, strict=True)) for of, *row in rows if of == number]
        turns = [prompts.choices(name, approach) for name in rest if name not in fixed]
        for turn in range(max(len(mine), *map(len, turns))):
            given = dict(approach)
            for name in rest:
                if prompts.is_asked(name, given):
                    among = [mine[turn % len(mine)][name]] if name in fixed else prompts.choices(name, given)
                    given |= {name: among[turn % len(among)]} if among[turn % len(among)] is not None else {}
            made.append(given)
    return made


def values_of(name: str) -> list[Any]:
    if name not in VALUES:
        raise SystemExit(f"error: the prompt {name} has no choices: name some answers to it in VALUES, ci/variants.py")
    return VALUES[name]


def uncovered(prompts: Prompts, made: list[Answers]) -> list[str]:
    """Choices that copier.yml offers, for some task and recipe, and that no variant makes."""
    missing = set()
    for approach in prompts.approaches():
        for name in prompts.asked:
            depends = isinstance(prompts.questions[name].get("choices"), str)
            scope = {} if not depends else {"task": approach["task"]} if name == "recipe" else approach
            among = [given for given in made if scope.items() <= given.items()]
            if not depends or any(name in given for given in among):
                left = set(prompts.choices(name, approach)) - {given.get(name) for given in among}
                missing |= {f"{name}={value}" + f" for {', '.join(scope.values())}" * depends for value in left}
    return sorted(missing)


TAKES_SMALL = re.compile(r"^def \w+\([^)]*\bsmall\b", re.MULTILINE)  # a test, or a fixture, of each task's own data
MADE: dict[str, Path] = {}  # demo data, by task and settings
MAKING: defaultdict[str, Lock] = defaultdict(Lock)  # what one makes and others wait for
READS_RECIPES = re.compile(r"\brecipes\(\)")

# ------------------------------------------------------------------ trying one


class Wrong(Exception):
    """What is wrong with a variant, or with this command line."""


@dataclass
class Trial:
    """One variant, generated into `repo`."""

    answers: Answers
    folder: Path
    is_first: bool = False  # of those whose tasks share all but their own part
    config: str = "conf/demo.yaml"
    cache: Path = field(default_factory=lambda: ROOT / "template" / ".mypy_cache")  # PyTorch takes the time
    untried: list[str] = field(default_factory=list)  # tests, as pytest takes them; none: all
    release: bool = False  # with the tests that only a release must pass

    @property
    def repo(self) -> Path:
        return self.folder / "new comp"  # a blank, as in many a folder's name

    @property
    def name(self) -> str:
        rest = [str(value) for name, value in self.answers.items() if name not in ("task", "recipe", "title", "slug")]
        return " ".join([f"{self.answers['task']}/{self.answers['recipe']}", *rest])

    def render(self) -> None:
        """As a user does it, from what stands in the working tree."""
        self.folder.mkdir()
        data = [word for name, value in self.answers.items() for word in ("--data", f"{name}={value}")]
        command = ["copier", "copy", "--quiet", "--defaults", "--vcs-ref", "HEAD", *data, str(ROOT), str(self.repo)]
        self.run(*command, cwd=self.folder)
        titles = [NASTY, json.dumps(NASTY, ensure_ascii=False)[1:-1], NASTY.replace("'", "''")]
        refuse(jinja_left_over(self.repo, ROOT / "template", titles))

    def lint(self) -> None:
        refuse(untidy(self.repo))

    def types(self) -> None:
        with MAKING[str(self.cache)]:
            refuse(mistyped(self.repo, self.cache))

    def install(self) -> None:
        refuse(misdeclared(self.repo))

    def tests(self) -> None:
        """All of them; where a shared part has passed as another task's, those of `own_tests`."""
        words = () if self.release else ("-m", "not release")
        cores = os.cpu_count() or 1
        at_once = str(cores + 1 if self.is_first else 0)  # now and then one waits for a process of its own
        given = ("-p", "no:cacheprovider", "--color=no", "--numprocesses", at_once, *words, *self.untried)
        self.run("pytest", *given, GIT_CONFIG_GLOBAL=os.devnull)  # as where git knows nobody's name: a machine of CI's

    def smoke(self) -> None:
        """From nothing to a checked submission and a report: one epoch of one fold of the demo's tiny network."""
        demo: dict[str, Any] = yaml.safe_load((self.repo / "conf/demo.yaml").read_text(encoding="utf-8"))
        baseline = yaml.safe_load((self.repo / "conf/baseline.yaml").read_text(encoding="utf-8"))
        if self.config != "conf/demo.yaml":  # what was answered, on the demo's data with the demo's network
            smoke = {key: value for key, value in demo.items() if key not in ("folds", "metric")}
            missing = baseline.get("tracker", "none") != "none" and not importlib.util.find_spec(baseline["tracker"])
            smoke |= {"base": "baseline.yaml", "name": "smoke", **({"tracker": "none"} if missing else {})}
            (self.repo / self.config).write_text(yaml.safe_dump(smoke), encoding="utf-8")
        self.demo_data(demo)
        self.run("comp", "run", self.config, "train.epochs=1", "folds.use=[0]", *self.in_short(demo))
        submissions = sorted((self.repo / "submissions").glob("*.csv"))
        sample = self.repo / demo["data"]["root"] / "sample_submission.csv"
        refuse([fault for path in submissions for fault in unlike_the_sample(path, sample)])
        if not submissions or not list(self.repo.glob("runs/*/report.html")):
            raise Wrong("no submission, or no report, was made")

    def demo_data(self, demo: dict[str, Any]) -> None:
        """Made by the first with these settings; others of its task get a copy."""
        recipe = yaml.safe_load((self.repo / "conf" / demo["base"]).read_text(encoding="utf-8"))
        place, key = self.repo / demo["data"]["root"], f"{self.answers['task']} {recipe.get('data')} {demo['data']}"
        with MAKING[key]:
            if key in MADE:
                shutil.copytree(MADE[key], place)
            else:
                self.run("comp", "demo-data", "conf/demo.yaml")
                MADE[key] = shutil.copytree(place, self.folder / "demo data")

    def in_short(self, demo: dict[str, Any]) -> list[str]:
        """One epoch of members and students too.

        The first trains with two processes; others do not look for duplicates, nor fit all baselines, once more.
        """
        words = ["pseudo.train.epochs=1"] if "epochs" in demo.get("pseudo", {}).get("train", {}) else []
        if members := demo.get("members"):
            short = [{**each, "train": {**each.get("train", {}), "epochs": 1}} for each in members]
            words.append(f"members={json.dumps(short)}")
        if self.is_first:
            return [*words, "train.processes=2"]
        images = "vision" in self.shared_folders()
        return [*words, "folds.near_duplicates=null" if images else "baselines=[mean]"]

    def run(self, program: str, *words: str, cwd: Path | None = None, **variables: str) -> None:
        """A command of the user's, with this environment's Python; `variables` of the environment besides."""
        command = [sys.executable, "-m", program, *words]
        environment = {**os.environ, "PYTHONPATH": str(self.repo / "src"), "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
        environment |= variables
        done = subprocess.run(
            command, cwd=cwd or self.repo, env=environment, capture_output=True, encoding="utf-8", check=False
        )
        if done.returncode:
            told = (done.stdout + done.stderr).rstrip()
            raise Wrong(f"{program} {' '.join(words)}\n{told[-6000:]}")

    def own_folders(self) -> list[str]:
        """Of its task alone, below src/comp and tests."""
        parts: dict[str, list[str]] = constants_of()["parts"]
        others = {folder for task, folders in parts.items() if task != self.answers["task"] for folder in folders}
        return [folder for folder in parts[self.answers["task"]] if folder not in others]

    def shared_folders(self) -> tuple[str, ...]:
        """Of its task and others, likewise."""
        own = self.own_folders()
        return tuple(folder for folder in constants_of()["parts"][self.answers["task"]] if folder not in own)

    def house(self) -> str:
        """The bytes of code and tests that are not its task's alone."""
        return self._bytes_outside(self.own_folders(), [self.answers["task"]])

    def ground(self) -> str:
        """The bytes of code and tests that are no task's, nor the user's: what every repository has."""
        parts: dict[str, list[str]] = constants_of()["parts"]
        folders = {folder for folders in parts.values() for folder in folders}
        return self._bytes_outside([*folders], [*folders, *parts], "src/comp/custom.py")

    def _bytes_outside(self, folders: list[str], entries: list[str], *left_out: str) -> str:
        """Of code and tests, but for these folders, entries of tasks and files."""
        left_out += tuple(f"{place}/{folder}/" for folder in folders for place in ("src/comp", "tests"))
        left_out += tuple(f"src/comp/tasks/{entry}.py" for entry in entries)
        found = hashlib.blake2b()
        for path in files_in(self.repo):
            name = path.relative_to(self.repo).as_posix()
            if name.startswith(("src", "tests")) and not name.startswith(left_out):
                found.update(name.encode() + b"\0" + path.read_bytes())
        return found.hexdigest()

    def is_taken(self, step: str, taken: set[str]) -> bool:
        """Whether another variant with the same bytes is tried, or was; if none, this one is from now on."""
        if step == "render":
            return self.repo.exists()
        key = self.key(step)
        with MAKING["taken"]:
            found = key in taken
            taken.add(key)
        return found

    def key(self, step: str) -> str:
        """The bytes that a step depends on.

        The type checker has seen all code where the template stands, so until a release one repository will do.
        """
        if step == "types" and not self.release:
            return step
        wanted = {"lint": ("src", "tests", "ruff.toml", "pyproject.toml"), "types": ("src", "mypy.ini")}
        wanted["tests"] = ("src", "tests", "conf/recipes")
        found = hashlib.blake2b(step.encode())
        for path in files_in(self.repo):
            name = path.relative_to(self.repo).as_posix()
            if step not in wanted or name.startswith(wanted[step]):
                found.update(name.encode() + b"\0" + path.read_bytes())
        return found.hexdigest()


def refuse(faults: list[str]) -> None:
    if faults:
        raise Wrong("\n".join(faults))


STEPS: dict[str, Callable[[Trial], None]] = {
    "render": Trial.render,
    "lint": Trial.lint,
    "types": Trial.types,
    "install": Trial.install,
    "tests": Trial.tests,
}
SMOKE: dict[str, Callable[[Trial], None]] = {"smoke": Trial.smoke}


def trials(level: str, folder: Path) -> Iterator[Trial]:
    """The variants of a level."""
    prompts = Prompts.read()
    made = quick(prompts) + pairs(prompts)
    refuse([f"copier.yml offers {choice}, and no variant makes that choice" for choice in uncovered(prompts, made)])
    for number, answers in enumerate(made if level == "all" else quick(prompts)):
        trial = Trial(answers, folder / str(number), release=level != "quick")
        if number >= len(quick(prompts)):
            trial.config = "conf/smoke.yaml"
        yield trial


def main(words: list[str]) -> int:
    """Prints a line a variant, and what went wrong; 1 if something did.

    First those whose tests take all cores, one after the other; then, side by side, the others and all smoke runs, each
    of which takes one.
    """
    level = words[0] if words and words[0] in ("quick", "release", "all") else "quick"
    left_out = {word.removeprefix("--no-") for word in words if word.startswith("--no-")}
    if unknown := left_out - (STEPS.keys() - {"render"}):
        print(f"error: no step that can be left out is called {', '.join(sorted(unknown))}", file=sys.stderr)
        return 1
    steps = {name: do for name, do in STEPS.items() if name not in left_out}
    named = [word for word in words if word != level and not word.startswith("--no-")]
    taken: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="variants-") as folder:
        try:
            chosen = [trial for trial in trials(level, Path(folder)) if all(word in trial.name for word in named)]
        except Wrong as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        for trial in {trial.shared_folders(): trial for trial in reversed(chosen)}.values():
            trial.is_first = True
        all_steps, failed = {**steps, **SMOKE}, []
        print(f"{_row(all_steps)}  ok   variant (s; =: the same bytes are tried in another line)")
        for trial in filter(lambda trial: trial.is_first, chosen):
            failed += [trial] if not _tell(trial, *attempt(trial, steps, taken), of=len(all_steps)) else []
        rest = sorted((trial for trial in chosen if trial not in failed), key=lambda trial: not trial.is_first)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            tried = pool.map(lambda trial: attempt(trial, all_steps, taken), rest)
            ran = [_tell(trial, *outcome, of=len(all_steps)) for trial, outcome in zip(rest, tried, strict=True)]
    return int(bool(failed) or not all(ran))


def _row(cells: Iterable[str]) -> str:
    return "  ".join(f"{cell:>7}" for cell in cells)


def _tell(trial: Trial, cells: list[str], fault: str, of: int) -> bool:
    """Prints a variant's line, with `of` cells, and what was wrong; whether nothing was."""
    print(f"{_row([*cells, *[''] * (of - len(cells))])}  {'no ' if fault else 'yes'}  {trial.name}", flush=True)
    if fault:
        print(fault, file=sys.stderr, flush=True)
    return not fault


def attempt(trial: Trial, steps: dict[str, Callable[[Trial], None]], taken: set[str]) -> tuple[list[str], str]:
    """A cell a step, and what was wrong: the first fault ends it. `taken`: keys of what was tried, or is just now."""
    cells: list[str] = []
    for step, do in steps.items():
        if trial.is_taken(step, taken):
            cells.append("=")
            continue
        started = time.monotonic()
        if step == "tests":
            house, ground = trial.house(), trial.ground()
            trial.untried = own_tests(trial, house in taken) if {house, ground} & taken else []
            taken |= {house, ground}
        try:
            do(trial)
        except Wrong as error:
            return [*cells, "wrong"], f"{step}: {error}"
        cells.append(f"{time.monotonic() - started:.1f}")
    return cells, ""


def own_tests(trial: Trial, house_passed: bool) -> list[str]:
    """What to try of a repository whose shared part has passed as another task's: words for pytest.

    If all but its task's own part has (`house_passed`), tests in the folders of the task alone, those of no folder, and
    those of its other folders that read its recipes. Else, if what no task owns has, all tests of its folders, and
    those elsewhere that run for each task. For a release, whole files, and all that stand at the top of its folders.
    """
    tests, parts = trial.repo / "tests", constants_of()["parts"][trial.answers["task"]]
    wanted = trial.own_folders() if house_passed else parts
    loose, others = sorted(tests.glob("test_*.py")), list[Path]()
    for folder in sorted(path for path in tests.iterdir() if path.is_dir() and path.name not in wanted):
        if folder.name in parts:
            others += [path for path in folder.glob("test_*.py") if trial.release or says(path, READS_RECIPES)]
        elif not house_passed:
            others += [path for path in folder.glob("**/test_*.py") if says(path, TAKES_SMALL)]
    files = [f"tests/{name}" for name in wanted if (tests / name).is_dir()]
    files += sorted(path.relative_to(trial.repo).as_posix() for path in [*loose, *others])
    by_name = ["-k", " or ".join([*wanted, *(path.stem for path in loose)])]
    return files if house_passed or trial.release else [*files, *by_name]


def says(path: Path, what: re.Pattern[str]) -> bool:
    return bool(what.search(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

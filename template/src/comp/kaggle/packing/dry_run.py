"""Runs a package's notebook as Kaggle would: from the packed files alone, without a network, under its limits.

Each layout of inputs in turn. Nothing is imported from this repository there, and nothing that Kaggle's image lacks.
"""

import os
import shutil
import site
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import psutil
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from comp.config.common import Kaggle
from comp.errors import CompError, shortened
from comp.files import file_digest, write_text
from comp.kaggle.notebook import INPUT, WORKING
from comp.kaggle.packing import guard, run_cells
from comp.kaggle.packing.pack import GB, NOTEBOOK, Package
from comp.kaggle.packing.wheels import image_of, is_pure
from comp.kaggle.secrets import scrubbed

POLL_S = 0.25
LOG = "dry_run.log"
SUBMISSION = "submission.csv"
# Where Kaggle may put the competition and the dataset, below /kaggle/input.
LAYOUTS = {
    "both in folders of their kind": ("competitions/{competition}", "datasets/{owner}/{dataset}"),
    "the competition in one": ("competitions/{competition}", "{dataset}"),
    "both at the top": ("{competition}", "{dataset}"),
}
# What a child does not get: credentials, what other tools keep, and what this program tells its own processes.
NOT_GIVEN = ("KAGGLE", "PYTHON", "COMP_", "HF_", "WANDB_", "AWS_", "RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_")
SECRETS = ("TOKEN", "SECRET", "PASSWORD", "_KEY")


@dataclass(frozen=True)
class Took:
    """What a run of the notebook took at most."""

    seconds: float
    ram: int  # bytes


def dry_run(package: Package, root: Path, settings: Kaggle) -> None:
    """Runs the notebook in each layout, `root` being the competition's data. What it prints is kept in `dry_run.log`.

    Raises:
        CompError: it fails, takes too long or too much memory, changes its inputs, or writes different submissions.
    """
    alone = _namespace()
    how = "in a network namespace of its own" if alone else "by refusing every connection in its processes"
    print(f"dry run without a network, {how}", flush=True)
    written: dict[str, str] = {}
    logs: list[str] = []
    with tempfile.TemporaryDirectory(prefix="comp-dry-run-", ignore_cleanup_errors=True) as folder:
        room = Path(folder).resolve()
        shutil.copytree(package.dataset, room / "dataset", ignore=shutil.ignore_patterns("dataset-metadata.json"))
        shutil.copytree(package.notebook, room / "notebook")
        for module, name in ((guard, "sitecustomize.py"), (run_cells, "run_cells.py")):
            (room / "guard").mkdir(exist_ok=True)
            shutil.copy2(str(module.__file__), room / "guard" / name)
        environment = _environment(room, _hidden(package, settings))
        before = _state(room / "dataset")
        for layout, places in LAYOUTS.items():
            names = {"competition": package.competition, "owner": package.owner, "dataset": package.dataset_slug}
            mounted = _mount(room, root, *(place.format(**names) for place in places))
            try:
                took = _run(room, alone, environment, settings)
            except CompError as error:
                raise CompError(f"the notebook fails ({layout}): {error}") from None
            finally:
                mounted.rename(room / "dataset")
                logs.append(f"== {layout}\n{_read(room / 'log')}")
                write_text(package.folder / LOG, scrubbed("\n".join(logs)))
            if _state(room / "dataset") != before:
                raise CompError("the notebook writes into its dataset, which Kaggle mounts read-only")
            submission = room / "working" / SUBMISSION
            if not submission.is_file():
                raise CompError(f"the notebook has written no {SUBMISSION}")
            written[layout] = file_digest(submission)
            rows = len(submission.read_text(encoding="utf-8").splitlines()) - 1
            print(f"dry run {layout}: {rows} rows in {took.seconds:.0f} s, {took.ram / GB:.2f} GB", flush=True)
        if len(set(written.values())) > 1:
            raise CompError(f"the notebook writes another submission in another layout: see {package.folder / LOG}")


def _namespace() -> list[str]:
    """A command that runs another one where there is no network at all, if this machine lends one."""
    words = ["unshare", "--map-root-user", "--net", "--"]
    if shutil.which(words[0]) is None:
        return []
    lent = subprocess.run([*words, sys.executable, "-I", "-S", "-c", ""], capture_output=True, check=False)
    return [] if lent.returncode else words


def _hidden(package: Package, settings: Kaggle) -> set[str]:
    """Modules that are installed here, and that the notebook may not see unless their wheel is installed there.

    A wheel for Kaggle's machines alone cannot be installed on others: there, what is installed stands in for it.
    """
    there = _with_dependencies({*image_of(settings), "pip", "setuptools"})
    wheels = sorted((package.dataset / "wheels").glob("*.whl"))
    for path in wheels:
        if not is_pure(path):
            print(f"dry run what is installed here stands in for {path.name}, which is for Kaggle's machines")
            there |= _with_dependencies({canonicalize_name(path.name.split("-")[0])})
    there -= {canonicalize_name(path.name.split("-")[0]) for path in wheels if is_pure(path)}
    installed = packages_distributions()
    return {
        module
        for module, names in installed.items()
        if not there.intersection(map(canonicalize_name, names)) and module not in sys.stdlib_module_names
    }


def _with_dependencies(names: set[str]) -> set[str]:
    found, waiting = set[str](), sorted(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        try:
            needed = [Requirement(text) for text in requires(name) or []]
        except PackageNotFoundError:
            continue
        waiting += [
            canonicalize_name(each.name)
            for each in needed
            if each.marker is None or each.marker.evaluate({"extra": ""})
        ]
    return found


def _environment(room: Path, hidden: set[str]) -> dict[str, str]:
    """A home of its own, so that no cache of weights is found; no credentials."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(NOT_GIVEN) and not any(word in name.upper() for word in SECRETS)
    }
    homes = ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "TORCH_HOME", "HF_HOME", "MPLCONFIGDIR")
    (room / "home").mkdir()
    (room / "tmp").mkdir()
    return {
        **kept,
        **dict.fromkeys(homes, str(room / "home")),
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(room / "tmp")),
        INPUT: str(room / "input"),
        WORKING: str(room / "working"),
        guard.ROOM: str(room),
        guard.HIDDEN: " ".join(sorted(hidden)),
        "PYTHONPATH": str(room / "guard"),
        "PYTHONUSERBASE": site.getuserbase(),
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
    }


def _mount(room: Path, root: Path, competition: str, dataset: str) -> Path:
    """Puts the competition's data and the package where the layout has them; where the package is."""
    for name in ("input", "working"):
        shutil.rmtree(room / name, ignore_errors=True)
        (room / name).mkdir()
    place, mounted = room / "input" / competition, room / "input" / dataset
    for path in (place, mounted):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        place.symlink_to(root.resolve(), target_is_directory=True)
    except OSError:  # Windows lends links to some only
        shutil.copytree(root, place)
    (room / "dataset").rename(mounted)
    return mounted


def _run(room: Path, alone: list[str], environment: dict[str, str], settings: Kaggle) -> Took:
    """Raises: CompError: what the notebook failed with, or the limit that it went beyond."""
    command = [*alone, sys.executable, str(room / "guard" / "run_cells.py"), str(room / "notebook" / NOTEBOOK)]
    given = {**environment, run_cells.ALONE: "yes"} if alone else environment
    started, most = time.monotonic(), 0
    with (room / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=room / "working", env=given, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            while process.poll() is None:
                most = max(most, _memory_of(process.pid))
                if most > settings.ram_gb * GB:
                    raise CompError(f"it takes more than {settings.ram_gb:g} GB of memory (kaggle.ram_gb)")
                if time.monotonic() - started > settings.hours * 3600:
                    raise CompError(f"it takes longer than {settings.hours:g} hours (kaggle.hours)")
                time.sleep(POLL_S)
        finally:
            _end(process)
    if process.returncode:
        lines = [line for line in _read(room / "log").splitlines() if line.startswith(run_cells.FAILED)]
        why = lines[-1].removeprefix(run_cells.FAILED) if lines else f"it ended with status {process.returncode}"
        raise CompError(scrubbed(why if len(why) <= 400 else shortened(why[:200]) + why[-200:]))
    return Took(time.monotonic() - started, most)


def _memory_of(process: int) -> int:
    """Bytes that a process and what it has started hold, what they share counted once where the system tells."""
    total = 0
    for each in _tree(process):
        try:
            held = each.memory_full_info()
            total += getattr(held, "pss", held.uss)
        except psutil.AccessDenied:
            total += _resident(each)
        except psutil.Error:  # it has ended
            continue
    return total


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _tree(process: int) -> list[psutil.Process]:
    try:
        first = psutil.Process(process)
        return [first, *first.children(recursive=True)]
    except psutil.Error:
        return []


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends the notebook and all that it has started; where it has ended, nothing happens."""
    for each in reversed(_tree(process.pid)) if process.poll() is None else ():
        try:
            each.kill()
        except psutil.Error:
            continue
    process.wait()


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    """Of each file below: how long it is, and when it was changed."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

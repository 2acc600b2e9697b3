"""`comp handover`: the folder `handover/<run>/`, from what the run and all that it is made of have stored."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from comp.config import Experiment
from comp.errors import CompError
from comp.files import write_json, write_text
from comp.kaggle.handover.archive import entry_points, readme
from comp.kaggle.handover.chain import Handover, Made, chain
from comp.kaggle.handover.facts import MARK
from comp.kaggle.handover.packages import requirements
from comp.kaggle.handover.summary import summary
from comp.runs.rundir import RUNS, SUBMISSIONS, RunDir

FOLDER = Path("handover")
SKIPPED = ("__pycache__", ".egg-info", "_cache")


def handover(config: Experiment, force: bool = False) -> None:
    """Writes the pages, unless they are there: what was filled in is never written over.

    Raises:
        CompError: there is no such run, it is not finished, or one that it is made of is damaged.
    """
    folder = FOLDER / config.name
    if (folder / "README.md").exists() and not force:
        print(f"handover  {folder} is there already: kept, with what was filled in (--force writes it anew)")
        return
    if not RunDir.of(config).metrics.is_file() and RunDir.of(config).config.is_file():
        raise CompError(f"{RunDir.of(config).path} has no score yet: run comp train name={config.name} to its end")
    runs, gone = chain(config.name)
    trained = runs[-1].config
    taken = (Path(trained.data.work or trained.data.root) / "golden.csv").is_file()
    whole = Handover(runs, gone, folder.as_posix(), taken)
    for made in runs:
        shutil.copyfile(made.run.config, _made_ready(folder / "configs" / f"{made.name}.yaml"))
    write_text(folder / "requirements.txt", requirements(_recorded(runs)))
    write_json(folder / "SETTINGS.json", _settings(trained, whole))
    write_text(folder / "entry_points.md", entry_points(whole))
    write_text(folder / "MODEL_SUMMARY.md", summary(whole))
    write_text(folder / "directory_structure.txt", "\n".join([*_folders(runs, trained, folder), ""]))
    write_text(folder / "README.md", readme(whole))  # last: marks it as whole
    _tell(folder, runs, gone)


def _made_ready(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _recorded(runs: list[Made]) -> dict[str, str]:
    """The packages that the newest run which was trained has noted."""
    noted = [made.run.read_made_with().get("machine") or {} for made in runs if not made.combines]
    return dict(noted[-1].get("packages", {})) if noted else {}


def _settings(config: Experiment, whole: Handover) -> dict[str, object]:
    """Where everything lies, in the words of Kaggle's guide."""
    return {
        "COMPETITION": config.kaggle.competition,
        "RAW_DATA_DIR": config.data.root,
        "CLEAN_DATA_DIR": config.data.work or config.data.root,
        "MODEL_DIR": RUNS.as_posix(),
        "SUBMISSION_DIR": SUBMISSIONS.as_posix(),
        "CONFIG_DIR": whole.configs,
    }


def _folders(runs: list[Made], config: Experiment, folder: Path) -> Iterator[str]:
    """The folders of the code, those of these runs, and the first ones of the data."""
    roots = {Path(config.data.root).parts[:1], Path(config.data.work or config.data.root).parts[:1]}
    names = {(each.name,) for each in (RUNS, SUBMISSIONS, FOLDER)} | roots
    for top in sorted(path for path in Path().iterdir() if path.is_dir() and (path.name,) not in names):
        yield from _below(top)
    shown = [*(made.run.path for made in runs), SUBMISSIONS, folder, Path(config.data.root)]
    for each in shown:
        yield each.as_posix()
        yield from sorted(path.as_posix() for path in each.iterdir() if path.is_dir()) if each.is_dir() else ()


def _below(top: Path) -> Iterator[str]:
    if top.name.startswith(".") or top.name.endswith(SKIPPED):
        return
    for parent, inside, _ in os.walk(top):
        inside[:] = sorted(name for name in inside if not name.startswith(".") and not name.endswith(SKIPPED))
        yield Path(parent).as_posix()


def _tell(folder: Path, runs: list[Made], gone: list[str]) -> None:
    print(f"handover  {len(runs)} run{'s' * (len(runs) > 1)}, in this order: {', '.join(made.name for made in runs)}")
    if gone:
        print(f"warning: not here any more, and so not described: {', '.join(gone)}")
    left = sum(path.read_text(encoding="utf-8").count(MARK) for path in folder.glob("*.md"))
    print(f"          {left} places are marked {MARK}: what no run knows")
    print(f"wrote   {folder / 'README.md'}, and beside it MODEL_SUMMARY.md, entry_points.md and the configurations")

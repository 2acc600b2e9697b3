"""Puts a package together: the folder `dataset/` with all that the notebook needs, and `notebook/` with itself."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comp.config import Experiment, to_yaml
from comp.config.load import changed, modules_of
from comp.errors import CompError
from comp.files import beside, write_json, write_text
from comp.kaggle.client import competition
from comp.kaggle.metadata import (
    KERNEL,
    Sources,
    dataset_metadata,
    kernel_metadata,
    owner,
    slug_of,
    title_of,
)
from comp.kaggle.packing import MARKER
from comp.kaggle.packing.cells import package_notebook
from comp.kaggle.packing.code import code_of
from comp.kaggle.packing.needs import Needs, Part
from comp.kaggle.packing.wheels import Import, check_closure, fetch, imports_of
from comp.kaggle.secrets import refuse_secrets

PACKAGES = Path("kaggle")
NOTEBOOK = "submission.ipynb"
SUBTITLE = "Code, weights and wheels of a run, for one notebook"
OF_A_RUN = ("config.yaml", "made_with.json", "metrics.json")
OF_A_FOLD = ("best.safetensors", "metrics.json")
GB = 1e9


@dataclass(frozen=True)
class Package:
    """A package on the disk, and what it is called on Kaggle."""

    folder: Path
    owner: str
    competition: str
    dataset_slug: str
    imports: list[Import]

    @property
    def dataset(self) -> Path:
        return self.folder / "dataset"

    @property
    def notebook(self) -> Path:
        return self.folder / "notebook"


def pack(config: Experiment, needs: Needs) -> Package:
    """Writes `kaggle/<name>/`; what was there of an earlier package gives way to it once all is well.

    Raises:
        CompError: something is missing, too large, or holds a credential; the earlier package stays as it was.
    """
    slug, user = competition(config), owner(config)
    code = code_of([*needs.modules, *_started(config)])
    imports = imports_of(code, config.kaggle)
    final = PACKAGES / config.name
    package = Package(final, user, slug, slug_of(slug, config.name), imports)
    final.mkdir(parents=True, exist_ok=True)
    building = beside(final / "package")
    try:
        dataset = building / "dataset"
        for name, path in code.files.items():
            _copy(path, dataset / "src" / name)
        for part in needs.parts:
            _copy_run(part, dataset)
        for name, content in needs.files.items():
            if isinstance(content, Path):
                _copy(content, dataset / name)
            else:
                write_text(dataset / name, content)
        wheels = fetch(imports, dataset / "wheels", package.dataset / "wheels", config.kaggle)
        check_closure(wheels, config.kaggle)
        _write_list(dataset, needs, imports, {name: path.name for name, path in wheels.items()}, config)
        write_json(
            dataset / "dataset-metadata.json",
            dataset_metadata(user, package.dataset_slug, title_of(package.dataset_slug), SUBTITLE),
        )
        _write_notebook(building / "notebook", package, config)
        refuse_secrets(building)
        _refuse_large(dataset, config.kaggle.dataset_gb)
        for folder in (package.dataset, package.notebook):
            shutil.rmtree(folder, ignore_errors=True)
            (building / folder.name).replace(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return package


def size_of(folder: Path) -> int:
    """Bytes of all files below."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _started(config: Experiment) -> list[str]:
    """The modules of every command line, of this task's parts, and of its predictions."""
    return ["comp.__main__", "comp.custom", "comp.distributed.launch", *modules_of(config.task, "predict")]


def _copy(source: Path, place: Path) -> None:
    if not source.is_file():
        raise CompError(f"{source} is missing, and the notebook needs it")
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, place)


def _copy_run(part: Part, dataset: Path) -> None:
    """The weights of the folds that are used, what tells how they were trained, and how they are to predict now."""
    run, name = part.run, part.config.name
    for file in OF_A_RUN:
        if (run.path / file).is_file() or file == OF_A_RUN[0]:
            _copy(run.path / file, dataset / "runs" / name / file)
    for number in part.folds:
        for file in OF_A_FOLD:
            _copy(run.fold(number) / file, dataset / "runs" / name / run.fold(number).name / file)
    packed = changed(part.config, members=[], member=None, data={"root": ".", "work": None})
    write_text(dataset / "conf" / f"{name}.yaml", to_yaml(packed))


def _write_list(dataset: Path, needs: Needs, imports: list[Import], wheels: dict[str, str], config: Experiment) -> None:
    """`comp-package.json`: what is in the dataset, what it needs, and what the notebook is to do with it."""
    files = {path.relative_to(dataset).as_posix(): path.stat().st_size for path in sorted(dataset.rglob("*"))}
    listed: dict[str, Any] = {
        "runs": [part.config.name for part in needs.parts],
        "competition": {"markers": needs.markers, "option": needs.option, "rows": needs.rows},
        "writer": needs.writer,
        "python": config.kaggle.python,
        "imports": {
            each.module: {"package": each.package, "version": each.version, "wheel": wheels.get(each.package)}
            for each in imports
        },
        "files": {name: size for name, size in files.items() if (dataset / name).is_file()},
    }
    write_json(dataset / MARKER, listed)


def _write_notebook(folder: Path, package: Package, config: Experiment) -> None:
    slug = slug_of(package.competition, config.name, bounds=KERNEL)
    address = f"{package.owner}/{package.dataset_slug}"
    content = package_notebook(title_of(slug), config.name, package.competition, address)
    write_text(folder / NOTEBOOK, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    sources = Sources((package.competition,), (address,))
    write_json(folder / "kernel-metadata.json", kernel_metadata(package.owner, slug, title_of(slug), NOTEBOOK, sources))


def _refuse_large(dataset: Path, most_gb: float) -> None:
    size = size_of(dataset)
    if size > most_gb * GB:
        parts = {path.name: size_of(path) if path.is_dir() else path.stat().st_size for path in dataset.iterdir()}
        largest = max(parts, key=lambda name: parts[name])
        raise CompError(
            f"the dataset would have {size / GB:.3g} GB, kaggle.dataset_gb is {most_gb:g}: {largest} has "
            f"{parts[largest] / GB:.3g} of them; fewer folds ('folds=[0,1]') or fewer runs are smaller"
        )

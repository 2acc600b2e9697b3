"""The code as a dataset: what `comp train` reads beside the competition's files, and nothing else."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comp.config import Experiment
from comp.config.load import members_of
from comp.errors import CompError
from comp.files import digest, file_digest, write_json
from comp.folds import digest_in, folds_path
from comp.kaggle.packing.code import files_below, source_files
from comp.kaggle.secrets import refuse_secrets

MARKER = "comp-code.json"  # at its top, with the digest of all files: the notebook finds it by this name
INSIDE = "code"  # the folder that Kaggle's client packs; what lies loose would be taken apart from it
WORK = "work"  # in it: what stands beside the images, and decides which rows are whose
TOP = ("pyproject.toml", ".copier-answers.yml")  # which packages it needs, and which version of the template it is


@dataclass(frozen=True)
class Packed:
    """A folder that becomes a dataset."""

    folder: Path
    whole: str  # a digest of all that is in it
    code: str  # the same without what stands beside the images: Kaggle may make the folds, and they are fetched then
    folds: str  # their digest; empty: there are none yet


def pack(config: Experiment, folder: Path) -> Packed:
    """Writes `folder` anew: the code, what goes along, and the marker. The same content has the same digests.

    Raises:
        CompError: `model.weights` or `model.backbone` names what is elsewhere, or a file holds a credential.
    """
    shutil.rmtree(folder, ignore_errors=True)
    lines = []
    for name, source in sorted(set(_files(config))):  # members may share weights
        place = folder / INSIDE / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)
        lines.append(f"{name} {file_digest(place)}")
    refuse_secrets(folder / INSIDE)
    whole, code = digest(lines), digest([line for line in lines if not line.startswith(f"{WORK}/")])
    write_json(folder / MARKER, {"digest": whole})
    path = folds_path(config)
    return Packed(folder, whole, code, digest_in(path) if path.is_file() else "")


def _files(config: Experiment) -> Iterator[tuple[str, Path]]:
    """Each file by its name in the dataset, and where it is."""
    for name, path in source_files().items():
        yield f"src/{name}", path
    for path in (*files_below(Path("conf")), *map(Path, TOP), *_models(config)):
        if path.is_file():
            yield path.as_posix(), path
    for name in ("folds.csv", "golden.csv"):
        path = folds_path(config).with_name(name)
        if path.is_file():
            yield f"{WORK}/{name}", path


def fetches_weights(model: Any) -> bool:
    """Whether a configuration's `model` takes its weights from the internet: no file or folder of them is here."""
    return getattr(model, "pretrained", False) and model.weights is None and not is_folder(model.backbone)


def is_folder(backbone: str) -> bool:
    """Whether the backbone is a folder of weights of this machine, not a name."""
    return Path(backbone).expanduser().is_dir()


def _models(config: Experiment) -> Iterator[Path]:
    """The files of `model.weights`, and of a backbone that is a folder, of each model that is trained."""
    for trained in members_of(config) if config.members else [config]:
        model = getattr(trained, "model", None)
        for key in ("weights", "backbone"):
            named = getattr(model, key, None)
            if named is None or (key == "backbone" and not is_folder(named)):
                continue  # the hub has it
            path = Path(named)
            if path.is_absolute() or ".." in path.parts or not path.exists():
                raise CompError(f"model.{key}={named} is not below this folder: copy it there, so that it goes along")
            yield from (each for each in ([path] if path.is_file() else path.rglob("*")) if each.is_file())

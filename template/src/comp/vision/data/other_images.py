"""Images that are no row of the competition's tables: any folder, or a table that is read as a test table is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from comp.errors import CompError, shown
from comp.tables import refuse_duplicates
from comp.vision.data.find_images import image_files
from comp.vision.data.metadata import IMAGE_FACTS
from comp.vision.data.read import find_test_images
from comp.vision.data.sample_submission import is_called_otherwise, read_sample, sample_file
from comp.vision.data.sources import settled_root, test_source
from comp.vision.data.spelling import is_image
from comp.vision.data.table_of_images import TableOfImages
from comp.vision.schema import Data


@dataclass(frozen=True)
class OtherImages:
    """`table` has an `id` and a `path` for each row; of a folder nothing else, of a table its columns as text."""

    source: Path
    table: pd.DataFrame
    id_column: str  # what the ids are called where they come from
    about: str

    @property
    def is_folder(self) -> bool:
        return self.source.is_dir()


def read_other_images(source: Path, data: Data, own_ids: Sequence[str] = ()) -> OtherImages:
    """The images of a folder or of a table. `own_ids`, of a run's test rows, show how a folder's ids are spelled; where
    there are none, and it is the competition's own test folder, the sample submission does.

    Raises:
        CompError: there is no such folder or table, it has no images, or an id appears twice.
    """
    configured = Path(data.root)
    data = settled_root(data)[0] if data.reader == "auto" else data
    if source.is_dir():
        return _of_folder(source, own_ids or _asked_for(source, data))
    if not source.is_file():
        raise CompError(f"{source} is not there: --images names a folder of images, or a table of them (CSV, parquet)")
    sample = _sample(data, source)
    data = data.model_copy(update={"root": str(_root_of(source, Path(data.root), configured))})
    read = TableOfImages.read(data, source, data.path if data.test_path == "auto" else data.test_path)
    id_column, how = find_test_images(data, read, sample)
    refuse_duplicates(read.table["id"], str(source))
    return OtherImages(source, read.table, id_column, f"{len(read.table)} rows of {source}; {how}")


def refuse_without_metadata(images: OtherImages, wanted: Sequence[str]) -> None:
    """Raises: CompError: it is a folder, and model.metadata names columns that no file has."""
    unknown = [name for name in wanted if name not in IMAGE_FACTS]
    if images.is_folder and unknown:
        raise CompError(
            f"the models also go by {shown(unknown)} (model.metadata), which a folder does not have: name a table with "
            "these columns, --images TABLE"
        )


def _of_folder(folder: Path, own_ids: Sequence[str]) -> OtherImages:
    names = image_files(folder)
    if not names:
        raise CompError(f"there are no images in {folder}")
    ids, how = _ids_of_files(names, folder, own_ids)
    paths = [str(folder / name) for name in names]
    table = pd.DataFrame({"id": ids, "path": paths}, dtype=object)
    return OtherImages(folder, table, "id", f"{len(names)} images in {folder}; ids are their {how}")


def _ids_of_files(names: list[str], folder: Path, own_ids: Sequence[str]) -> tuple[list[str], str]:
    """Paths in the folder; without their suffix, or with the folder's name before, where all of the run's ids are."""
    stems = [name.rpartition(".")[0] for name in names]
    if len(own_ids) and not any(is_image(each) for each in own_ids) and len(set(stems)) == len(stems):
        return stems, "names without extension, as the run's own"
    if len(own_ids) and all(each.startswith(f"{folder.name}/") for each in own_ids):
        return [f"{folder.name}/{name}" for name in names], "paths, as the run's own"
    return names, "paths in it"


def _asked_for(folder: Path, data: Data) -> list[str]:
    """The ids of the sample submission, if `folder` is the competition's own test folder."""
    root = Path(data.root)
    own = test_source(data, root) if data.reader == "auto" and data.test is not None and root.is_dir() else None
    sample = _sample(data, folder) if own is not None and own.resolve() == folder.resolve() else None
    return [] if sample is None else sample.iloc[:, 0].tolist()


def _sample(data: Data, source: Path) -> pd.DataFrame | None:
    """The sample submission where it is at hand; it shows what the competition calls its ids.

    `source` may be it; one that is merely called a table of samples is none.
    """
    path = sample_file(data)
    if path is None or not path.is_file():
        return None
    unsure = data.sample_submission == "auto" and is_called_otherwise(path)
    return None if unsure and path.resolve() == source.resolve() else read_sample(data)[0]


def _root_of(source: Path, *roots: Path) -> Path:
    """What paths in a table are relative to: the first of `roots` that it lies in, else its own folder."""
    return next((root for root in roots if source.resolve().is_relative_to(root.resolve())), source.parent)

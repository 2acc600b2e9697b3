"""The generated images: their labels as classes of this competition, what they were made from, and which are taboo."""

from pathlib import Path

import numpy as np
import pandas as pd

from comp.errors import CompError, shown
from comp.tables import Tables, Targets
from comp.vision.data.other_set import as_written, reading_other_set, with_other_set
from comp.vision.data.own_columns import own_column, users_names
from comp.vision.data.read import read_all, read_labels
from comp.vision.data.settle import settled_data
from comp.vision.folds.duplicates import find_duplicates
from comp.vision.schema import ImageConfig, Synth

PARENTS = ("parent", "parent_id", "source", "original", "real")  # how a column of parents may be called


def settings_of(config: ImageConfig) -> Synth:
    """Raises: CompError: nothing is said of generated images."""
    if config.synth is None:
        raise CompError("synth: is not set: name the generated images, such as 'synth.data={root: data/synthetic}'")
    return config.synth


def with_their_data(config: ImageConfig, paths: list[str] | None = None) -> ImageConfig:
    """`config` whose `data` are the generated images; with `paths`, how they become pixels is settled."""
    settings_of(config)
    other = with_other_set(config, "synth")
    if paths is None:
        return other
    with reading_other_set("synth"):
        return other.model_copy(update={"data": settled_data(other.data, paths)})


def read_their_labels(config: ImageConfig) -> tuple[pd.DataFrame, list[str]]:
    """The table of the generated images as it is, and what to tell of it; see `read_labels`."""
    with reading_other_set("synth"):
        table, notes = read_labels(with_their_data(config).data)
    return table, [as_written("synth", note) for note in notes]


def no_images(config: ImageConfig) -> str:
    """What is to be said where the folder of the generated images is empty, or is not there; else ""."""
    folder = Path(with_their_data(config).data.root)
    if folder.is_dir() and any(folder.iterdir()):
        return ""
    return f"no generated images in {folder} (synth.data)"


def read_generated(config: ImageConfig, tables: Tables) -> tuple[pd.DataFrame, list[str]]:
    """The generated images, and what to tell of them.

    Columns: `id`, `path`, `label`, `target` (a class), `parent` and `alike` (ids of training rows: what it was made
    from; a tuple of those it looks like), `gate` (what shut it out already) and `why`; "" or () where there is none.

    Raises:
        CompError: there are none, their labels are no classes, or whatever is wrong with their table.
    """
    settings = settings_of(config)
    if missing := no_images(config):
        raise CompError(f"{missing}: put them there, or name their folder: synth.data.root=…")
    other = with_their_data(config)
    table, notes = read_their_labels(config)
    everything = read_all(config.data)
    table["target"] = on_classes(table["label"], settings.map, tables.targets)
    parent = parents_of(table, settings.parent, everything.train)
    table["gate"], table["why"] = "", ""
    _shut(table, table["target"].isna(), "label", "synth.map leaves its label out")
    _shut(table, parent.isna(), "parent", "its parent is no training image")
    table["parent"] = parent.fillna("")
    golden = set(everything.train["id"]) - set(tables.train["id"])
    _shut(table, table["parent"].isin(golden), "golden", "its parent is golden, or of a golden image's group")
    table["alike"], golden_too, in_test = _look_alikes(table, everything, config, other, golden)
    _shut(table, golden_too, "golden", "it looks like a golden image, or one of its group")
    _shut(table, in_test, "test", "it looks like a test image")
    kept = ["id", "path", "label", "target", "parent", "alike", "gate", "why"]
    return table[kept].fillna("").reset_index(drop=True), notes


def on_classes(labels: pd.Series, given: dict[str, str | None], targets: Targets) -> pd.Series:
    """The class of each label; None where `given` leaves it out. Upper and lower case are the same, if that is clear.

    Raises:
        CompError: `given` names an unknown class, or a label is neither a class nor in it.
    """
    classes = ("0", "1") if targets.kind == "binary" else targets.classes
    unknown = sorted({str(to) for to in given.values() if to is not None} - set(classes))
    if unknown:
        raise CompError(f"synth.map names unknown classes: {shown(unknown)}; there are {shown(classes, 12)}")
    lower = pd.Series(classes, index=[name.lower() for name in classes])
    by_case = lower[~lower.index.duplicated(keep=False)].to_dict()
    found: dict[str, str | None] = {}
    for label in labels.unique():
        if label in given or label in classes or label.lower() in by_case:
            found[label] = given[label] if label in given else label if label in classes else by_case[label.lower()]
    strange = sorted(set(labels) - set(found))
    if strange:
        raise CompError(
            f"generated images have labels that are no classes: {shown(strange, 8)}: say which each is, such as "
            f"synth.map.{strange[0]}={classes[0]}, or null to leave it out; there are {shown(classes, 12)}"
        )
    return labels.map(found).astype(object)


def parents_of(table: pd.DataFrame, column: str, train: pd.DataFrame) -> pd.Series:
    """The id of the training image that each was made from; "" where none is declared, None where it is unknown.

    A parent is named by its id, or by its file, with or without folder and extension.
    """
    if column == "auto":
        column = next((name for name in table.columns if str(name).strip().lower() in PARENTS), "")
    elif own_column(table, column) not in table.columns:
        raise CompError(f"synth.parent={column}: no such column; there are {shown(users_names(table), 12)}")
    if not column:
        return pd.Series("", index=table.index, dtype=object)
    known: dict[str, str | None] = {}
    for spell in (str, lambda path: Path(path).name, lambda path: Path(path).stem):
        spelled = train["path"].map(spell)
        alone = ~spelled.duplicated(keep=False)
        known |= dict(zip(spelled[alone], train["id"][alone], strict=True))
    known |= {"": "", **dict(zip(train["id"], train["id"], strict=True))}
    values = table[own_column(table, column)].str.strip().str.replace("\\", "/")
    direct, by_name = values.map(known.get), values.map(lambda value: known.get(Path(value).name))
    found = direct.where(direct.notna(), by_name)
    if found.isna().all():
        raise CompError(
            f"no value of the column {column!r} is a training image, such as {values.iloc[0]!r}: synth.parent names "
            "the column with their ids or files"
        )
    return found.astype(object)


def _shut(table: pd.DataFrame, rows: "pd.Series | np.ndarray", gate: str, why: str) -> None:
    """Shuts out those of `rows` that are not out already."""
    new = np.asarray(rows, dtype=bool) & (table["gate"] == "").to_numpy()
    table.loc[new, ["gate", "why"]] = gate, why


def _look_alikes(
    table: pd.DataFrame, everything: Tables, config: ImageConfig, other: ImageConfig, golden: set[str]
) -> tuple[pd.Series, np.ndarray, np.ndarray]:
    """Of each generated image: ids of training rows it repeats; whether one is golden; whether it repeats the test."""
    known = pd.concat([everything.train[["id", "path"]], everything.test[["id", "path"]]], ignore_index=True)
    both = Tables(known, table[["id", "path"]], None, everything.targets)
    folder = Path(str(other.data.work)) / "cache"
    found = find_duplicates(both, config.data, config.folds.near_duplicates, folder, other.data)
    own, others = found.every[len(known) :], found.every[: len(known)]
    real, test = others[: len(everything.train)], others[len(everything.train) :]
    ids = everything.train["id"].groupby(real).agg(tuple).to_dict()
    alike = pd.Series([ids.get(each, ()) for each in own.tolist()], index=table.index, dtype=object)
    return alike, np.isin(own, real[everything.train["id"].isin(golden).to_numpy()]), np.isin(own, test)

"""`comp check`: one page and a few lines about the data, before anything is trained on it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from comp.errors import CompError
from comp.folds import Split, folds_path, load_split, planned_split
from comp.runs.page import Section, Text
from comp.runs.page.findings import Part, publish
from comp.tables import Tables
from comp.vision.check.counts import classes, tables
from comp.vision.check.drift import drift
from comp.vision.check.gifts import gifts
from comp.vision.check.groups import groups
from comp.vision.check.images import images
from comp.vision.check.seen import Seen, see
from comp.vision.check.twins import twins
from comp.vision.data.paths import all_paths
from comp.vision.data.read import read_tables
from comp.vision.data.settle import settled_data
from comp.vision.folds.duplicates import joined_groups
from comp.vision.folds.split import scored_by
from comp.vision.schema import ImageConfig
from comp.vision.submission.form import expected_form

PARTS: tuple[Callable[[Seen], Part], ...] = (images, classes, tables, twins, groups, drift, gifts)


def check(config: ImageConfig) -> Path:
    """Writes `check.html` beside `folds.csv`, prints what it comes to, and returns where it is.

    Raises:
        CompError: something keeps `comp split` or `comp train` from working; the page is written all the same, unless
            the tables cannot be read.
    """
    page = folds_path(config).with_name("check.html")
    page.unlink(missing_ok=True)
    read = read_tables(config.data)
    print("\n".join(read.notes))
    parts = [_submission(config, read)]
    data = settled_data(config.data, all_paths(read.train), quiet=False)
    seen = see(config.model_copy(update={"data": data}), read)
    for look in PARTS:
        part = look(seen)
        for line in part.lines:
            print(line, flush=True)
        parts.append(part)
    parts.append(_folds(config, read, seen))
    return publish(page, config.data.root, [line for line in read.notes if not line.startswith(" ")], parts)


def _submission(config: ImageConfig, read: Tables) -> Part:
    """What the host wants, and how it scores."""
    part = Part(Section("Submission"))
    try:
        submit, scored = expected_form(config, read), scored_by(config, read)
    except CompError as error:
        part.stops.append(str(error))
        return part
    part.section.blocks = [Text([f"Wants {submit}.", f"Scored {scored}."])]
    print(f"submit  {submit}\nscored  {scored}")
    return part


def _folds(config: ImageConfig, read: Tables, seen: Seen) -> Part:
    """Whether `comp split` would refuse, or the folds that are there do not fit."""
    part, path = Part(Section("Folds")), folds_path(config)
    try:
        if path.exists():
            result, about = load_split(config, read), f"{path} fits"
        else:
            result, about = planned_split(config, read, _groups(read, seen)), "comp split can make them"
    except CompError as error:
        part.stops.append(str(error))
        return part
    part.section.note = f"{about}: {_sizes(result)}."
    print(f"folds   {about}: {_sizes(result)}")
    return part


def _groups(read: Tables, seen: Seen) -> np.ndarray:
    return joined_groups(read.train, seen.duplicates.near)


def _sizes(split: Split) -> str:
    sizes = [int((split.fold == k).sum()) for k in range(split.n)]
    return f"{split.n} of {min(sizes)} to {max(sizes)} rows, {split.kind}"

"""`comp synth plan`: how many generated images each class lacks to be as frequent as the largest one."""

import numpy as np
import pandas as pd

from comp.tables import Targets
from comp.vision.data.read import read_tables
from comp.vision.kinds import refuse_kind
from comp.vision.schema import ImageConfig
from comp.vision.synth.generated import no_images, on_classes, read_their_labels
from comp.vision.synth.judge import names_of


def plan(config: ImageConfig) -> None:
    """Prints it, and what is there already, for the training rows without the golden ones.

    Raises:
        CompError: rows have several labels, or labels of generated images are no classes.
    """
    tables = read_tables(config.data)
    print("\n".join(tables.notes))
    refuse_kind("comp synth", tables.targets)
    real = counted(labels_of(tables.train, tables.targets), tables.targets)
    there = real * 0
    if config.synth is not None and not no_images(config):
        generated, _ = read_their_labels(config)
        there = counted(on_classes(generated["label"], config.synth.map, tables.targets), tables.targets)
    lacks = lacking(real)
    width = max(map(len, [*real.index, "class"]))
    print(f"synth   {'class':{width}}  real images  lacks  generated so far")
    for name in real.index:
        print(f"        {name:{width}}  {real[name]:11}  {lacks[name]:5}  {there[name]:16}")
    print(
        f"        {lacks.sum()} images would make all classes as frequent as {real.idxmax()!r}; the gates shut some out"
    )


def labels_of(table: pd.DataFrame, targets: Targets) -> pd.Series:
    """The labels of a training table as generated images have them."""
    return table["target"].astype(float).astype(int).astype(str) if targets.kind == "binary" else table["target"]


def counted(labels: pd.Series, targets: Targets) -> pd.Series:
    """How many rows each class has, in the order of the classes."""
    return labels.value_counts().reindex(list(names_of(targets)), fill_value=0)


def lacking(real: pd.Series) -> pd.Series:
    """How many each class lacks of the largest one."""
    return np.maximum(real.max() - real, 0)

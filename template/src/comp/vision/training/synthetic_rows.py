"""Generated images among the training rows of a fold."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from comp.errors import CompError
from comp.files import digest
from comp.vision.data.combined import generated_rows, joins
from comp.vision.data.competition import Competition
from comp.vision.data.other_set import as_written
from comp.vision.data.samples import Samples
from comp.vision.folds.fold import Fold
from comp.vision.pixels import Decoding, joined, open_pixels
from comp.vision.schema import ImageConfig
from comp.vision.synth.generated import with_their_data


def with_synthetic(fold: Fold, config: ImageConfig, competition: Competition) -> Fold:
    """`fold` with the generated images that may join its training rows, as `config.synthetic` names them.

    Raises:
        CompError: the file is another one than was trained with, an image is gone, or there are metadata.
    """
    if config.synthetic is None:
        return fold
    if fold.encoder is not None:
        raise CompError("model.metadata: generated images have none: set it to [] to train with them")
    path, tables = Path(config.synthetic.combined), competition.tables
    rows = generated_rows(path, config.synthetic.digest, tables, competition.split.digest)
    other = with_their_data(config, rows["path"].tolist())
    pixels = open_pixels(
        rows["path"].tolist(),
        Path(str(other.data.work)) / "cache",
        Decoding.of(other),
        other.data.cache,
        f"combined-{digest([other.data.root])}",
        quiet=True,
    )
    if pixels.bad:
        why = as_written("synth", next(iter(pixels.bad.values())))
        raise CompError(f"{path}: generated images cannot be read any more: {why}")
    target = rows["target"].astype(float) if tables.targets.kind == "binary" else rows["target"]
    y = tables.targets.encode(rows.assign(target=target))
    own = np.flatnonzero(joins(rows["folds"], fold.left_out))
    print(f"{fold.label}  {len(own)} generated images join the {len(fold.train_rows)} training rows", flush=True)
    samples = fold.samples
    return replace(
        fold,
        train_rows=np.concatenate([fold.train_rows, len(samples.y) + own]),
        samples=Samples(joined(samples.pixels, pixels), samples.targets, np.concatenate([samples.y, y])),
    )

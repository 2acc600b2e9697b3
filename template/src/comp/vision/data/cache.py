"""`comp cache`: decodes all images ahead of training."""

from comp.vision.data.competition import open_images
from comp.vision.data.read import read_tables
from comp.vision.data.settle import settled
from comp.vision.schema import ImageConfig


def cache(config: ImageConfig) -> None:
    """`comp cache`: decodes the images of both tables ahead of training, and names the unreadable ones.

    Raises:
        CompError: whatever is wrong with files or images.
    """
    tables = read_tables(config.data)
    print("\n".join(tables.notes))
    open_images(settled(config, tables, quiet=False), tables, quiet=False)

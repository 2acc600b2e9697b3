"""Images: classes, read and folded, trained, predicted, combined, submitted, in this order.

The names here are what `custom.py` builds on. They stay within a major version; what lies deeper may move.
"""

from comp.vision.schema import Data, ImageConfig, Model, Train

__all__ = ["Data", "ImageConfig", "Model", "Train"]

"""`comp kaggle package`: a dataset and a notebook that predict without a network, and a dry run that proves it."""

from comp.kaggle.packing.needs import Needs as Needs
from comp.kaggle.packing.needs import Part as Part

MARKER = "comp-package.json"  # by which the notebook finds the dataset; it says what is in it

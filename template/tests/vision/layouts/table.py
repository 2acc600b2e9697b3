"""All layouts, in the order of docs/layouts.md."""

from vision.layouts.of_files import OF_FILES
from vision.layouts.of_labels import OF_LABELS
from vision.layouts.refused import REFUSED

LAYOUTS = [*OF_LABELS, *OF_FILES, *REFUSED]

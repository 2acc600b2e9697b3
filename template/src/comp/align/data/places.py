"""Where the competition's files lie: in `data.root`, or in the one folder of it that `comp download` made."""

from pathlib import Path

from comp.config.common import Files

TRAIN = ("train.npz", "train/train.npz")
NOT_FOLLOWED = {"cache", "demo", "__MACOSX"}  # what commands of this program, and systems, put into data.root


def files_root(data: Files) -> Path:
    """`data.root`, or the only folder in it that holds the training data where it has none itself."""
    root, named = Path(data.root), getattr(data, "train", "auto")
    likely = TRAIN if named == "auto" else (named,)
    if not root.is_dir() or _holds(root, likely):
        return root
    folders = [path for path in root.iterdir() if path.is_dir() and path.name not in NOT_FOLLOWED]
    inside = [path for path in folders if not path.name.startswith(".") and _holds(path, likely)]
    return inside[0] if len(inside) == 1 else root


def _holds(folder: Path, likely: tuple[str, ...]) -> bool:
    return any((folder / name).is_file() for name in likely)

"""`comp download`: the competition's files, through Kaggle's client, which goes on with what was cut off."""

import json
import shutil
import time
from pathlib import Path

from comp.config import Experiment
from comp.errors import CompError
from comp.files.archives import KEPT_FREE, Damaged, archives_in, unpack
from comp.kaggle.client import Unavailable, ask, competition

TOLD_EVERY = 15.0  # seconds
FULL = 1 << 20  # bytes


def download(config: Experiment) -> None:
    """Downloads the competition's archive into `data.root` and unpacks it, or goes on where that was stopped.

    Raises:
        CompError: nobody is logged in, the rules are not accepted, the disk is too small, or the archive is not safe.
    """
    slug, root = competition(config), Path(config.data.root)
    if (root / slug).is_dir():
        print(f"download  {root / slug} is there already: remove it to download again")
        return
    root.mkdir(parents=True, exist_ok=True)
    progress = Progress(root, slug)
    progress.tell_what_is_there()
    words = ("competitions", "download", slug, "-p", str(root), "-q")
    try:
        ask(slug, *words, watch=progress.look)
    except Unavailable as error:
        raise CompError(f"{error}: run comp download again, it goes on with what is there") from None
    found = [path for path in progress.files() if path.stat().st_size]
    if not found:
        raise CompError(f"Kaggle's client downloaded nothing to {root}: does {slug} offer files for download?")
    print(f"download  {found[0]}: {found[0].stat().st_size / 1e6:.1f} MB", flush=True)
    if found[0] not in archives_in(root):
        return
    try:
        unpack(config)
    except Damaged as error:
        if Path(error.archive) != found[0]:
            raise
        found[0].unlink()  # else the client would find it complete
        raise CompError(f"{str(error).removesuffix(': download it again')}: removed, run comp download again") from None


class Progress:
    """Looks at the file that the client writes, and at its note beside it, which says how long the file will be."""

    def __init__(self, root: Path, slug: str) -> None:
        self.root, self.slug = root, slug
        self.told = time.monotonic()
        self.room_is_enough = False

    def files(self) -> list[Path]:
        """What the client has written; its ending is what Kaggle sends."""
        found = [path for path in self.root.glob(f"{self.slug}.*") if path.is_file()]
        return sorted((path for path in found if path.suffix != ".kaggle-partial"), key=lambda path: path.name)

    def tell_what_is_there(self) -> None:
        for path in self.files():
            if self._size(path):
                print(f"download  {path}: {path.stat().st_size / 1e6:.1f} MB are there, going on from them", flush=True)

    def look(self) -> None:
        """Tells how far it is, now and then.

        Raises:
            CompError: the disk has no room for the archive and what will come out of it.
        """
        for path in self.files():
            size = self._size(path)
            if size is None:
                continue
            done = path.stat().st_size
            needed, free = 2 * size - done, shutil.disk_usage(self.root).free - KEPT_FREE
            if not self.room_is_enough and needed > free:
                raise CompError(
                    f"the archive has {size / 1e9:.1f} GB, and unpacked at least as much: the disk of {self.root} has "
                    f"{max(free, 0) / 1e9:.1f} GB; free some, or set data.root to another disk"
                )
            self.room_is_enough = True
            if free + KEPT_FREE < FULL:  # others write there too, and the client would try for a minute
                raise CompError(
                    f"no space left on the disk of {self.root}: free some, comp download goes on from there"
                )
            if time.monotonic() - self.told > TOLD_EVERY:
                self.told = time.monotonic()
                print(f"download  {done / 1e6:.0f} of {size / 1e6:.0f} MB", flush=True)

    @staticmethod
    def _size(path: Path) -> int | None:
        """What the client's note says of an unfinished file; None where there is none."""
        try:
            size = json.loads(path.with_name(f"{path.name}.kaggle-partial").read_text(encoding="utf-8"))["size"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return size if isinstance(size, int) else None

"""What an update did, and telling it."""

from dataclasses import dataclass, field
from difflib import unified_diff
from pathlib import Path

from comp.updating.checkout import Checkout

MOST_LINES = 12  # of a lost edit, or of what one would change, are shown


@dataclass
class Outcome:
    """What an update did to the checkout."""

    changed: dict[str, str] = field(default_factory=dict)  # a file → A(dded), M(odified), D(eleted), U(nmerged)
    conflicts: list[str] = field(default_factory=list)
    lost: dict[str, list[str]] = field(default_factory=dict)  # a file → the edits that are not in it any more
    kept: dict[str, str] = field(default_factory=dict)  # a file → where the user's version stands
    renamed: dict[str, str] = field(default_factory=dict)  # what the template changed → what the user calls it
    deleted: list[str] = field(default_factory=list)  # what the template changed, and the user does not have
    missed: dict[str, list[str]] = field(default_factory=dict)  # either of them → the lines that changed
    recipes: dict[str, list[str]] = field(default_factory=dict)  # a newer one → what it would change

    @property
    def leaves_work(self) -> bool:
        """Whether the user has something to settle."""
        return bool(self.conflicts or self.lost or self.renamed)

    def tell(self, would: bool) -> None:
        """Prints it; with `would`, as what an update would do, file by file."""
        if would:
            for name, letter in self.changed.items():
                print(f"        {letter} {name}")
        print(f"{'would change' if would else 'changed'} {len(self.changed)} files")
        for name in self.conflicts:
            print(f"conflict {name}: both versions are between <<<<<<< and >>>>>>>")
        for name, edits in self.lost.items():
            print(f"lost    {name}: these edits of yours could not be merged; your version is in {self.kept[name]}")
            _print_some(edits)
        for name, yours in self.renamed.items():
            print(f"renamed {name}: you call it {yours}, where these changes of the template's are missing:")
            _print_some(self.missed[name])
        for name in self.deleted:
            print(f"deleted {name}: the template changed it; you have deleted it, and it stays so")
            _print_some(self.missed[name])
        for title, changes in self.recipes.items():
            print(f"recipe  {title}")
            _print_some(changes)

    def find_missed(self, place: Checkout, old: Path, new: Path, names: set[str]) -> None:
        """Looks among `names` for what the template changed in files that the user has renamed or deleted."""
        renamed: dict[str, str] | None = None
        for name in sorted(names):
            before, after = (Checkout(each).current(name) for each in (old, new))
            if before is None or after is None or before == after or place.committed(name) is not None:
                continue
            renamed = place.renames() if renamed is None else renamed
            if name in renamed:
                self.renamed[name] = renamed[name]
            else:
                self.deleted.append(name)
            self.missed[name] = _changes(before, after)


def _changes(before: bytes, after: bytes) -> list[str]:
    was, now = (each.decode("utf-8", errors="backslashreplace").splitlines() for each in (before, after))
    lines = list(unified_diff(was, now, n=0, lineterm=""))[2:]
    return [f"{line[0]} {line[1:]}" for line in lines if line[0] in "+-" and line[1:].strip()]


def _print_some(lines: list[str]) -> None:
    for line in lines[:MOST_LINES]:
        print(f"        {line}")
    if len(lines) > MOST_LINES:
        print(f"        … and {len(lines) - MOST_LINES} more")

"""Where the files that a table names lie: the place that a whole column fits, and the file nearest to a name."""

from bisect import bisect_left
from collections import defaultdict
from difflib import SequenceMatcher

from comp.errors import CompError, shortened
from comp.vision.data.spelling import Place, cleaned, folded, is_image, without_suffix

COMPARED = 1500  # files that a name which is not there is compared with
OTHER = {"train": "test", "test": "train"}


def find_place(values: list[str], probe: list[str], files: list[str], split: str) -> tuple[Place | None, int]:
    """The place that gives most of `probe` a file, in any spelling, and how many that are.

    What it leaves out in front of the values is in front of all of them. Files of the other split are none.

    Raises:
        CompError: two places fit equally well.
    """
    wanted = {value: folded(cleaned(value)).split("/") for value in probe}
    named = _named({parts[-1] for parts in wanted.values()}, files)
    shared = _shared_folders(values)
    votes: dict[Place, list[tuple[str, str]]] = defaultdict(list)  # the values that fit, with their files
    for value in probe:
        *folders, name = wanted[value]
        for place, file in _places(folders, named[name], shared, split).items():
            votes[place].append((value, file))
    if not votes:
        return None, 0

    def worth(place: Place) -> tuple[int, int, bool, int]:
        return len(votes[place]), -place.dropped, split in place.folder.lower(), -place.folder.count("/")

    best, *others = sorted(votes, key=worth, reverse=True)
    if others and worth(others[0]) == worth(best):
        (value, one), other = votes[best][0], votes[others[0]][0][1]
        raise CompError(f"{shortened(value)!r} could be {one} or {other}: set data.path to say which")
    return best, len(votes[best])


def files_anywhere(values: list[str], files: list[str], split: str) -> dict[str, list[str]]:
    """The files that each of `values` may be by its bare name, in any folder; those of the split where it has some.

    One that names folders, or a file of the other split, has none.
    """
    names = {value: folded(cleaned(value)) for value in values}
    named = _named({name for name in names.values() if "/" not in name}, files)
    found = {}
    for value, name in names.items():
        folders = [(file, file.rpartition("/")[0].lower()) for file in named.get(name, [])]
        own = [file for file, folder in folders if split in folder]
        found[value] = own or [file for file, folder in folders if OTHER[split] not in folder]
    return found


def _named(names: set[str], files: list[str]) -> dict[str, list[str]]:
    """The files in any folder that each of `names` (folded) may be; one without an image's suffix may be a stem."""
    exact: dict[str, list[str]] = {name: [] for name in names}
    stems: dict[str, list[str]] = {name: [] for name in names if not is_image(name)}
    for file in files:
        name = folded(file.rpartition("/")[2])
        if name in exact:
            exact[name].append(file)
        elif stems and without_suffix(name) in stems:
            stems[without_suffix(name)].append(file)
    return {name: found or stems.get(name, []) for name, found in exact.items()}


def _shared_folders(values: list[str]) -> int:
    """How many folders all `values` begin with."""
    folders = [cleaned(value).split("/")[:-1] for value in values]
    return _common(min(folders), max(folders))  # what the first and the last in order share, all share


def _places(folders: list[str], named: list[str], shared: int, split: str) -> dict[Place, str]:
    """Each place that a value in `folders` would have one of the files `named` at, with that file."""
    found: dict[Place, str] = {}
    for file in named:
        there = file.split("/")[:-1]
        same = _common(folders[::-1], [folded(folder) for folder in reversed(there)])
        place = Place(len(folders) - same, "".join(f"{folder}/" for folder in there[: len(there) - same]))
        of_other = OTHER[split] in place.folder.lower() and split not in place.folder.lower()
        moved = place.dropped and place.folder and not same and split not in place.folder.lower()
        if place.dropped <= shared and not of_other and not moved:  # moved: another folder altogether
            found.setdefault(place, file)
    return found


def _common(one: list[str], other: list[str]) -> int:
    """How many parts two paths begin with alike."""
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def nearest(text: str, files: list[str]) -> str:
    """The one of `files` (sorted) whose name is most like `text`, of those that are looked at; "" of none."""
    if not files:
        return ""
    wanted = cleaned(text)
    name = wanted.rpartition("/")[2]
    matcher = SequenceMatcher(autojunk=False)

    def likeness(file: str) -> tuple[float, float]:
        ratios = []
        for one, other in ((name, file.rpartition("/")[2]), (wanted, file)):
            matcher.set_seqs(folded(other), folded(one))
            ratios.append(matcher.ratio())
        return ratios[0], ratios[1]

    return max(_looked_at(wanted, name, files), key=likeness)


def _looked_at(wanted: str, name: str, files: list[str]) -> list[str]:
    """A third each: what follows each other about `wanted`, about its bare name, and what is spread over all."""
    third = COMPARED // 3
    if len(files) <= COMPARED:
        return files
    by_name = sorted((file.rpartition("/")[2], file) for file in files)
    at, there = bisect_left(files, wanted), bisect_left(by_name, (name, ""))
    return [
        *files[max(at - third // 2, 0) : at + third // 2],
        *(file for _, file in by_name[max(there - third // 2, 0) : there + third // 2]),
        *files[:: len(files) // third + 1],
    ]

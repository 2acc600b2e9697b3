"""`comp update`: copier brings the template's newest code, and every edit of the user's is looked for afterwards.

`copier update` alone drops edits without a word where the template renamed or deleted the file, and where bytes are no
UTF-8. So the user's edits (the template as it was against the committed files) are compared with what the update made
of them. All happens on a branch and from a clean checkout: git can give everything back.
"""

import shlex
import tempfile
from pathlib import Path, PurePosixPath

from comp.errors import CompError, shown
from comp.files import write_text
from comp.updating import branch as branches
from comp.updating.answers import Lines, difference, missing_lines, refusal, with_lines
from comp.updating.checkout import Checkout
from comp.updating.copier_program import copier, newer_exists, render
from comp.updating.edits import has_conflict, lost_edits
from comp.updating.origin import Origin
from comp.updating.outcome import Outcome
from comp.updating.recipes import BASELINE, bring_newer_recipes

NEWER = 2  # exit status of --check


def update(words: list[str], check: bool, write: bool, finish: bool, undo: bool) -> int:
    """Updates the repository in the current folder; `words` are answers to change. Returns the exit status.

    0: all is merged. 1: something is left to do, and is told. With `check` nothing is touched; 2 means that there is
    something newer. With `write`, what conf/baseline.yaml says of the answers is changed there. `finish` and `undo` end
    an update that stands here.

    Raises:
        CompError: the checkout is not clean, the template cannot be read, or an answer is refused. Nothing is changed.
    """
    here = Checkout(Path.cwd())
    if finish or undo:
        if words or check or write or (finish and undo):
            raise CompError("comp update --finish, or comp update --undo: nothing else goes with them")
        here.require_commit()
        return branches.finish(here) if finish else branches.undo(here)
    origin = Origin.of(here.folder)
    here.require_commit()
    rest = [word for word in words if _key(word) not in origin.in_baseline or _key(word) in origin.answers]
    only_baseline = bool(words) and not rest
    if not check and not only_baseline:
        branches.require_clean(here)
    if write and only_baseline:
        _require_committed(here, BASELINE.as_posix())
    with tempfile.TemporaryDirectory(prefix="comp-update-") as folder:
        lines = missing_lines(here.folder, origin, words, Path(folder))
        if lines.write and (check or not write):
            raise refusal(lines, words)
        if not only_baseline:
            return _update(here, origin, rest, lines, check, Path(folder))
    if not lines.write:
        print(f"update  {BASELINE.as_posix()} says so already")
    _write_lines(here, lines)
    return 0


def _update(here: Checkout, origin: Origin, words: list[str], lines: Lines, check: bool, folder: Path) -> int:
    newer = newer_exists(here.folder)
    if not newer and not words:
        print(f"update  {origin.version} is the newest version of {origin.source}")
        return 0
    data = [part for word in words for part in ("--data", word)]
    old = render(here.folder, folder / "old", origin.version, [])
    new = render(here.folder, folder / "new", None if newer else origin.version, data)
    target = Origin.of(new)
    unknown = [word for word in words if _key(word) not in target.answers]
    if unknown:
        known = sorted({*target.answers, *target.in_baseline} - {"first_task"})
        raise CompError(f"the template has no such question: {shown(unknown)}; there are {', '.join(known)}")
    print(f"update  {origin.version} → {target.version} of {origin.source}")
    command = ["--vcs-ref", target.version, *data]
    if check:
        _attempt(_clone(here, folder / "clone"), origin, command, old, new).tell(would=True)
        print(f"next    {shlex.join(['comp', 'update', *words])}")
        return NEWER
    _require_safe(here, old, new)
    before = here.where()
    branch = branches.begin(here, target.version)
    try:
        outcome = _attempt(here, origin, command, old, new)
        if lines.write:
            _write_lines(here, lines)
            here.git("add", "--", BASELINE)
        branches.written(here, branch)
    except BaseException:
        branches.back(here, before, branch)
        raise
    outcome.tell(would=False)
    return _what_next(here, outcome, branch)


def _key(word: str) -> str:
    key, equals, _ = word.partition("=")
    if not equals:
        raise CompError(f"{word!r} is not an answer to change (key=value, such as tracker=wandb)")
    return key


def _require_committed(here: Checkout, name: str) -> None:
    if here.current(name) != here.committed(name):
        raise CompError(
            f"{name} has changes that are not committed, so git could not give back what --write changes there: "
            f"git add {name} && git commit, then again"
        )


def _write_lines(here: Checkout, lines: Lines) -> None:
    """Puts the lines into conf/baseline.yaml, shows it, and says what else there is to do."""
    if not lines.write:
        return
    path = here.folder / BASELINE
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    after = with_lines(before, lines.write)
    write_text(path, after)
    print(f"wrote   {BASELINE.as_posix()}")
    print(difference(before, after), end="")
    for note in lines.notes():
        print(note)


def _require_safe(here: Checkout, old: Path, new: Path) -> None:
    """Every file that the update may write must be in git as it is, or be the template's own."""
    names = _files(old) | _files(new)
    unsafe = [name for name in here.unsafe(names) if here.current(name) != Checkout(old).current(name)]
    if unsafe:
        raise CompError(
            f"{shown(unsafe)}: the update would write there, and git could not restore your file (it ignores it, or "
            "does not look at it): git add -f it and commit, or give it another name"
        )


def _clone(here: Checkout, to: Path) -> Checkout:
    """The committed state in a folder of its own, where an update can be tried."""
    inside, top = here.git("rev-parse", "--show-prefix").strip(), here.git("rev-parse", "--show-toplevel").strip()
    no_large_files = ("-c", "filter.lfs.smudge=", "-c", "filter.lfs.process=", "-c", "filter.lfs.required=false")
    here.git(*no_large_files, "clone", "--quiet", "--shared", top, to)
    return Checkout(to / inside)


def _attempt(place: Checkout, origin: Origin, command: list[str], old: Path, new: Path) -> Outcome:
    """Runs copier in `place`, puts back what it lost, and brings what it leaves out."""
    copier("update", "--defaults", "--conflict", "inline", "--quiet", *command, place.folder)
    _keep_what_is_theirs(place, origin.yours, old)
    outcome = Outcome()
    for name in place.changed():
        mine, now = place.committed(name), place.current(name)
        if mine is None:
            continue
        told = lost_edits(Checkout(old).current(name), mine, Checkout(new).current(name), now)
        if told:
            outcome.lost[name] = told
            outcome.kept[name] = _put_beside(place.folder, name, mine)
        if now is not None and has_conflict(now) and not has_conflict(mine):
            outcome.conflicts.append(name)
    target = Origin.of(new)
    shared = {name for name in _files(old) & _files(new) if not _fits(name, target.yours)}
    outcome.find_missed(place, old, new, shared)
    outcome.recipes = bring_newer_recipes(place.folder, old, new, target.version)
    place.stage()
    beside = outcome.kept.values()
    outcome.changed = {name: letter for name, letter in place.staged().items() if name not in beside}
    return outcome


def _keep_what_is_theirs(place: Checkout, yours: tuple[str, ...], old: Path) -> None:
    """User-owned files are as they were, also those that the template dropped, or that the user had deleted."""
    for name in place.changed():
        if _fits(name, yours):
            place.git("checkout", "--quiet", "HEAD", "--", f":(literal){name}")
    for name in place.not_in_git():
        if _fits(name, yours) and (old / name).is_file():
            (place.folder / name).unlink()


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    path = PurePosixPath(name)
    places = {len(each.parts): each for each in (path, *path.parents)}
    return any(depth in places and places[depth].match(each) for each in patterns for depth in [each.count("/") + 1])


def _put_beside(folder: Path, name: str, content: bytes) -> str:
    """Writes the user's version beside the file, never over another one, and returns its name."""
    free = (f"{name}.mine{number or ''}" for number in range(1_000))
    beside = next(each for each in free if not (folder / each).exists())
    (folder / beside).parent.mkdir(parents=True, exist_ok=True)
    (folder / beside).write_bytes(content)
    return beside


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def _what_next(here: Checkout, outcome: Outcome, branch: str) -> int:
    if "pyproject.toml" in outcome.changed:
        print('install python -m pip install -e ".[dev,mine]"   (pyproject.toml has changed)')
    todo = outcome.leaves_work
    print(f"next    {'settle what is named above' if todo else 'git diff --cached, pytest'}; then finish, or undo:")
    print(f"finish  {branches.FINISH}")
    print(f"undo    {branches.UNDO}")
    if any(name.startswith("src/comp/") for name in outcome.conflicts):
        print(f"        (where comp itself does not start: {branches.by_hand(here, branch)})")
    return int(todo)

"""`comp update`: copier brings the template's newest code, and every edit of the user's is looked for afterwards.

`copier update` alone drops edits without a word where the template renamed or deleted the file, and where bytes are no
UTF-8. So the user's edits (the template as it was against the committed files) are compared with what the update made
of them. All happens on a branch and from a clean checkout: git can give everything back.
"""

import shlex
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from comp.errors import CompError, shown
from comp.updating.checkout import Checkout
from comp.updating.copier_program import copier, newer_exists, render
from comp.updating.edits import has_conflict, lost_edits
from comp.updating.origin import Origin

NEWER = 2  # exit status of --check
MOST_LINES = 12  # of a lost edit are shown


@dataclass
class Outcome:
    """What an update did to the checkout."""

    changed: dict[str, str] = field(default_factory=dict)  # a file → A(dded), M(odified), D(eleted), U(nmerged)
    conflicts: list[str] = field(default_factory=list)
    lost: dict[str, list[str]] = field(default_factory=dict)  # a file → the edits that are not in it any more
    kept: dict[str, str] = field(default_factory=dict)  # a file → where the user's version stands


def update(words: list[str], check: bool) -> int:
    """Updates the repository in the current folder; `words` are answers to change. Returns the exit status.

    0: all is merged. 1: something is left to do, and is told. With `check` nothing is touched; 2 means that there is
    something newer.

    Raises:
        CompError: the checkout is not clean, the template cannot be read, or an answer is refused. Nothing is changed.
    """
    here = Checkout(Path.cwd())
    origin = Origin.of(here.folder)
    here.require_commit()
    if not check:
        _require_clean(here)
    newer = newer_exists(here.folder)
    if not newer and not words:
        print(f"update  {origin.version} is the newest version of {origin.source}")
        return 0
    data = [part for word in words for part in ("--data", _answer(word))]
    with tempfile.TemporaryDirectory(prefix="comp-update-") as folder:
        temporary = Path(folder)
        old = render(here.folder, temporary / "old", origin.version, [])
        new = render(here.folder, temporary / "new", None if newer else origin.version, data)
        target = Origin.of(new)
        unknown = [word for word in words if word.partition("=")[0] not in target.answers]
        if unknown:
            raise CompError(f"the template has no such question: {shown(unknown)}; .copier-answers.yml has them all")
        print(f"update  {origin.version} → {target.version} of {origin.source}")
        command = ["--vcs-ref", target.version, *data]
        if check:
            place = _clone(here, temporary / "clone")
            _tell(_attempt(place, origin, command, old, new), would=True)
            print(f"next    {shlex.join(['comp', 'update', *words])}")
            return NEWER
        _require_safe(here, old, new)
        before, branch = here.where(), _branch(here, target.version)
        here.git("config", f"branch.{branch}.comp-update-from", before)
        try:
            here.git("switch", "--quiet", "--force-create", branch)
            outcome = _attempt(here, origin, command, old, new)
        except BaseException:
            _back(here, before, branch)
            raise
    _tell(outcome, would=False)
    return _what_next(here, outcome, branch)


def _answer(word: str) -> str:
    if "=" not in word:
        raise CompError(f"{word!r} is not an answer to change (key=value, such as tracker=wandb)")
    return word


def _require_clean(here: Checkout) -> None:
    names = here.uncommitted()
    if not names:
        return
    branch = here.where()
    before = _came_from(here, branch)
    if before and here.is_true("merge-base", "--is-ancestor", "HEAD", before):  # nothing is committed on it yet
        finish, undo = _commands(here, branch)
        raise CompError(f"an update was not finished here ({shown(names)})\nto finish it: {finish}\nto undo it: {undo}")
    raise CompError(
        f"there are uncommitted changes ({shown(names)}): git add -A && git commit, "
        "or git stash -u to put it aside, then comp update"
    )


def _require_safe(here: Checkout, old: Path, new: Path) -> None:
    """Every file that the update may write must be in git as it is, or be the template's own."""
    names = _files(old) | _files(new)
    unsafe = [name for name in here.unsafe(names) if here.current(name) != Checkout(old).current(name)]
    if unsafe:
        raise CompError(
            f"{shown(unsafe)}: the update would write there, and git could not restore your file (it ignores it, or "
            "does not look at it): git add -f it and commit, or give it another name"
        )


def _branch(here: Checkout, version: str) -> str:
    """The name of the branch for an update; one that is merged may be used again."""
    branch = f"template-{version}"
    if here.where() == branch:
        return f"{branch}-more"
    known = here.is_true("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")
    if known and not here.is_true("merge-base", "--is-ancestor", branch, "HEAD"):
        raise CompError(
            f"the branch {branch} holds an update that is not merged: git merge {branch}, or git branch -D {branch}"
        )
    return branch


def _back(here: Checkout, before: str, branch: str) -> None:
    """After a failure, the checkout as it was. What copier has written by then goes to the stash, not to nothing."""
    if here.where() != branch:
        return
    if here.uncommitted():
        here.git("add", "--all")
        here.git("stash", "push", "--quiet", "--message", "comp update, interrupted")
        print("what was written so far is in git stash (git stash drop removes it)", file=sys.stderr)
    here.git("switch", "--quiet", *_place(here, before))
    here.git("branch", "--quiet", "-D", branch)


def _place(here: Checkout, before: str) -> list[str]:
    """What `git switch` takes to come back."""
    known = here.is_true("rev-parse", "--verify", "--quiet", f"refs/heads/{before}")
    return [before] if known else ["--detach", before]


def _came_from(here: Checkout, branch: str) -> str:
    """From which branch or commit an update went to this one; empty if none did."""
    return here.git("config", "--default", "", "--get", f"branch.{branch}.comp-update-from").strip()


def _clone(here: Checkout, to: Path) -> Checkout:
    """The committed state in a folder of its own, where an update can be tried."""
    inside, top = here.git("rev-parse", "--show-prefix").strip(), here.git("rev-parse", "--show-toplevel").strip()
    no_large_files = ("-c", "filter.lfs.smudge=", "-c", "filter.lfs.process=", "-c", "filter.lfs.required=false")
    here.git(*no_large_files, "clone", "--quiet", "--shared", top, to)
    return Checkout(to / inside)


def _attempt(place: Checkout, origin: Origin, command: list[str], old: Path, new: Path) -> Outcome:
    """Runs copier in `place` and puts back what it lost."""
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


def _tell(outcome: Outcome, would: bool) -> None:
    if would:
        for name, letter in outcome.changed.items():
            print(f"        {letter} {name}")
    print(f"{'would change' if would else 'changed'} {len(outcome.changed)} files")
    for name in outcome.conflicts:
        print(f"conflict {name}: both versions are between <<<<<<< and >>>>>>>")
    for name, edits in outcome.lost.items():
        print(f"lost    {name}: these edits of yours could not be merged; your version is in {outcome.kept[name]}")
        for edit in edits[:MOST_LINES]:
            print(f"        {edit}")
        if len(edits) > MOST_LINES:
            print(f"        … and {len(edits) - MOST_LINES} more")


def _what_next(here: Checkout, outcome: Outcome, branch: str) -> int:
    if "pyproject.toml" in outcome.changed:
        print('install python -m pip install -e ".[dev,mine]"   (pyproject.toml has changed)')
    finish, undo = _commands(here, branch)
    todo = bool(outcome.conflicts or outcome.lost)
    print(f"next    {'fix the files above' if todo else 'git diff --cached, pytest'}; then finish, or undo:")
    print(f"finish  {finish}")
    print(f"undo    {undo}")
    return int(todo)


def _commands(here: Checkout, branch: str) -> tuple[str, str]:
    """What finishes an update, and what undoes it; the latter loses nothing either: all goes to the stash."""
    back = shlex.join(["git", "switch", *_place(here, _came_from(here, branch))])
    name = shlex.quote(branch)
    finish = f"git add -A && git commit -m {name} && {back} && git merge {name} && git branch -d {name}"
    return finish, f"git add -A && git stash && {back} && git branch -D {name}"

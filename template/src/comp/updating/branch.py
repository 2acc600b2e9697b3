"""The branch that an update stands on: how it begins, the way back, `comp update --finish` and `comp update --undo`."""

import re
import sys

from comp.errors import CompError, shown
from comp.updating.checkout import Checkout
from comp.updating.edits import has_marker

FINISH, UNDO = "comp update --finish", "comp update --undo"
BESIDE = re.compile(r"\.mine\d*\Z")  # where the user's version of a file was put


def begin(here: Checkout, version: str) -> str:
    """A new branch for an update to `version`, which remembers where it began; returns its name."""
    before, branch = here.where(), _name(here, version)
    here.git("config", f"branch.{branch}.comp-update-from", before)
    here.switch("--force-create", branch)
    return branch


def require_clean(here: Checkout) -> None:
    """Raises CompError: something is not committed, or an update was neither finished nor undone."""
    names, branch = here.uncommitted(), here.where()
    before = came_from(here, branch)
    if before and here.is_true("merge-base", "--is-ancestor", "HEAD", before):  # nothing is committed on it yet
        what = shown(names) if names else "it was cut off before it wrote anything"
        ways = [f"to finish it: {FINISH}"] * bool(names) + [f"to undo it: {UNDO}"]
        raise CompError("\n".join([f"an update was not finished here ({what})", *ways]))
    if names:
        raise CompError(
            f"there are uncommitted changes ({shown(names)}): git add -A && git commit, "
            "or git stash -u to put it aside, then comp update"
        )


def back(here: Checkout, before: str, branch: str) -> None:
    """After a failure, the checkout as it was. What copier has written by then goes to the stash, not to nothing."""
    if here.where() != branch:
        return
    if here.uncommitted():
        here.git("add", "--all")
        here.git("stash", "push", "--quiet", "--message", "comp update, interrupted")
        print("what was written so far is in git stash (git stash drop removes it)", file=sys.stderr)
    here.switch(*place(here, before))
    here.git("branch", "--quiet", "-D", branch)


def finish(here: Checkout) -> int:
    """Commits the update, merges it into the branch that it came from, and goes there.

    Raises:
        CompError: no update stands here, or one with something left to settle; a hook of git's refused; or both
            branches changed the same lines. The branch then stands as it did.
    """
    branch, before = _open(here)
    _require_settled(here, before)
    here.git("add", "--all")
    if not here.is_true("diff", "--cached", "--quiet"):
        here.commit(branch)
    here.switch(*place(here, before))
    try:
        here.git("merge", "--quiet", branch)
    except CompError:
        here.is_true("merge", "--abort")
        here.switch(branch)
        raise CompError(
            f"{before} has changed since, in lines that the update changed too: git merge {before}, settle both "
            f"here on {branch}, git commit, then {FINISH}"
        ) from None
    here.git("branch", "--quiet", "-d", branch)
    print(f"finished {branch} is merged into {before}")
    return 0


def undo(here: Checkout) -> int:
    """Goes back to where the update began. What is not committed goes to the stash, what is committed stays a branch.

    Raises:
        CompError: no update stands here.
    """
    branch, before = _open(here)
    if here.uncommitted():
        here.git("add", "--all")
        here.git("stash", "push", "--quiet", "--message", f"{branch}, undone")
        print("stash   what the update wrote is in git stash (git stash drop removes it)")
    here.switch(*place(here, before))
    if here.is_true("merge-base", "--is-ancestor", branch, "HEAD"):
        here.git("branch", "--quiet", "-D", branch)
    else:
        print(f"kept    the branch {branch} has commits (git branch -D {branch} removes it with them)")
    print(f"undone  back on {before}")
    return 0


def by_hand(here: Checkout, branch: str) -> str:
    """What undoes an update where comp itself does not start, because lines of its own code stand between markers."""
    return f"git add -A && git stash && git switch {' '.join(place(here, came_from(here, branch)))}"


def came_from(here: Checkout, branch: str) -> str:
    """From which branch or commit an update went to this one; empty if none did."""
    return here.git("config", "--default", "", "--get", f"branch.{branch}.comp-update-from").strip()


def place(here: Checkout, before: str) -> list[str]:
    """What `git switch` takes to come back."""
    known = here.is_true("rev-parse", "--verify", "--quiet", f"refs/heads/{before}")
    return [before] if known else ["--detach", before]


def _name(here: Checkout, version: str) -> str:
    """The name of the branch for an update; one that is merged may be used again."""
    branch = f"template-{version}"
    if here.where() == branch:
        return f"{branch}-more"
    known = here.is_true("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")
    if known and not here.is_true("merge-base", "--is-ancestor", branch, "HEAD"):
        raise CompError(
            f"the branch {branch} holds an update that is not merged: git switch {branch} && {FINISH}, "
            f"or git branch -D {branch}"
        )
    return branch


def _open(here: Checkout) -> tuple[str, str]:
    """The branch of the update that stands here, and where it came from."""
    branch = here.where()
    before = came_from(here, branch)
    if before:
        return branch, before
    others = here.git("branch", "--list", "template-*", "--format=%(refname:short)").split()
    others = [name for name in others if came_from(here, name)]
    hint = f"; git switch {others[0]} leads to one" if others else ""
    raise CompError(f"no update stands here, on {branch}{hint}")


def _require_settled(here: Checkout, before: str) -> None:
    names = [*here.changed(since=before), *here.not_in_git()]
    marked = [name for name in names if _is_marked(here, name, before)]
    beside = [name for name in names if BESIDE.search(name) and here.committed(name, at=before) is None]
    beside = [name for name in beside if here.current(name) is not None]
    told = [f"{shown(marked)}: between <<<<<<< and >>>>>>> stand both versions: keep what is wanted"] * bool(marked)
    told += [f"{shown(beside)}: take from it what is still wanted, then delete it"] * bool(beside)
    if told:
        raise CompError("\n".join([*told, f"then {FINISH}, or {UNDO}"]))


def _is_marked(here: Checkout, name: str, before: str) -> bool:
    return has_marker(here.current(name) or b"") and not has_marker(here.committed(name, at=before) or b"")

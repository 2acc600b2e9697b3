"""The branch that an update stands on: how it begins, the way back, `comp update --finish` and `comp update --undo`."""

import re
import sys

from comp.errors import CompError, shown
from comp.files.lock import holder
from comp.updating.checkout import Checkout
from comp.updating.edits import has_marker
from comp.updating.origin import ANSWERS

FINISH, UNDO = "comp update --finish", "comp update --undo"
BESIDE = re.compile(r"\.mine\d*\Z")  # where the user's version of a file was put
FROM, WRITING = "comp-update-from", "comp-update-writing"  # what git's configuration remembers of a branch


def begin(here: Checkout, version: str) -> str:
    """A new branch for an update to `version`, which remembers where it began; returns its name.

    Until `written`, it counts as cut off in the middle: copier writes over the user's edits before it puts them back.

    Raises:
        CompError: a run is at work, or a branch of that name holds an update.
    """
    _require_idle(here)
    before, branch = here.where(), _name(here, version)
    here.git("config", f"branch.{branch}.{WRITING}", "true")
    here.git("config", f"branch.{branch}.{FROM}", before)
    here.switch("--force-create", branch)
    return branch


def written(here: Checkout, branch: str) -> None:
    """The update stands there whole."""
    here.git("config", "--unset-all", f"branch.{branch}.{WRITING}")


def require_clean(here: Checkout) -> None:
    """Raises CompError: something is not committed, or an update was neither finished nor undone."""
    names, branch = here.uncommitted(), here.where()
    before = came_from(here, branch)
    _require_whole(here, branch)
    if before and here.is_true("merge-base", "--is-ancestor", "HEAD", before):  # nothing is committed on it yet
        what = f" ({shown(names)})" if names else ""
        raise CompError(f"an update was not finished here{what}\nto finish it: {FINISH}\nto undo it: {UNDO}")
    if not names:
        return
    by_copier = len(names) > 1 and _has_another_version(here)
    merging = here.is_true("rev-parse", "--verify", "--quiet", "MERGE_HEAD")
    if merging or (here.unmerged() and not by_copier):
        raise CompError(f"a merge is not finished here ({shown(names)}): settle it, commit it, then comp update")
    if by_copier:
        raise CompError(
            f"what is not committed looks like a plain copier update ({shown(names)}), which may have dropped edits of "
            "yours: git add -A . && git stash puts it aside, then comp update"
        )
    raise CompError(
        f"there are uncommitted changes ({shown(names)}): git add -A . && git commit, "
        "or git add -A . && git stash to put them aside, then comp update"
    )


def _has_another_version(here: Checkout) -> bool:
    """Whether the answers name another version of the template than the committed ones: a user has edited others."""
    texts = here.current(ANSWERS.as_posix()), here.committed(ANSWERS.as_posix())
    now, before = (re.findall(rb"^_commit:.*", text or b"", re.MULTILINE) for text in texts)
    return now != before


def back(here: Checkout, before: str, branch: str) -> None:
    """After a failure, the checkout as it was. What copier has written by then goes to the stash, not to nothing."""
    if here.where() != branch:
        return
    if _put_aside(here, "comp update, interrupted"):
        print("what was written so far is in git stash (git stash drop removes it)", file=sys.stderr)
    here.switch(*place(here, before))
    here.git("branch", "--quiet", "-D", branch)


def finish(here: Checkout) -> int:
    """Commits the update, merges it into the branch that it came from, and goes there.

    Raises:
        CompError: no update stands here, or one that was cut off, or with something left to settle; git or a hook
            refused; or both branches changed the same lines. The branch then stands as it did.
    """
    branch, before = _open(here)
    _require_whole(here, branch)
    _require_settled(here, before)
    here.git("add", "--all", "--", ".")
    if not here.is_true("diff", "--cached", "--quiet"):
        here.commit(branch)
    here.switch(*place(here, before))
    try:
        here.merge(branch)
    except CompError:
        both = here.unmerged()
        here.is_true("merge", "--abort")
        here.switch(branch)
        if not both:
            raise
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
    if _put_aside(here, f"{branch}, undone"):
        what = "what the update wrote, and what you wrote since,"
        print(f"stash   {what} is in git stash (git stash pop brings it back)")
    here.switch(*place(here, before))
    if here.is_true("merge-base", "--is-ancestor", branch, "HEAD"):
        here.git("branch", "--quiet", "-D", branch)
    else:
        print(f"kept    the branch {branch} has commits (git branch -D {branch} removes it with them)")
    print(f"undone  back on {before}")
    return 0


def by_hand(here: Checkout, branch: str) -> str:
    """What undoes an update where comp itself does not start, because lines of its own code stand between markers."""
    return f"git add -A . && git stash && git switch {' '.join(place(here, came_from(here, branch)))}"


def came_from(here: Checkout, branch: str) -> str:
    """From which branch or commit an update went to this one; empty if none did."""
    return here.git("config", "--default", "", "--get", f"branch.{branch}.{FROM}").strip()


def place(here: Checkout, before: str) -> list[str]:
    """What `git switch` takes to come back."""
    known = here.is_true("rev-parse", "--verify", "--quiet", f"refs/heads/{before}")
    return [before] if known else ["--detach", before]


def _require_idle(here: Checkout) -> None:
    """Raises CompError: a command is at work in a run. What it has yet to import would be other code."""
    for folder in sorted(path.parent for path in here.folder.glob("runs/*/.lock")):
        if who := holder(folder):
            raise CompError(
                f"runs/{folder.name} is in use by {who}: wait until it ends, since the code under it would change"
            )


def _is_cut_off(here: Checkout, branch: str) -> bool:
    return here.is_true("config", "--get", f"branch.{branch}.{WRITING}")


def _require_whole(here: Checkout, branch: str) -> None:
    if _is_cut_off(here, branch):
        raise CompError(
            f"the update on {branch} was cut off in the middle, and edits of yours may be missing from it: undo it, "
            f"then comp update\nto undo it: {UNDO}"
        )


def _put_aside(here: Checkout, message: str) -> bool:
    """Puts what is not committed into the stash, new files of this folder too; whether there was something."""
    if not here.uncommitted():
        return False
    here.git("add", "--all", "--", ".")
    here.git("stash", "push", "--quiet", "--message", message)
    return True


def _name(here: Checkout, version: str) -> str:
    """The name of the branch for an update; one that is merged may be used again."""
    branch = f"template-{version}"
    if here.where() == branch:
        return f"{branch}-more"
    known = here.is_true("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")
    if known and not here.is_true("merge-base", "--is-ancestor", branch, "HEAD"):
        whole = came_from(here, branch) and not _is_cut_off(here, branch)
        ways = [f"git switch {branch} && {FINISH} merges it"] * bool(whole)
        ways += [f"git branch -D {branch} deletes it, if its pull request is merged or it is not wanted"]
        raise CompError(f"the branch {branch} holds an update that is not merged: {', or '.join(ways)}")
    return branch


def _open(here: Checkout) -> tuple[str, str]:
    """The branch of the update that stands here, and where it came from."""
    branch = here.where()
    before = came_from(here, branch)
    if before:
        _require_idle(here)
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

"""The user's git checkout: is it clean, what is in it, onto a branch and back. Paths are relative to `folder`."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from comp.errors import CompError

LOCK = ".lock': File exists"  # which git leaves behind when it is killed


@dataclass(frozen=True)
class Checkout:
    folder: Path  # may be a folder within a larger repository

    def git(self, *words: str | Path, stdin: str | None = None) -> str:
        """Runs git and returns what it prints.

        Raises:
            CompError: git is not installed, or it failed; its reason in one line.
        """
        return self._run(words, stdin).decode("utf-8", errors="surrogateescape")

    def names(self, *words: str) -> list[str]:
        """The file names that a git command with -z prints."""
        return [name for name in self.git(*words).split("\0") if name]

    def is_true(self, *words: str) -> bool:
        """Whether a git command ends with status 0."""
        return subprocess.run(["git", *words], cwd=self.folder, capture_output=True, check=False).returncode == 0

    def switch(self, *words: str) -> None:
        """`git switch` without the user's hooks: one that fails would leave a switch half done."""
        self.git("-c", f"core.hooksPath={os.devnull}", "switch", "--quiet", *words)

    def commit(self, message: str) -> None:
        """Commits what is staged. Raises as `merge` does."""
        self._with_hooks("commit", "--quiet", "--message", message)

    def merge(self, branch: str) -> None:
        """Merges a branch into this one.

        Raises:
            CompError: git refused, or one of the user's hooks; with all that they said.
        """
        self._with_hooks("merge", "--quiet", branch)

    def committed(self, name: str, at: str = "HEAD") -> bytes | None:
        """A file's content at a commit, the last one, as it would lie in the checkout; None if it is not in git."""
        if not self.is_true("cat-file", "-e", f"{at}:./{name}"):
            return None
        return self._run(("cat-file", "--filters", f"{at}:./{name}"), None)

    def current(self, name: str) -> bytes | None:
        """A file's content now, of a symbolic link its target; None if there is no file."""
        path = self.folder / name
        if path.is_symlink():
            return os.fsencode(path.readlink())
        return path.read_bytes() if path.is_file() else None

    def changed(self, since: str = "HEAD") -> list[str]:
        """The files in git that are no longer as they were committed."""
        return self.names("diff", "--name-only", "--relative", "--no-renames", "-z", since, "--", ".")

    def renames(self) -> dict[str, str]:
        """What files were once called → what they are called now, as far as git can tell from the history."""
        words = self.names(
            "log", "--format=", "--name-status", "--relative", "--find-renames", "--diff-filter=R", "-z", "--", "."
        )
        found: dict[str, str] = {}
        for before, after in zip(words[1::3], words[2::3], strict=True):  # the newest first
            found.setdefault(before, found.get(after, after))
        return {before: after for before, after in found.items() if self.current(after) is not None}

    def not_in_git(self) -> list[str]:
        """New files, without those that git ignores."""
        return self.names("ls-files", "--others", "--exclude-standard", "-z")

    def unmerged(self) -> set[str]:
        """The files whose conflict git knows of."""
        return set(self.names("diff", "--name-only", "--relative", "--diff-filter=U", "-z", "--", "."))

    def where(self) -> str:
        """The current branch; with a detached HEAD, the commit."""
        return self.git("branch", "--show-current").strip() or self.git("rev-parse", "HEAD").strip()

    def require_commit(self) -> None:
        """Raises CompError: there is no git repository here, or nothing in it."""
        if not self.is_true("rev-parse", "--is-inside-work-tree"):
            raise CompError("this folder is not under git: git init && git add -A && git commit, then comp update")
        if not self.is_true("rev-parse", "--verify", "HEAD"):
            raise CompError("nothing is committed yet: git add -A && git commit, then comp update")

    def uncommitted(self) -> list[str]:
        """What is not committed: changes anywhere in the repository, new files in this folder."""
        return [line[3:] for line in self.git("status", "--porcelain", "-uno").splitlines()] + self.not_in_git()

    def unsafe(self, names: set[str]) -> list[str]:
        """Those of `names` that exist, but that git could not give back as they are: ignored or not looked at by it."""
        listed = self.names("ls-files", "-v", "-z")
        kept = {entry[2:] for entry in listed if entry[0] == "H"}  # not h, S: assumed unchanged, or skipped
        return sorted(name for name in names - kept if os.path.lexists(self.folder / name))

    def stage(self) -> None:
        """Stages all but the conflicts, so that `git add -A . && git stash` would give the clean checkout back."""
        open_conflicts = self.unmerged()
        names = sorted({*self.changed(), *self.not_in_git()} - open_conflicts)
        if names:
            listed = ("--pathspec-from-file=-", "--pathspec-file-nul")
            self.git("--literal-pathspecs", "add", "--all", *listed, stdin="\0".join(names))

    def staged(self) -> dict[str, str]:
        """The files that differ from the last commit, each with its letter: added, modified, deleted, unmerged."""
        words = self.names("diff", "--cached", "--name-status", "--relative", "--no-renames", "-z", "HEAD", "--", ".")
        return dict(zip(words[1::2], words[::2], strict=True))

    def _with_hooks(self, *words: str) -> None:
        done = subprocess.run(["git", *words], cwd=self.folder, capture_output=True, check=False)
        if done.returncode:
            said = (done.stdout + done.stderr).decode("utf-8", errors="replace").strip() or "(no reason given)"
            raise CompError(
                f"git {words[0]}, or a hook of yours, refused; do what it says, then the same again:\n{said}"
            )

    def _run(self, words: tuple[str | Path, ...], stdin: str | None) -> bytes:
        given = None if stdin is None else stdin.encode("utf-8", errors="surrogateescape")
        command = ["git", *map(str, words)]
        try:
            done = subprocess.run(command, cwd=self.folder, input=given, capture_output=True, check=False)
        except FileNotFoundError:
            raise CompError("git is not installed") from None
        if done.returncode:
            said = done.stderr.decode("utf-8", errors="replace").strip().splitlines() or [f"status {done.returncode}"]
            reason = next((line for line in said if line.startswith(("fatal: ", "error: "))), said[-1])
            name = words[2] if words[0] == "-c" else words[0]
            hint = "; if no other git is at work here, delete that file, then again" if LOCK in reason else ""
            raise CompError(f"git {name}: {reason.partition(': ')[2] or reason}{hint}")
        return done.stdout

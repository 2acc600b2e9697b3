"""Stands in a dry run as `sitecustomize.py`, which every Python there imports first: no network, an image's packages.

The standard library alone: nothing of this repository is there to be imported.
"""

import importlib.machinery
import os
import platform
import site
import sys
from collections.abc import Sequence
from types import FrameType, ModuleType
from typing import Any

ROOM = "COMP_DRY_RUN"  # an environment variable: the folder of the dry run; beside installed packages, all there is
HIDDEN = "COMP_DRY_RUN_HIDDEN"  # likewise: modules that are installed here, and not on Kaggle
ASKS = {"socket.getaddrinfo": 0, "socket.gethostbyname": 0, "socket.gethostbyaddr": 0}  # where a host stands
SENDS = {"socket.connect": 1, "socket.sendto": 1, "socket.sendmsg": 1}  # where an address stands


def install() -> None:
    _keep_to_the_room()
    sys.addaudithook(_refuse_the_network)


def _is_inside(path: str, folders: Sequence[str]) -> bool:
    real = os.path.realpath(path)
    return any(real == folder or real.startswith(folder + os.sep) for folder in map(os.path.realpath, folders))


def _keep_to_the_room() -> None:
    """Takes out of the search for modules what is neither installed nor in the room, such as the repository's src/."""
    room = os.environ[ROOM]
    installed = [sys.prefix, sys.base_prefix, *site.getsitepackages(), site.getusersitepackages()]
    sys.path[:] = [path for path in sys.path if path and _is_inside(path, [room, *installed])]
    hidden = set(os.environ.get(HIDDEN, "").split())

    class Installed(importlib.machinery.PathFinder):
        @classmethod
        def find_spec(
            cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
        ) -> importlib.machinery.ModuleSpec | None:
            if path is None and fullname in hidden:
                path = [each for each in sys.path if _is_inside(each, [room])]
            return super().find_spec(fullname, path, target)

    kept = [each for each in sys.meta_path if not getattr(each, "__module__", "").startswith("__editable__")]
    sys.meta_path[:] = [Installed if each is importlib.machinery.PathFinder else each for each in kept]


def _refuse_the_network(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ASKS:
        host = arguments[ASKS[event]]
    elif event in SENDS:
        address = arguments[SENDS[event]]
        host = address[0] if isinstance(address, tuple) and address else None
    else:
        return
    name = host.decode(errors="replace") if isinstance(host, bytes) else host
    if name in (None, "", "localhost", "::", "::1", "0.0.0.0", platform.node()) or str(name).startswith("127."):
        return
    raise PermissionError(f"{_who_asks()} asks for {name}, and a dry run has no network")


def _who_asks() -> str:
    """The innermost line that is the package's or the notebook's own; else whichever asks."""
    frame: FrameType | None = sys._getframe(2)
    first = frame
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith("cell ") or _is_inside(file, [os.environ[ROOM]]):
            return f"{os.path.relpath(file, os.environ[ROOM]) if os.sep in file else file}, line {frame.f_lineno},"
        frame = frame.f_back
    return "nothing" if first is None else f"{first.f_code.co_filename}, line {first.f_lineno},"


if __name__ == "sitecustomize":
    install()

"""`python run_cells.py NOTEBOOK`: runs the code cells one after the other, as a notebook's kernel would.

The standard library alone, as in guard.py. The last line that it prints says which cell has failed, and how.
"""

import json
import linecache
import os
import struct
import sys
import traceback
from pathlib import Path

ALONE = "COMP_DRY_RUN_ALONE"  # an environment variable: whether this is a network namespace, where even lo is off
FAILED = "notebook: "


def main(path: str) -> int:
    if ALONE in os.environ:
        _switch_on_loopback()
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    space = {"__name__": "__main__"}
    for number, cell in enumerate(cells, 1):
        if cell["cell_type"] != "code":
            continue
        name, source = f"cell {number}", "".join(cell["source"])
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        try:
            exec(compile(source, name, "exec"), space)
        except BaseException as error:  # SystemExit among them
            traceback.print_exc()
            print(f"{FAILED}{name}: {type(error).__name__}: {' '.join(str(error).split())}", flush=True)
            return 1
    return 0


def _switch_on_loopback() -> None:
    """Processes on this machine talk to each other through it."""
    try:
        import fcntl
        import socket

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14s", b"lo", 0x41, b""))  # SIOCSIFFLAGS: up and running
    except (ImportError, OSError):
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

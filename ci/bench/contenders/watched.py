"""`python watched.py ARGUMENTS`: `comp ARGUMENTS` in this process, which says at its end what its GPU held at most.

A launcher starts it in place of `-m comp`.
"""

import atexit
import os
import runpy
import sys


def tell() -> None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return
    allocated, reserved = torch.cuda.max_memory_allocated() / 1e9, torch.cuda.max_memory_reserved() / 1e9
    rank = os.environ.get("RANK", "0")
    print(f"\nprocess {rank} at most {allocated:.2f} GB allocated, {reserved:.2f} GB reserved", flush=True)


if __name__ == "__main__":
    atexit.register(tell)
    sys.argv[0] = "comp"
    runpy.run_module("comp", run_name="__main__")

"""`accelerate launch` without its own traceback: the process that failed or was stopped has said why.

Run as `python -m comp.distributed.accelerate_launch …`. It trains nothing itself, and so imports nothing that trains.
"""

import logging
import sys

from comp.distributed.processes import end_with_starter


def accelerate_launch() -> None:
    """Starts the processes that the command line asks for; exits with 1 where one of them fails."""
    from accelerate.commands.launch import main
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.disable(logging.ERROR)
    end_with_starter()
    try:
        main()
    except (ChildFailedError, SignalException):
        sys.exit(1)


if __name__ == "__main__":
    accelerate_launch()

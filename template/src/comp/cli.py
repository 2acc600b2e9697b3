"""`comp COMMAND [CONFIG] [key=value …]`: loads what the command needs and turns errors into a line."""

import argparse
import errno
import io
import os
import shlex
import sys
import time
from pathlib import Path

from comp.errors import CompError
from comp.interrupt import Stopped
from comp.tasks import TASKS, part_of, tasks_here

BASELINE, DEMO = Path("conf/baseline.yaml"), Path("conf/demo.yaml")
COMMANDS = {
    "demo-data": "write a small demo competition into data.root, offline (CONFIG defaults to conf/demo.yaml)",
    "config": "print the resolved configuration",
    "split": "write folds.csv, once for all runs",
    "cache": "decode all images ahead of training, into one file a table",
    "pretrain": "train on another data set first: every fold starts from these weights",
    "train": "train the folds, go on with what was cut short, write the predictions",
    "predict": "predict again from the checkpoints: other views, other test images",
    "verify": "compare what was predicted with the truth, with random pairs and with simple baselines",
    "blend": "combine runs by a mean or by weights",
    "stack": "combine runs, and features of the images, by a learned combiner",
    "pseudo": "train students that also learn from the test rows which the models are sure of",
    "soup": "average the weights of runs, fold by fold",
    "submit": "write the submission, checked against the sample submission",
    "score": "score the submission against a local solution.csv",
    "report": "draw the run: an HTML page, its plots as PNG beside it",
    "update": "bring the template's newest code, on a branch; key=value changes an answer",
    "run": "all steps of the configuration, start to submission; goes on where it stopped",
}
LAUNCHING = {"predict", "pretrain", "soup"}  # may start further processes, and give an exit status
NEXT = {
    "demo-data": "run",
    "split": "train",
    "cache": "train",
    "pretrain": "train",
    "train": "submit",
    "predict": "submit",
    "pseudo": "blend",
    "blend": "submit",
    "stack": "submit",
    "soup": "submit",
}
FLAGS = {
    "split": ("--force", "make the folds anew, although folds.csv is there"),
    "update": ("--check", "only tell whether there is something newer, and what it would change (status 2)"),
    "train": ("--fresh", "remove what this run has trained so far"),
}


def main(arguments: list[str] | None = None) -> int:
    """Runs one command. Exit status: 0, 1 for an error that the user can mend, 2 for a wrong command line."""
    words = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):  # piped on Windows, it cannot write every class's name
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    parser = _parser()
    given, rest = parser.parse_known_args(words)  # rest: what argparse does not take after a flag
    if any(word.startswith("-") for word in rest):
        parser.error(f"unknown option: {' '.join(rest)}")
    given.words += rest
    try:
        return _do(given, words)
    except CompError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from what was saved last", file=sys.stderr)
        return 130
    except Stopped as stopped:
        print("stopped; the state is saved, the same command goes on from here", file=sys.stderr)
        return 128 + stopped.number
    except BrokenPipeError:
        return 1
    except OSError as error:
        from comp.files import NO_SPACE

        if error.errno == errno.EROFS or isinstance(error, (PermissionError, NotADirectoryError, FileExistsError)):
            return _complain(f"{error.filename}: {error.strerror}; data.work=… puts folds.csv and the cache elsewhere")
        if error.errno not in NO_SPACE:
            raise
        return _complain(f"no space left on the disk ({error.filename or 'while writing'}): free some and run again")


def _do(given: argparse.Namespace, words: list[str]) -> int:
    if given.command == "update":  # needs no configuration, not even one that can be read
        from comp.update import update

        return update(given.words, given.check)
    from comp.config import load_config, to_yaml

    path, overrides = _config_and_overrides(given)
    config = load_config(path, overrides)
    arguments = [str(path), *overrides]
    command: str = given.command
    if command == "config":
        print(to_yaml(config), end="")
        return 0
    if command == "run":
        from comp.run import run

        return run(config, arguments)
    work = part_of(config.task, command)
    status = 0
    if command == "split":
        work(config, given.force)
    elif command == "train":
        status = work(config, words, given.fresh)
    elif command in LAUNCHING:
        status = work(config, words)
    elif command == "pseudo":
        status = work(config)
    else:
        work(config)
    return status or (_next(NEXT[command], arguments) if command in NEXT else 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="comp", description="From the competition's files to a checked submission.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, about in commands_here().items():
        command = commands.add_parser(name, help=about, description=about)
        command.add_argument("words", nargs="*", metavar="[CONFIG] key=value", help=f"default {BASELINE}; folds=[0,2]")
        if name in FLAGS:
            flag, meaning = FLAGS[name]
            command.add_argument(flag, action="store_true", help=meaning)
    return parser


def commands_here() -> dict[str, str]:
    """The commands of this repository's task, and what they do."""
    known = {"config", "run", "update", *(command for task in tasks_here() for command in TASKS[task])}
    return {name: about for name, about in COMMANDS.items() if name in known}


def _config_and_overrides(given: argparse.Namespace) -> tuple[Path, list[str]]:
    words: list[str] = given.words
    if words and ("=" not in words[0] or Path(words[0]).is_file()):
        return Path(words[0]), words[1:]
    return (DEMO if given.command == "demo-data" and DEMO.exists() else BASELINE), words


def _next(command: str, arguments: list[str]) -> int:
    """The closing line of a command; of several processes, the first or their starter says it."""
    if os.environ.get("RANK", "0") == "0" and "COMP_TOLD" not in os.environ:
        config = [word for word in arguments if word != str(BASELINE)]
        print(f"next    {shlex.join(['comp', command, *config])}")
    return 0


def _complain(message: str) -> int:
    if os.environ.get("RANK", "0") != "0":
        time.sleep(5)  # the first process says it and all end; else it is this one's own fault
    for line in message.splitlines():
        print(f"error: {line}", file=sys.stderr)
    return 1

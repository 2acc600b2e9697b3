"""`comp COMMAND [CONFIG] [key=value …]`: loads what the command needs and turns errors into a line."""

import argparse
import errno
import io
import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comp.distributed.signals import Stopped
from comp.distributed.waiting import choose_waiting
from comp.errors import CompError, shortened
from comp.files import NO_SPACE, is_file
from comp.tasks import Command, command_called, commands_here

if TYPE_CHECKING:
    from comp.config import Experiment

BASELINE = Path("conf/baseline.yaml")
SHORT = {"message": "-m"}


def main(arguments: list[str] | None = None) -> int:
    """Runs one command. Exit status: its own, 1 for an error that the user can fix, 2 for a wrong command line."""
    words = _with_whole_command(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):  # piped on Windows, it cannot write every class's name
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if other := _other_code():
        return _complain(other)
    parser = _parser()
    given, rest = parser.parse_known_args(words)  # rest: what argparse does not take after a flag
    if any(word.startswith("-") for word in rest):
        parser.error(f"unknown option: {' '.join(rest)}")
    given.words += rest
    try:
        return _run(given)
    except CompError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        print("\nstopped; the same command resumes from what was saved last", file=sys.stderr)
        return 130
    except Stopped as stopped:
        print("stopped; the state is saved, the same command resumes from here", file=sys.stderr)
        return 128 + stopped.number
    except BrokenPipeError:
        return 1
    except OSError as error:
        if error.errno in NO_SPACE:
            where = error.filename or "while writing"
            return _complain(f"no space left on the disk ({where}): free some and run again")
        if error.filename is None:
            raise
        return _complain(f"{shortened(str(error.filename))}: {error.strerror}")


def _other_code() -> str:
    """What is wrong where the code of another repository of this environment would run on this one; else ""."""
    here, running = Path("src/comp/__init__.py"), Path(__file__).with_name("__init__.py")
    if not here.is_file() or here.samefile(running):
        return ""
    return (
        f"comp runs the code in {running.parent}, not that in {here.parent}: pip install -e . in an environment of "
        "this repository's own (python -m venv .venv), or set PYTHONPATH=src"
    )


def print_config(config: "Experiment") -> None:
    """Prints the resolved configuration."""
    from comp.config import to_yaml

    print(to_yaml(config), end="")


def _run(given: argparse.Namespace) -> int:
    name: str = given.command
    command = commands_here()[name]
    options = {name: value for name in command.options if (value := getattr(given, name)) is not None}
    flags: dict[str, Any] = {**{flag: getattr(given, flag) for flag in command.flags}, **options}
    if command.config is None:
        return command(given.words, [name, *given.words], **flags)
    if command.launches:
        choose_waiting()
    from comp.config import load_config

    path, overrides = _config_and_overrides(command, given.words)
    config = load_config(path, overrides)
    command = command_called(name, config.task)
    unknown = [option for option in options if option not in command.options]
    if unknown:
        raise CompError(f"comp {name} of the task {config.task} takes no --{unknown[0]}")
    try:
        status = command(config, [name, str(path), *overrides], **flags)
    except OSError as error:
        if _may_not_write(error) and _is_below(error.filename, Path(config.data.work or config.data.root)):
            hint = "data.work=… puts folds.csv and the cache elsewhere"
            raise CompError(f"{error.filename}: {error.strerror}; {hint}") from None
        raise
    if not status and command.next and not options:
        _suggest(command.next, path, overrides)
    return status


def _with_whole_command(words: list[str]) -> list[str]:
    """`words`, the first two as one where they are a command (synth plan)."""
    both = " ".join(words[:2])
    return [both, *words[2:]] if len(words) > 1 and both in commands_here() else words


def _may_not_write(error: OSError) -> bool:
    refused = isinstance(error, (PermissionError, NotADirectoryError, FileExistsError))
    return error.filename is not None and (refused or error.errno == errno.EROFS)


def _is_below(name: str, folder: Path) -> bool:
    return Path(name).absolute().is_relative_to(folder.absolute())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="comp", description="From the competition's files to a checked submission.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in commands_here().items():
        about = commands.add_parser(name, help=command.help, description=command.help)
        if command.config is None:
            about.add_argument(
                "words", nargs="*", metavar=command.words, help=None if command.words else argparse.SUPPRESS
            )
        else:
            default = f"CONFIG defaults to {command.config}; key=value overrides a key of it"
            about.add_argument("words", nargs="*", metavar="[CONFIG] key=value", help=default)
        for flag, meaning in command.flags.items():
            about.add_argument(f"--{flag.replace('_', '-')}", action="store_true", help=meaning)
        for option, meaning in command.options.items():
            value, _, help_ = meaning.partition(": ")
            several = "+" if value.endswith("…") else None
            names = [f"--{option}", *([SHORT[option]] if option in SHORT else [])]
            about.add_argument(*names, nargs=several, metavar=value.removesuffix(" …"), help=help_)
    return parser


def _config_and_overrides(command: Command, words: list[str]) -> tuple[Path, list[str]]:
    if words and ("=" not in words[0] or is_file(Path(words[0]))):
        return Path(words[0]), words[1:]
    default = Path(str(command.config))
    return (default if default.exists() else BASELINE), words


def _suggest(command: str, path: Path, overrides: list[str]) -> None:
    """The closing line; of several processes, the first or their starter says it."""
    if os.environ.get("RANK", "0") == "0" and "COMP_QUIET" not in os.environ:
        config = [] if path == BASELINE else [str(path)]
        print(f"next    {shlex.join(['comp', *command.split(), *config, *overrides])}")


def _complain(message: str) -> int:
    if os.environ.get("RANK", "0") != "0":
        time.sleep(15)  # the first process says it and all end; else it is this one's own fault
    for line in message.splitlines():
        print(f"error: {line}", file=sys.stderr)
    return 1

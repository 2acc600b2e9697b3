"""Types docs/guide.md of a generated repository from top to bottom: `python ci/guide.py [TASK …]`.

The competition is the task's demo data: a server on this machine hands it out through Kaggle's own client, scores what
is sent, and runs the notebooks that are pushed. The baseline keeps its name and its recipe, with the demo's small
network and one epoch.
"""

import csv
import os
import re
import runpy
import shlex
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from questions import ROOT, constants_of

PAGE = "docs/guide.md"
SLUG = "digits"  # that the server knows
EPOCHS = 1
Run = Callable[..., None]  # comp with these words, and these variables of the environment


def commands_of_page(text: str) -> list[list[str]]:
    """The words of each line of the blocks of a page that are to be typed."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [shlex.split(line, comments=True) for block in blocks for line in block.splitlines() if line.strip()]


def walk(repo: Path, run: Run) -> None:
    """Types the page; `run` raises what it likes where a command fails.

    Raises:
        ValueError: the page says what is no command of this repository, or its commands leave out what they promise.
    """
    commands = commands_of_page((repo / PAGE).read_text(encoding="utf-8"))
    strange = [words for words in commands if words[0] != "comp"]
    if not commands or strange:
        raise ValueError(f"{PAGE} has nothing to type, or what is not comp: {strange}")
    sys.path.insert(0, str(repo / "tests"))  # where it imports from
    kaggle = runpy.run_path(str(repo / "tests/kaggle_server.py"))
    with tempfile.TemporaryDirectory(prefix="guide-") as folder:
        archive = _competition(repo, Path(folder), run)
        _make_small(repo)
        server = kaggle["Server"]()
        try:
            server.state.archive = archive.read_bytes()
            server.state.cloud = kaggle["Cloud"](Path(folder, "cloud"), Path(folder, "demo"))
            for words in commands:
                run(*words[1:], **_logged_in(server.address, kaggle["USER"], kaggle["KEY"], folder))
            sent = [each["description"] for each in server.state.submissions]
        finally:
            server.shutdown()
            server.server_close()
    _look(repo, sent)


def _competition(repo: Path, folder: Path, run: Run) -> Path:
    """The demo data as the archive that Kaggle would send."""
    run("demo-data", "conf/demo.yaml", f"data.root={folder / 'demo'}")
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        for path in sorted((folder / "demo").rglob("*")):
            archive.write(path, path.relative_to(folder / "demo"))
    return folder / "archive.zip"


def _make_small(repo: Path) -> None:
    """The baseline as it was answered, but for what conf/demo.yaml says of data, network and training."""
    demo, path = (repo / "conf/demo.yaml").read_text(encoding="utf-8"), repo / "conf/baseline.yaml"
    small: dict[str, Any] = yaml.safe_load(demo.replace("data/demo", f"data/{SLUG}"))
    members = small.pop("members", None) or [{}]
    for section, values in members[-1].items():
        small[section] = {**small.get(section, {}), **values} if isinstance(values, dict) else values
    small = {key: value for key, value in small.items() if key not in ("base", "name", "steps")}
    small["data"].pop("root")
    small["train"] = {**small.get("train", {}), "epochs": EPOCHS}
    if "comp forecast" in (repo / PAGE).read_text(encoding="utf-8"):
        small["limits"] = {"seconds": 1}
    baseline = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**baseline, **small}), encoding="utf-8")


def _logged_in(address: str, user: str, key: str, home: str) -> dict[str, str]:
    """Variables by which Kaggle's client asks the server, as this user."""
    named = {"HOME": home, "USERPROFILE": home, "XDG_CONFIG_HOME": home, "KAGGLE_API_ENVIRONMENT": "LOCALHOST"}
    return {**named, "http_proxy": address, "no_proxy": "127.0.0.1", "KAGGLE_USERNAME": user, "KAGGLE_KEY": key}


def _look(repo: Path, sent: list[str]) -> None:
    """Raises: ValueError, where the page promises what is not there."""
    text = (repo / PAGE).read_text(encoding="utf-8")
    promised = re.findall(r"`((?:data|runs|handover)/[\w./-]+)`", text)
    missing = [name for name in promised if not (repo / name).exists()]
    messages = [words[words.index("-m") + 1] for words in commands_of_page(text) if "-m" in words]
    with (repo / "runs/leaderboard.csv").open(encoding="utf-8", newline="") as file:
        scored = {line["name"]: line["public"] for line in csv.DictReader(file)}
    if missing or sent != messages or not scored["baseline"]:
        raise ValueError(f"{PAGE} promises {missing or messages}; sent: {sent}, public scores: {scored}")


def main(tasks: list[str]) -> int:
    """Prints the seconds that each command took, by task; 1 if one failed."""
    for task in tasks or constants_of()["parts"]:
        with tempfile.TemporaryDirectory(prefix="guide-") as folder:
            repo = Path(folder, "repo")
            words = ["--quiet", "--defaults", "--vcs-ref", "HEAD", "--data", f"task={task}", "--data", f"slug={SLUG}"]
            subprocess.run([sys.executable, "-m", "copier", "copy", *words, str(ROOT), str(repo)], check=True)
            started = time.monotonic()
            try:
                walk(repo, lambda *typed, repo=repo, **variables: _typed(repo, typed, variables))
            except (ValueError, subprocess.CalledProcessError) as error:
                print(f"{task}: {error}", file=sys.stderr)
                return 1
            print(f"{time.monotonic() - started:6.1f}  {task}: {PAGE}, from top to bottom", flush=True)
    return 0


def _typed(repo: Path, words: tuple[str, ...], variables: dict[str, str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(repo / "src"), "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    started = time.monotonic()
    command = [sys.executable, "-m", "comp", *words]
    done = subprocess.run(
        command, cwd=repo, env={**environment, **variables}, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        print((done.stdout + done.stderr)[-6000:], file=sys.stderr)
        done.check_returncode()
    print(f"{time.monotonic() - started:6.1f}  comp {shlex.join(words)}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

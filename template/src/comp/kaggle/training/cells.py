"""The notebook of `comp kaggle train`: readable, and it runs in Kaggle's editor too."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from comp.kaggle.notebook import FIND, code, markdown, notebook

SESSION = "comp-session.json"  # in its output: which session it was, and how it ended

ABOUT = """
# {name}: training

Written by `comp kaggle train`, which saves it on Kaggle, follows it, and fetches `runs/` from its output. It takes the
code from the dataset `{dataset}`, and runs the command below as on any machine. On two GPUs, `comp train` by itself
trains one fold per GPU or, where one fold is left or the model is large, each fold on both.

A session is over after {hours:g} hours: training is then asked to stop, saves its state, and the next session goes on.
"""
SETTINGS = """
NAME = {name!r}
COMPETITION = {competition!r}
CODE = {digest!r}  # of the dataset with the code
COMMAND = {command!r}
SESSION = {session}  # counted from 1
AFTER = {after}  # the session that it goes on from; 0: begins anew
HOURS = {hours!r}
"""
# What these cells name stands in packed.py (comp-code.json, code, work) and above (comp-session.json).
PREPARE = """
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from importlib.util import find_spec
from threading import Thread

STARTED = time.time()
ROOM = Path(tempfile.mkdtemp(prefix="comp-", dir="/kaggle/tmp" if Path("/kaggle/tmp").is_dir() else None))
HERE, WORK = ROOM / "code", ROOM / "work"  # neither is part of the output

uploaded = find("the dataset with the code", "comp-code.json")
found = json.loads((uploaded / "comp-code.json").read_text())["digest"]
if found != CODE:
    raise RuntimeError(f"the dataset has the code {found}, and this notebook needs {CODE}: push it again")
if (uploaded / "code.zip").is_file():  # Kaggle has left it packed
    shutil.unpack_archive(uploaded / "code.zip", HERE)
else:
    shutil.copytree(uploaded / "code", HERE)
if (HERE / "work").is_dir():
    shutil.copytree(HERE / "work", WORK)  # the folds, so that they are those of the other runs
(WORKING / "runs").mkdir(parents=True, exist_ok=True)
(HERE / "runs").symlink_to(WORKING / "runs")

places = [INPUT / "competitions" / COMPETITION, INPUT / COMPETITION]
data = next((place for place in places if place.is_dir()), None)
if data is None:
    raise RuntimeError(f"the files of the competition {COMPETITION} are not below {INPUT}: Add Input adds them")
print("code", CODE, "data", data)
"""
PACKAGES = """
# What the code needs and Kaggle's image lacks. Nothing that is there is changed. Packages of your own (mine) may be for
# something else than training: what cannot be installed of them is told, and ends nothing.
MODULES = {"iterative-stratification": "iterstrat", "opencv-python-headless": "cv2", "pillow": "PIL", "pyyaml": "yaml",
           "scikit-learn": "sklearn"}
project = {"dependencies": []}
if (HERE / "pyproject.toml").is_file():
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def missing(needed):
    names = {each: re.match(r"[\\w-]+", each)[0] for each in needed}
    return [each for each, name in names.items() if find_spec(MODULES.get(name, name.replace("-", "_"))) is None]


INSTALL = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
needed, mine = missing(project["dependencies"]), missing(project.get("optional-dependencies", {}).get("mine", []))
print("missing here:", *(needed + mine or ["nothing"]))
if needed:
    subprocess.run([*INSTALL, *needed], check=True)
for each in mine:
    if subprocess.run([*INSTALL, each], check=False).returncode:
        print("not installed:", each)
"""
CARRY = """
# Where an earlier session stopped: its output is one of the inputs.
if AFTER:
    earlier = find("the output of an earlier session", "comp-session.json")
    told = json.loads((earlier / "comp-session.json").read_text())
    if told["name"] != NAME or told["session"] < AFTER:
        raise RuntimeError(f"session {AFTER} of {NAME} is not below {INPUT}, but session {told}")
    if (earlier / "runs.zip").is_file():  # Kaggle has left it packed
        shutil.unpack_archive(earlier / "runs.zip", WORKING / "runs")
    else:
        shutil.copytree(earlier / "runs", WORKING / "runs", dirs_exist_ok=True)
    if (earlier / "folds.csv").is_file():
        WORK.mkdir(exist_ok=True)
        shutil.copyfile(earlier / "folds.csv", WORK / "folds.csv")
    print("going on from session", told["session"])
"""
TRAIN = """
environment = dict(os.environ, PYTHONPATH=str(HERE / "src"), PYTHONUNBUFFERED="1")


def start(*words):  # a notebook shows the output of its own process alone, so a thread prints that of comp
    print("comp", *words, flush=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "comp", *words], cwd=HERE, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    )
    printing = Thread(target=lambda: [print(line, end="", flush=True) for line in process.stdout], daemon=True)
    printing.start()
    return process, printing


where = f"data.root={data}", f"data.work={WORK}"
if not (WORK / "folds.csv").is_file():
    process, printing = start("split", *COMMAND[1:], *where)
    printing.join()
    if process.wait():
        raise RuntimeError("comp split has failed: it has said why above")
shutil.copyfile(WORK / "folds.csv", WORKING / "folds.csv")

process, printing = start(*COMMAND, *where)
while process.poll() is None and time.time() < STARTED + 3600 * HOURS:
    time.sleep(1)
stopped = process.poll() is None
if stopped:
    print("this session ends: training saves its state", flush=True)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=600)
    except subprocess.TimeoutExpired:  # what was saved last is there
        process.kill()
        process.wait()
printing.join(timeout=60)
state = "done" if process.returncode == 0 else "unfinished" if stopped else "failed"
told = {"name": NAME, "session": SESSION, "state": state, "code": CODE}
(WORKING / "comp-session.json").write_text(json.dumps(told))
print("session", SESSION, state)
if state == "failed":
    raise RuntimeError(f"comp {COMMAND[0]} ended with exit status {process.returncode}: it has said why above")
"""


@dataclass(frozen=True)
class Plan:
    """What a session is to do."""

    name: str  # of the experiment
    competition: str
    command: Sequence[str]  # without `comp`
    dataset: str  # OWNER/SLUG of the code
    digest: str  # of the code
    hours: float
    session: int = 1
    after: int = 0  # the session that it goes on from; 0: begins anew


def training_notebook(plan: Plan) -> str:
    """The text of the `.ipynb` file."""
    values = {**vars(plan), "command": list(plan.command)}
    cells = [markdown(ABOUT.format(**values)), code(SETTINGS.format(**values)), code(FIND)]
    cells += [code(PREPARE), code(PACKAGES), code(CARRY), code(TRAIN)]
    written: dict[str, Any] = notebook(cells)
    return json.dumps(written, indent=1, ensure_ascii=False) + "\n"

"""The notebook of a package: cells that are read by people, and run on Kaggle, in an editor, and in the dry run.

What differs from run to run stands in the package's own list, so the cells are the same for all.
"""

from string import Template
from typing import Any

from comp.kaggle.notebook import FIND, INPUT, WORKING, code, markdown, notebook

ABOUT = """\
# $title

Predicts the competition's test rows with the trained models of **$run**, and writes `submission.csv`.
No network is needed.

Inputs: the competition **$competition**, and the dataset **$dataset** with code, weights and wheels. Both are found
wherever they are mounted. To run this elsewhere, let `$input` name a folder that has both, and
`$working` one to write to.
"""

CHECK = """\
import json

PACKAGE = find("the dataset with code and weights", "comp-package.json")
package = json.loads((PACKAGE / "comp-package.json").read_text(encoding="utf-8"))
DATA = find("the competition's data", *package["competition"]["markers"])
print(f"package  {PACKAGE}\\ndata     {DATA}")


def is_whole(name, size):
    path = PACKAGE / name
    return size == 0 or (path.is_file() and path.stat().st_size == size)


lacks = [name for name, size in package["files"].items() if not is_whole(name, size)]
if lacks:
    raise RuntimeError(f"the dataset lacks {', '.join(lacks[:5])}, or has another version of it: upload it again")
"""

INSTALL = """\
import importlib.metadata
import importlib.util
import subprocess
import sys
import tempfile

SCRATCH = Path(tempfile.mkdtemp())
needed = package["imports"]
missing = [module for module in needed if importlib.util.find_spec(module) is None]
without_wheel = [needed[module]["package"] for module in missing if needed[module]["wheel"] is None]
if without_wheel:
    raise RuntimeError(f"{', '.join(without_wheel)} is not installed here, and the dataset has no wheel of it")
wheels = [str(PACKAGE / "wheels" / needed[module]["wheel"]) for module in missing]
if wheels:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*command, "--target", str(SCRATCH / "site"), *wheels], check=True)
    sys.path.append(str(SCRATCH / "site"))

print(f"Python {sys.version.split()[0]}, packaged for {package['python']}")
for module, about in needed.items():
    try:
        here = importlib.metadata.version(about["package"])
    except importlib.metadata.PackageNotFoundError:
        here = "of another distribution"
    print(f"{about['package']} {here}{' (its wheel)' if module in missing else ''}, packaged with {about['version']}")
"""

PREDICT = '''\
PATHS = [PACKAGE / "src", SCRATCH / "site", os.environ.get("PYTHONPATH")]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(str(path) for path in PATHS if path),
    "PYTHONSAFEPATH": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONIOENCODING": "utf-8",
    "HF_HUB_OFFLINE": "1",
}


def python(*words):
    """Runs `python -m WORDS` where the package lies, and shows what it prints."""
    command, last = [sys.executable, "-m", *map(str, words)], ""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8", "errors": "replace"}
    with subprocess.Popen(command, cwd=PACKAGE, env=ENVIRONMENT, **pipes) as process:
        for line in process.stdout:
            print(line, end="")
            last = line.strip() or last
    if process.returncode:
        raise RuntimeError(f"{words[0]} has failed: {last or process.returncode}")


# Paths are written as YAML reads them, whatever is in them.
SETTINGS = [f"data.root={json.dumps(str(DATA))}", f"data.work={json.dumps(str(SCRATCH / 'work'))}"]
competition = package["competition"]
predictions = []
for run in package["runs"]:
    predictions.append(SCRATCH / f"{run}.parquet")
    rows = [competition["option"], DATA / competition["rows"], "--out", predictions[-1]]
    python("comp", "predict", f"conf/{run}.yaml", *SETTINGS, *rows)
'''

WRITE = """\
SUBMISSION = WORKING / "submission.csv"
settings = [f"conf/{package['runs'][0]}.yaml", *SETTINGS]
python(package["writer"], *settings, "--out", SUBMISSION, "--predictions", *predictions)
with SUBMISSION.open(encoding="utf-8") as file:
    print("".join(line[:100].rstrip() + "\\n" for _, line in zip(range(5), file)))
"""


def package_notebook(title: str, run: str, competition: str, dataset: str) -> dict[str, Any]:
    """The content of `submission.ipynb`."""
    names = {"title": title, "run": run, "competition": competition, "dataset": dataset}
    about = Template(ABOUT).substitute(names, input=INPUT, working=WORKING)
    return notebook(
        [
            markdown(about),
            code(FIND),
            markdown("## What is mounted, and is it whole?"),
            code(CHECK),
            markdown("## Packages: only what is missing here is installed, from the dataset's wheels"),
            code(INSTALL),
            markdown("## Predict, with all folds of each run"),
            code(PREDICT),
            markdown("## Write the submission as the mounted sample submission shows it, and check it"),
            code(WRITE),
        ]
    )

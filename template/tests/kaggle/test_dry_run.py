"""The dry run of a package: a small program stands for the code, so that what is missing, and how it is told, shows."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from comp.config.common import Kaggle
from comp.errors import CompError
from comp.files import write_json, write_text
from comp.kaggle.packing.cells import package_notebook
from comp.kaggle.packing.dry_run import LAYOUTS, LOG, _namespace, dry_run
from comp.kaggle.packing.pack import Package

# What `python -m comp predict …` and the writer are here: the rows of the mounted table, in the mounted sample's order.
PROGRAM = """
import sys
from pathlib import Path
{planted}
place = Path(sys.argv[sys.argv.index("--out") + 1])
rows = Path(sys.argv[sys.argv.index("--images") + 1]).read_text().split()[1:]
place.write_text("\\n".join(["id,label", *(f"{row},a" for row in rows)]))
"""
WRITER = """
import sys
from pathlib import Path
Path(sys.argv[sys.argv.index("--out") + 1]).write_text(Path(sys.argv[-1]).read_text())
"""


def planted(line="", wheel=None):
    """A package whose program begins with `line`; its notebook needs `wheel` if one is named."""
    dataset = Path("kaggle/small/dataset")
    shutil.rmtree(dataset, ignore_errors=True)
    write_text(dataset / "src/comp/__main__.py", PROGRAM.replace("{planted}", line))
    write_text(dataset / "src/comp/__init__.py", '"""Small."""\n')
    write_text(dataset / "src/comp/writer.py", WRITER)
    write_text(dataset / "runs/small/fold0/best.safetensors", "weights")
    files = {path.relative_to(dataset).as_posix(): path.stat().st_size for path in dataset.rglob("*.*")}
    imports = {"numpy": {"package": "numpy", "version": "2", "wheel": None}}
    if wheel:
        imports[wheel] = {"package": wheel, "version": "1", "wheel": None}
    write_json(
        dataset / "comp-package.json",
        {
            "runs": ["small"],
            "competition": {"markers": ["sample.csv", "test.csv"], "option": "--images", "rows": "test.csv"},
            "writer": "comp.writer",
            "python": "3.12",
            "imports": imports,
            "files": files,
        },
    )
    content = package_notebook("digits small", "small", "digits", "somebody/digits-small")
    write_text(Path("kaggle/small/notebook/submission.ipynb"), json.dumps(content))
    write_text(Path("data/sample.csv"), "id,label\n1,a\n2,a\n")
    write_text(Path("data/test.csv"), "id\n1\n2\n3\n")
    return Package(Path("kaggle/small"), "somebody", "digits", "digits-small", [])


def refusal(package, **limits):
    with pytest.raises(CompError) as refused:
        dry_run(package, Path("data"), Kaggle(image=["numpy"], wheels=[], **limits))
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_it_runs_in_each_layout_from_the_packed_files_alone(output, monkeypatch):
    monkeypatch.setenv("KAGGLE_KEY", "f00dfeedf00dfeed")
    package = planted("import os\nprint('environment', dict(os.environ))")
    dry_run(package, Path("data"), Kaggle(image=["numpy"], wheels=[]))
    told = output()
    assert all(f"dry run {layout}: 3 rows" in told for layout in LAYOUTS)
    log = (package.folder / LOG).read_text(encoding="utf-8")
    assert "input/competitions/digits" in log
    assert "input/datasets/somebody/digits-small" in log
    assert "input/digits-small" in log
    assert "f00dfeedf00dfeed" not in log + told
    assert "KAGGLE_KEY" not in log


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=5)", "asks for 192.0.2.1"),
        ("import urllib.request\nurllib.request.urlopen('http://example.org')", "asks for example.org"),
        ("import comp.nowhere", "No module named 'comp.nowhere'"),
        ("import pytest", "No module named 'pytest'"),  # is installed here, and not on Kaggle
        ("import kaggle_server", "No module named 'kaggle_server'"),
    ],
)
def test_what_asks_for_the_network_or_for_what_is_not_there_is_named(line, told):
    assert told in refusal(planted(line))


def test_a_cell_that_asks_for_the_network_is_named():
    package = planted()
    path = package.notebook / "submission.ipynb"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["cells"][1]["source"] = ["import socket\n", "socket.getaddrinfo('example.org', 80)\n"]
    path.write_text(json.dumps(content), encoding="utf-8")
    assert "cell 2: PermissionError: cell 2, line 2, asks for example.org, and a dry run has no network" in refusal(
        package
    )


def test_where_a_namespace_is_lent_not_even_another_program_has_a_network():
    """One that reads no sitecustomize, as a program in another language would."""
    if not _namespace():
        pytest.skip("this machine lends no name space")
    bare = f"import subprocess\nsubprocess.run([{sys.executable!r}, '-I', '-S', '-c', BARE], check=True)"
    line = "BARE = \"import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)\"\n" + bare
    package = planted(line)
    assert "returned non-zero exit status" in refusal(package)
    assert "Network is unreachable" in (package.folder / LOG).read_text(encoding="utf-8")


def test_a_missing_weight_and_a_missing_wheel_are_named():
    package = planted()
    (package.dataset / "runs/small/fold0/best.safetensors").unlink()
    assert "the dataset lacks runs/small/fold0/best.safetensors" in refusal(package)
    assert "pytest is not installed here, and the dataset has no wheel of it" in refusal(planted(wheel="pytest"))


def test_limits_are_kept():
    assert "longer than 0.0001 hours (kaggle.hours)" in refusal(planted("import time\ntime.sleep(60)"), hours=0.0001)
    line = "import time\nheld = b'x' * 300_000_000\ntime.sleep(60)"
    assert "more than 0.2 GB of memory (kaggle.ram_gb)" in refusal(planted(line), ram_gb=0.2)


def test_inputs_are_not_written_to():
    assert "writes into its dataset" in refusal(planted("Path('left.txt').write_text('')"))

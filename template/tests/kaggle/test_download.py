"""`comp download` with Kaggle's own client."""

import io
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
from kaggle_server import KEY, SLUG
from support import SOURCE, needs_signals

from comp.config.common import Kaggle
from comp.errors import CompError
from comp.kaggle import client
from comp.kaggle.download import download

FILES = {"train.csv": b"id,label\n1,a\n", "train/1.png": b"one", "train/2.png": b"two"}
ZIP = Path(f"data/{SLUG}.zip")
CODE = """
import sys
from types import SimpleNamespace
from comp.config.common import Kaggle
from comp.kaggle.download import download
download(SimpleNamespace(data=SimpleNamespace(root="data"), kaggle=Kaggle(competition="digits")))
"""


def of(slug=SLUG, root="data"):
    return SimpleNamespace(data=SimpleNamespace(root=root), kaggle=Kaggle(competition=slug))


def zipped(files=FILES):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def large():
    """An archive of several of the pieces that the client writes at a time."""
    return zipped(FILES | {"train/3.png": random.Random(0).randbytes(4 << 20)})


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(config=None):
    with pytest.raises(CompError) as refused:
        download(config or of())
    assert "\n" not in str(refused.value)
    return str(refused.value)


def calls(state):
    return [name for name, _ in state.asked]


def test_the_files_are_downloaded_and_unpacked_once(state, output):
    state.archive = zipped()
    download(of())
    assert tree(Path("data") / SLUG) == FILES
    assert f"{ZIP}: " in output()
    download(of())
    assert f"data/{SLUG} is there already" in output()
    assert calls(state) == ["DownloadDataFiles"]


def test_an_archive_that_is_there_is_not_loaded_again(state):
    state.archive = zipped()
    download(of())
    for name in FILES:
        (Path("data") / SLUG / name).unlink()
    (Path("data") / SLUG / "train").rmdir()
    (Path("data") / SLUG).rmdir()
    state.archive = b"nobody asks for it"
    state.length = ZIP.stat().st_size
    download(of())
    assert tree(Path("data") / SLUG) == FILES


def test_a_connection_that_is_cut_off_goes_on_where_it_was(state):
    state.archive, state.stops_at = large(), 3 << 20
    download(of())
    assert len(state.ranges) == 1
    assert 0 < int(state.ranges[0].removeprefix("bytes=").rstrip("-")) <= 3 << 20
    assert tree(Path("data") / SLUG).keys() == {*FILES, "train/3.png"}


@needs_signals
def test_a_download_that_was_stopped_goes_on_in_the_next_one(state, output):
    state.archive, state.stops_at, state.stalls = large(), 3 << 20, True
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    process = subprocess.Popen([sys.executable, "-c", CODE], env=environment, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (ZIP.is_file() and ZIP.stat().st_size >= 2 << 20) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    process.wait(timeout=30)
    there = ZIP.stat().st_size
    output()
    download(of())
    assert state.ranges == [f"bytes={there}-"]
    assert "MB are there, going on from them" in output()
    assert tree(Path("data") / SLUG)["train/3.png"] == random.Random(0).randbytes(4 << 20)


def test_who_is_not_logged_in_is_told_how(state, monkeypatch):
    monkeypatch.delenv("KAGGLE_KEY")
    assert "kaggle auth login" in refusal()
    assert state.asked == []


def test_a_key_that_is_refused_is_never_shown(state, monkeypatch):
    monkeypatch.setenv("KAGGLE_KEY", f"{KEY}-of-yesterday")  # the server answers with what it was sent
    assert "kaggle auth login" in refusal()


def test_who_has_not_joined_is_told_where(state):
    state.joined = False
    told = refusal()
    assert "You must accept this competition's rules" in told
    assert f"https://www.kaggle.com/competitions/{SLUG}/rules" in told


def test_an_unknown_competition_and_none_are_one_line(state):
    assert "kaggle.competition=digitz" in refusal(of("digitz"))
    told = refusal(of(None))
    assert "kaggle: {competition: SLUG}" in told
    assert "conf/baseline.yaml" in told


def test_a_fault_in_between_is_asked_again(state, output):
    state.archive, state.faults = zipped(), {"DownloadDataFiles": [503]}
    download(of())
    assert tree(Path("data") / SLUG) == FILES
    assert output().count("again in") == 1


def test_a_fault_that_stays_is_one_line(state):
    state.faults = {"DownloadDataFiles": [503] * 2}
    assert "503 Server Error" in refusal()
    assert calls(state) == ["DownloadDataFiles"] * 2


def test_without_a_network_nobody_waits(state, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert "is there a network" in refusal()


def test_what_arrives_truncated_is_removed_and_loaded_again(state):
    state.archive = zipped()[:-30]
    assert "removed, run comp download again" in refusal()
    assert list(Path("data").iterdir()) == []
    state.archive = zipped()
    download(of())
    assert tree(Path("data") / SLUG) == FILES


@pytest.mark.parametrize("name", ["../escaped.txt", "/tmp/escaped.txt", "train/../../escaped.txt"])
def test_an_archive_that_leaves_its_folder_is_refused_whole(state, name):
    state.archive = zipped(FILES | {name: b"out"})
    assert "lies outside its folder" in refusal()
    assert sorted(path.name for path in Path().rglob("*")) == ["data", ZIP.name]


def test_what_does_not_fit_on_the_disk_is_not_begun(state):
    state.archive, state.length, state.stops_at, state.stalls = large(), 10**16, 3 << 20, True
    begun = time.monotonic()
    told = refusal()
    assert "10000000.0 GB" in told
    assert "data.root" in told
    assert time.monotonic() - begun < 20  # the client was ended


def test_a_disk_that_is_full_is_one_line(state, output):
    """A real one, that others have filled meanwhile: a file system of 3 MB, in a name space of its own."""
    state.archive = large()
    Path("data").mkdir()
    lent = ["unshare", "-rm", "sh", "-c"]
    if not shutil.which("unshare") or subprocess.run([*lent, "mount -t tmpfs none data"], check=False).returncode:
        pytest.skip("this machine lends no name space")
    code = f"import comp.kaggle.download as room\nroom.KEPT_FREE = -(10**9)\n{CODE}"
    command = f"mount -t tmpfs -o size=3m none data && exec {sys.executable} -c '{code}'"
    subprocess.run([*lent, command], env={**os.environ, "PYTHONPATH": str(SOURCE)}, check=False, timeout=50)
    assert "CompError: no space left on the disk of data" in output()


def test_neither_an_old_client_nor_none_is_a_traceback(state, monkeypatch):
    monkeypatch.setattr(client, "version", lambda name: "1.6.17")
    assert "kaggle 1.6.17 is too old" in refusal()
    monkeypatch.setattr(client, "version", lambda name: version(f"no-such-{name}"))
    assert "no-such-kaggle is not installed" in refusal()


def test_a_folder_called_kaggle_is_not_mistaken_for_the_client(state):
    state.archive = zipped()
    for name in ("kaggle.py", "six.py"):
        Path(name).write_text("raise SystemExit('the wrong one')", encoding="utf-8")
    download(of())
    assert tree(Path("data") / SLUG) == FILES

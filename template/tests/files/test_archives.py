"""Archives of every kind, whole and hostile."""

import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from comp.errors import CompError
from comp.files import archives
from comp.files.archives import archives_in, not_unpacked, unpack

TREE = {"train/1.png": b"one", "train/2.png": b"two", "train.csv": b"id,label\n1,a\n2,b\n"}


def zipped(path, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def tarred(path, files):
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def unpacked(root):
    unpack(SimpleNamespace(data=SimpleNamespace(root=str(root))))


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(root):
    before = sorted(path.name for path in root.parent.rglob("*"))
    with pytest.raises(CompError) as refused:
        unpacked(root)
    assert "\n" not in str(refused.value)
    assert sorted(path.name for path in root.parent.rglob("*")) == before  # nothing is left, nothing lies elsewhere
    return str(refused.value)


@pytest.mark.parametrize("name", ["comp.zip", "comp.tar", "comp.tar.gz", "comp.tgz", "Comp.ZIP"])
@pytest.mark.parametrize("top", ["", "{stem}/"])
def test_an_archive_becomes_a_folder_of_its_name(tmp_path, capsys, name, top):
    stem = name.partition(".")[0]
    files = {top.format(stem=stem) + inner: data for inner, data in TREE.items()}
    (zipped if name.lower().endswith("zip") else tarred)(
        tmp_path / name, files | {"__MACOSX/._1.png": b"", ".DS_Store": b""}
    )
    unpacked(tmp_path)
    assert tree(tmp_path / stem) == TREE
    assert f"{name} → {tmp_path / stem}: 3 files" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, stem])
    unpacked(tmp_path)
    assert "is there already" in capsys.readouterr().out


def test_archives_in_archives_and_one_folder_below(tmp_path):
    zipped(tmp_path / "inner.zip", {"1.png": b"one"})
    inner = (tmp_path / "inner.zip").read_bytes()
    zipped(tmp_path / "data/below/test.zip", {"test/3.png": b"three"})
    zipped(tmp_path / "data/comp.zip", {"train.zip": inner, "train.csv": TREE["train.csv"]})
    zipped(tmp_path / "data/train.csv.zip", {"train.csv": TREE["train.csv"]})
    unpacked(tmp_path / "data")
    assert (tmp_path / "data/comp/train/1.png").read_bytes() == b"one"
    assert (tmp_path / "data/below/test/3.png").read_bytes() == b"three"
    assert not (tmp_path / "data/train").exists()  # a zipped table is read as it is


@pytest.mark.parametrize("name", ["../x.png", "/tmp/x.png", "a/../../x.png", "..\\x.png", "C:\\x.png", "C:/x.png"])
@pytest.mark.parametrize("kind", ["comp.zip", "comp.tar"])
def test_a_path_that_leaves_the_folder_is_refused(tmp_path, name, kind):
    root = tmp_path / "data"
    root.mkdir()
    (zipped if kind.endswith("zip") else tarred)(root / kind, {"1.png": b"", name: b""})
    assert "lies outside its folder" in refusal(root)


def test_links_are_refused(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    with tarfile.open(root / "comp.tar", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            info = tarfile.TarInfo("link")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    assert "'link' is a link" in refusal(root)
    (root / "comp.tar").unlink()
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    zipped(root / "comp.zip", {info: "/etc/passwd"})
    assert "'link' is a link" in refusal(root)


@pytest.mark.parametrize("kind", ["comp.zip", "comp.tar.gz"])
def test_a_bomb_is_refused(tmp_path, monkeypatch, kind):
    root = tmp_path / "data"
    root.mkdir()
    monkeypatch.setattr(archives, "LARGE", 10**6)
    zeros = {f"{n}.bin": bytes(10**6) for n in range(4)}
    (zipped if kind.endswith("zip") else tarred)(root / kind, zeros)
    assert "grows to more than 200 times its size" in refusal(root)


def test_what_does_not_fit_on_the_disk_is_refused(tmp_path, monkeypatch):
    zipped(tmp_path / "data/comp.zip", TREE)
    monkeypatch.setattr(archives, "KEPT_FREE", 10**18)
    assert "does not fit on the disk" in refusal(tmp_path / "data")


def test_a_damaged_archive_and_two_files_of_one_name_are_refused(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    tarred(root / "comp.tar.gz", {"1.png": bytes(range(256)) * 99})
    whole = (root / "comp.tar.gz").read_bytes()
    (root / "comp.tar.gz").write_bytes(whole[: len(whole) // 2])
    assert "comp.tar.gz is damaged" in refusal(root)
    (root / "comp.tar.gz").unlink()
    (root / "comp.zip").write_bytes(b"PK\x03\x04")
    assert "comp.zip is damaged" in refusal(root)
    (root / "comp.zip").unlink()
    with tarfile.open(root / "comp.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("1.png"))
        archive.addfile(tarfile.TarInfo("1.png"))
    assert "holds '1.png' twice" in refusal(root)


def test_other_kinds_of_archive_are_named(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/comp.7z").write_bytes(b"7z")
    assert "comp.7z': this kind of archive is not unpacked here: unpack it with 7-Zip, into " in refusal(
        tmp_path / "data"
    )
    (tmp_path / "data/comp.7z").unlink()
    assert "there are no archives" in refusal(tmp_path / "data")


def test_what_a_killed_process_left_is_removed(tmp_path):
    zipped(tmp_path / "comp.zip", TREE)
    program = (
        "import os, sys; from pathlib import Path; from comp.files import beside; "
        "beside(Path(sys.argv[1], 'comp')).mkdir(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True)
    assert len(list(tmp_path.iterdir())) == 2
    unpacked(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["comp", "comp.zip"]


def test_what_is_not_unpacked_is_told(tmp_path):
    assert not_unpacked(tmp_path) == not_unpacked(tmp_path / "nowhere") == ""
    zipped(tmp_path / "train.zip", TREE)
    assert not_unpacked(tmp_path) == "; archives are there ('train.zip'): comp unpack unpacks them"
    assert [path.name for path in archives_in(tmp_path)] == ["train.zip"]
    unpacked(tmp_path)
    assert not_unpacked(tmp_path) == ""


def test_a_folder_that_has_just_been_removed_holds_no_archives(tmp_path, monkeypatch):
    """As another program's temporary folder beside: it is listed, and gone when it is looked into."""
    zipped(tmp_path / "a.zip", TREE)
    for name in ("gone", "here"):
        (tmp_path / name).mkdir()
    zipped(tmp_path / "here" / "b.zip", TREE)
    is_dir = Path.is_dir

    def removed_after_the_look(path: Path) -> bool:
        found = is_dir(path)
        if path.name == "gone" and found:
            path.rmdir()
        return found

    monkeypatch.setattr(Path, "is_dir", removed_after_the_look)
    assert archives_in(tmp_path) == [tmp_path / "a.zip", tmp_path / "here" / "b.zip"]


def test_an_archive_in_one_that_breaks_off_is_not_taken_for_it(tmp_path):
    """An npz is a zip: it is the last that is left of a zip whose end is missing."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as npz:
        npz.writestr("captions/embeddings.npy", b"0123")
    with zipfile.ZipFile(tmp_path / "comp.zip", "w") as archive:
        archive.writestr("sample.csv", b"id\n")
        archive.writestr("train.npz", inner.getvalue())
    whole = (tmp_path / "comp.zip").read_bytes()
    (tmp_path / "comp.zip").write_bytes(whole[:-30])
    assert "its end is missing" in refusal(tmp_path)
    assert not (tmp_path / "comp").exists()
    (tmp_path / "comp.zip").write_bytes(whole)
    unpacked(tmp_path)
    assert set(tree(tmp_path / "comp")) == {"sample.csv", "train.npz"}

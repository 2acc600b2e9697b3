"""Which wheels go along, and whether they are all: with wheels that are made here, loaded by the real pip."""

import zipfile
from pathlib import Path

import pytest

from comp.config.common import Kaggle
from comp.errors import CompError
from comp.kaggle.packing import code as packed_code
from comp.kaggle.packing.code import Code, code_of, source_files
from comp.kaggle.packing.wheels import Import, check_closure, fetch, imports_of
from comp.kaggle.secrets import holds_secret, refuse_secrets


def wheel(folder, name, version="1.0", needs=(), python=">=3.9"):
    """A wheel of nothing but what it says of itself."""
    Path(folder).mkdir(exist_ok=True)
    path = Path(folder) / f"{name}-{version}-py3-none-any.whl"
    about = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", f"Requires-Python: {python}"]
    about += [f"Requires-Dist: {need}" for need in needs]
    place = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{place}/METADATA", "\n".join(about) + "\n")
        archive.writestr(f"{place}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{place}/RECORD", "")
    return path


def refused(call, *given):
    with pytest.raises(CompError) as error:
        call(*given)
    assert "\n" not in str(error.value)
    return str(error.value)


def settings(**values):
    return Kaggle(**{"image": ["numpy", "torch==2.10.0"], "wheels": ["tiny", "other"], **values})


def test_what_a_wheel_needs_is_in_the_image_or_goes_along():
    there = {"tiny": wheel("w", "tiny", needs=["numpy", "torch>=2", "other<2", "absent; sys_platform == 'win32'"])}
    assert "needs other: add it to kaggle.wheels" in refused(check_closure, there, settings())
    there["other"] = wheel("w", "other", needs=["quality; extra == 'dev'"])
    check_closure(there, settings())
    there["other"] = wheel("w", "other", "2.5")
    assert "tiny-1.0-py3-none-any.whl needs other<2, and there is 2.5" in refused(check_closure, there, settings())
    there = {"tiny": wheel("w", "tiny", needs=["torch>=2.11"], python=">=3.13")}
    told = refused(check_closure, there, settings())
    assert "needs torch>=2.11, and there is 2.10.0" in told
    assert "needs Python >=3.13, the image has 3.12 (kaggle.python)" in told


def test_wheels_are_loaded_once_and_what_pip_lacks_is_named(monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(Path("index").absolute()))
    tiny = Import("tiny", "tiny", "1.0", carried=True)
    numpy = Import("numpy", "numpy", "2.0", carried=False)
    wheel("index", "tiny", needs=["never-loaded"])
    found = fetch([tiny, numpy], Path("new"), Path("known"), settings())
    assert {name: path.as_posix() for name, path in found.items()} == {"tiny": "new/tiny-1.0-py3-none-any.whl"}
    (Path("index") / "tiny-1.0-py3-none-any.whl").unlink()
    assert fetch([tiny], Path("newer"), Path("new"), settings())["tiny"].is_file()
    assert "pip has no wheel of tiny==1.0 for Python 3.12" in refused(
        fetch, [tiny], Path("newest"), Path("nowhere"), settings()
    )


def test_what_the_image_lacks_is_named_with_where_it_is_imported():
    code = Code({}, {"numpy": "src/comp/tables.py", "pytest": "src/comp/custom.py"}, {"yaml": "src/comp/late.py"})
    told = refused(imports_of, code, settings())
    assert "src/comp/custom.py imports pytest, which Kaggle's image lacks: add pytest to kaggle.wheels" in told
    found = imports_of(code, settings(wheels=["pytest"]))
    assert {(each.package, each.carried) for each in found} >= {("numpy", False), ("pytest", True)}
    assert "pyyaml" not in {each.package for each in found}  # it may be missing, and does not go along
    assert "a torch that all else there is built for" in refused(imports_of, code, settings(wheels=["torch"]))


def test_code_goes_along_as_far_as_it_is_imported():
    code = code_of(["comp.files.tables"])
    assert {"comp/__init__.py", "comp/files/tables.py", "comp/errors.py"} <= code.files.keys()
    assert "comp/cli.py" not in code.files
    assert "pandas" in code.imports
    assert not {"comp", "re", "pathlib"} & {*code.imports, *code.late}
    assert "src/ has no module comp.nowhere" in refused(code_of, ["comp.nowhere"])


def test_packages_of_ones_own_go_along_with_their_data(monkeypatch):
    names = "comp/__init__.py", "comp/custom.py", "mine/__init__.py", "mine/words.txt", "other/__init__.py", "one.py"
    for name in (*names, "mine/__pycache__/x.pyc", "it.egg-info/PKG-INFO", "notes.md"):
        (Path("src") / name).parent.mkdir(parents=True, exist_ok=True)
        (Path("src") / name).write_text("import mine\n" if name == "comp/custom.py" else "", encoding="utf-8")
    monkeypatch.setattr(packed_code, "SOURCE", Path("src"))
    assert set(source_files()) == set(names)  # a training's, which may import any of them
    assert set(code_of(["comp.custom"]).files) == set(names[:4])  # a package's


def test_credentials_are_found_in_text(monkeypatch):
    monkeypatch.setenv("KAGGLE_KEY", "f00dfeedf00dfeed")
    monkeypatch.setenv("HF_TOKEN", "hf_planted")
    assert holds_secret("key = 'f00dfeedf00dfeed'")
    assert holds_secret("hf_planted")
    assert holds_secret("KGAT_0123456789")
    assert not holds_secret("kaggle.owner=somebody")


def test_any_file_of_text_is_searched_for_credentials(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    Path("conf").mkdir()
    Path("conf/weights.bin").write_bytes(b"\0" + b"0123456789abcdef")
    refuse_secrets(Path("conf"))
    for name in ("job.sh", "notes", "page.md"):
        path = Path("conf") / name
        path.write_text("export WANDB_API_KEY=0123456789abcdef", encoding="utf-8")
        assert f"'{name}' would take a token or a key of yours along" in refused(refuse_secrets, Path("conf"))
        path.unlink()

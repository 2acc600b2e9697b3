"""The command line: exit statuses, one line an error, and no waiting for torch where nothing needs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import SOURCE

from comp.distributed.accelerator import keep_freed_memory
from comp.tasks import commands_here, commands_of


def python(code, cwd):
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_help_names_every_command(comp_process):
    result = comp_process("--help")
    assert result.returncode == 0
    assert all(command in result.stdout for command in commands_here())


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"]])
def test_help_answers_without_importing_what_is_slow(repo, words):
    code = (
        "import sys\nfrom comp.cli import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'pandas', 'numpy', 'sklearn', 'PIL') if name in sys.modules])"
    )
    assert python(code, repo).stdout.splitlines()[-1] == "[]"


def test_help_answers_within_a_second(comp_process):
    def seconds():  # of computing: other processes may keep this one waiting
        before = os.times()
        comp_process("--help")
        return sum(os.times()[2:4]) - sum(before[2:4])

    assert min(seconds() for _ in range(3)) < 1.0


def test_python_m_comp_does_a_command_and_says_status_0(comp_process, small):
    small.configure(name="größe")
    result = comp_process("config", PYTHONUTF8="1")
    assert (result.returncode, result.stderr) == (0, "")
    assert "name: größe" in result.stdout


def test_config_download_and_unpack_import_neither_torch_nor_pandas(repo, small):
    small.configure()
    code = (
        "import sys\nfrom comp.cli import main\n"
        "for command in ('config', 'download', 'unpack'): main([command])\n"
        "print([name for name in ('torch', 'pandas', 'numpy', 'sklearn') if name in sys.modules])"
    )
    result = python(code, repo)
    assert result.stdout.splitlines()[-1] == "[]"
    assert "error: " in result.stderr  # of download and unpack: there is nothing to do


def test_an_error_is_one_line_and_status_1(comp_process):
    result = comp_process("split")
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "error: conf/baseline.yaml does not exist: run comp in the repository's folder, or name a configuration"
    ]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["config", "gone.yaml"], "gone.yaml does not exist"),
        (["config", "conf"], "conf is a folder"),
        (["config", "train.epochs=many"], "the command line: train.epochs"),
        (["check"], "data.root=data is not a folder"),
        (["check"], "data.root=data is not a folder"),
        (["split"], "data.root=data is not a folder"),
        (["train"], "data.root=data is not a folder"),
        (["predict"], "there is no run"),
        (["blend"], "data.root=data is not a folder"),
        (["submit"], "run comp train"),
        (["score"], "run comp submit"),
        (["report"], "run comp train"),
        (["run"], "data.root=data is not a folder"),
    ],
)
def test_each_command_refuses_in_one_line(small, comp, words, text):
    small.configure()
    status, _, err = comp(*words)
    assert (status, err.count("\n")) == (1, 1)
    assert err.startswith("error: ")
    assert text in err


def test_a_command_of_another_task_is_refused_in_one_line(small, comp):
    small.configure()
    for name in commands_here().keys() - commands_of(small.task).keys():
        status, _, err = comp(name)
        assert (status, err.count("\n")) == (1, 1)
        if commands_here()[name].config:  # else no configuration says which task it is
            assert f"the task {small.task} has no command {name}" in err


def test_a_file_in_the_place_of_a_folder_is_one_line(repo, small, comp):
    small.write(repo / "data")
    small.configure(data={"work": "busy"})
    (repo / "busy").write_text("I am a file")
    status, _, err = comp("split")
    assert (status, err.count("\n")) == (1, 1)
    assert "busy" in err


def test_the_code_of_another_repository_is_refused_in_one_line(repo, comp):
    """Two are installed in one environment: `comp` is the same in both, and would do here what that one says."""
    (repo / "src/comp").mkdir(parents=True)
    (repo / "src/comp/__init__.py").touch()
    for words in (["config"], ["train", "--unknown"]):
        status, _, err = comp(*words)
        assert (status, err.count("\n")) == (1, 1)
        assert f", not that in {Path('src/comp')}: pip install -e . in an environment of this repository's own" in err


@pytest.mark.skipif(os.name == "nt", reason="Windows lends links to some only")
def test_its_own_code_is_told_by_the_file_not_by_the_path(repo, small, comp):
    (repo / "src").symlink_to(SOURCE)
    small.configure()
    assert comp("config")[0] == 0


@pytest.mark.parametrize("words", [[], ["trian"], ["train", "--frseh"], ["split", "--fresh"]])
def test_a_wrong_command_line_is_status_2(comp_process, words):
    result = comp_process(*words)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "words", [["--force", "conf/baseline.yaml", "folds.n=4"], ["conf/baseline.yaml", "--force", "folds.n=4"]]
)
def test_flags_may_stand_anywhere(repo, small, comp, words):
    small.write(repo / "data")
    small.configure()
    assert comp("split")[0] == 0
    assert comp("split", *words)[0] == 0
    assert "# folds n=4 " in (repo / "data/folds.csv").read_text()


def test_a_command_ends_with_the_next_one(repo, small, comp):
    small.write(repo / "data")
    small.configure()
    assert comp("split", "seed=7")[1].splitlines()[-1] == "next    comp train seed=7"


def test_what_was_downloaded_or_unpacked_is_checked_next(small):
    assert {commands_of(small.task)[name].next for name in ("download", "unpack")} == {"check"}


@pytest.mark.release  # ci/variants.py and the guide go through it with each task
def test_the_demo_data_is_a_competition_with_a_solution(repo, small, comp):
    of_images = "near_duplicates" in type(small.configure().folds).model_fields
    folds = {"near_duplicates": None} if of_images else {}  # many digits look alike: to compare them takes long
    small.configure(data={"root": "demo"}, folds=folds)
    assert comp("demo-data")[0] == 0
    names = {path.stem for path in (repo / "demo").iterdir()}
    assert names >= {"train", "test", "sample_submission", "solution"}
    assert comp("split")[0] == 0
    status, _, err = comp("demo-data")
    assert status == 1
    assert "demo is not empty" in err


def test_a_pipe_that_cannot_write_a_name_stops_nothing(comp_process, small):
    small.configure(data={"train": "猫.csv"})
    finished = comp_process("config", PYTHONIOENCODING="ascii")
    assert finished.returncode == 0, finished.stderr
    assert r"train: \u732b.csv" in finished.stdout


def test_where_the_c_library_is_another_memory_is_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr("ctypes.CDLL", lambda name: pytest.fail("Windows has no library without a name"))
    keep_freed_memory()

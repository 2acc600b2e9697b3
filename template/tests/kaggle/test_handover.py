"""`comp handover`: what it says is what the runs have stored, and its commands make the same submission again."""

import json
import shlex
import shutil
from pathlib import Path

import pytest

from comp.cli import main
from comp.kaggle.handover.chain import chain
from comp.kaggle.handover.facts import MARK
from comp.kaggle.handover.packages import requirements
from comp.kaggle.sent import Sent, note_sent, now
from comp.runs.rundir import RunDir
from comp.tasks import commands_of


@pytest.fixture
def do(output):
    """`do("train", …)` runs a command that has to succeed, and tells what it printed."""

    def call(*words, status=0):
        output()
        ended = main(list(words))
        printed = output()
        assert ended == status, (words, printed)
        return printed

    return call


def commands(folder):
    """What entry_points.md says is to be typed of `comp`, in order."""
    text = (folder / "entry_points.md").read_text(encoding="utf-8")
    blocks = [block.partition("```")[0] for block in text.split("```sh\n")[1:]]
    lines = [shlex.split(line) for block in blocks for line in block.splitlines()]
    return [words[1:] for words in lines if words[0] == "comp"]


def trained(small, do, **sections):
    small.write(Path("data"))
    small.configure(**sections)
    do("split")
    do("train")


def blended(do, names):
    """The run "both" of these."""
    do("blend", "name=both", f"blend.members=[{','.join(names)}]")


def test_what_is_typed_makes_the_same_submission_again(small, do, monkeypatch, tmp_path):
    """A run, a student of it where the task has such (else another run), and both combined: in an empty repository."""
    trained(small, do)
    if "pseudo" in commands_of(small.task):
        do("pseudo", "pseudo.threshold=0.0")
    else:
        do("train", "name=small-pseudo", "seed=7")
    blended(do, ["small-pseudo", "small"])
    do("submit", "name=both")
    do("handover", "name=both")
    other = tmp_path / "other"
    shutil.copytree("handover", other / "handover")
    shutil.copytree("data", other / "data", ignore=shutil.ignore_patterns("folds*", "cache*", "base*"))
    before = next(Path("submissions").iterdir()).read_bytes()
    monkeypatch.chdir(other)
    typed = commands(Path("handover/both"))
    for words in typed:
        if words[0] not in ("download", "predict"):
            do(*words)
    assert next(Path("submissions").iterdir()).read_bytes() == before
    made = [Path(words[1]).stem for words in typed if words[0] in ("train", "blend")]
    teachers = RunDir.of_name("small-pseudo").trained_config().learns_from
    assert made == [*(["small", "small-pseudo"] if teachers else ["small-pseudo", "small"]), "both"]
    assert [Path(words[1]).stem for words in typed if words[0] == "predict"] == made[:2]


def test_what_is_known_is_told_what_is_not_is_marked_and_what_was_filled_in_stays(small, do):
    trained(small, do, kaggle={"competition": "digits"})
    run = RunDir.of_name("small")
    out = do("handover")
    folder = Path("handover/small")
    pages = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir() if path.is_file()}
    assert set(pages) == {
        "README.md",
        "MODEL_SUMMARY.md",
        "SETTINGS.json",
        "directory_structure.txt",
        "entry_points.md",
        "requirements.txt",
    }
    metrics, machine = run.read_metrics(), run.read_made_with()["machine"]
    cv = f"{metrics['scores'][metrics['metric']]['oof']:.5f}"
    assert cv in pages["README.md"]
    assert cv in pages["MODEL_SUMMARY.md"]
    assert machine["processor"] in pages["README.md"]
    assert f"torch=={machine['packages']['torch'].partition('+')[0]}" in pages["requirements.txt"]
    assert json.loads(pages["SETTINGS.json"])["RAW_DATA_DIR"] == "data"
    assert "runs/small/fold0" in pages["directory_structure.txt"].splitlines()
    assert "comp download handover/small/configs/small.yaml" in pages["entry_points.md"]
    assert (folder / "configs/small.yaml").read_bytes() == run.config.read_bytes()
    marks = sum(text.count(MARK) for text in pages.values())
    assert f"{marks} places are marked" in out
    assert f"Private leaderboard score: {MARK}" in pages["MODEL_SUMMARY.md"]
    for number in run.done_folds():
        assert f"\n| {number} | {run.read_fold_metrics(number)['rows']} |" in pages["MODEL_SUMMARY.md"]

    page = folder / "MODEL_SUMMARY.md"
    page.write_text("mine", encoding="utf-8")
    assert "kept" in do("handover")
    assert page.read_text(encoding="utf-8") == "mine"
    note_sent(Sent("40", now(), "digits", "small", "x.csv", "", "x", "complete", "0.9", "0.8"))
    do("handover", "--force")
    assert "Private leaderboard score: 0.8\n" in page.read_text(encoding="utf-8")
    assert "public 0.9, private 0.8 (submission 40)" in (folder / "README.md").read_text(encoding="utf-8")


def test_a_member_that_is_gone_and_a_machine_that_was_not_noted_are_marked(small, do):
    trained(small, do)
    shutil.copytree("runs/small", "runs/twin")
    blended(do, ["small", "twin"])
    shutil.rmtree("runs/twin")
    RunDir.of_name("small").made_with.write_text('{"format": 1, "template": "v0.1.0"}', encoding="utf-8")
    assert "not here any more, and so not described: twin" in do("handover", "name=both")
    made, gone = chain("both")
    assert ([each.name for each in made], gone) == (["small", "both"], ["twin"])
    assert f"{MARK}: how twin was made" in Path("handover/both/entry_points.md").read_text(encoding="utf-8")
    assert f"small: {MARK}: the machine" in Path("handover/both/README.md").read_text(encoding="utf-8")


def test_a_run_that_is_not_there_or_not_finished_is_one_line(small, do):
    small.write(Path("data"))
    config = small.configure()
    told = do("handover", status=1)
    assert told.startswith("error: there is no run runs/small")
    RunDir.of(config).start(config)
    told += do("handover", status=1)
    assert "has no score yet: run comp train name=small to its end" in told
    assert told.count("\n") == 2
    assert not Path("handover").exists()


def test_versions_are_those_that_this_repository_needs(repo):
    Path("pyproject.toml").write_text('[project]\ndependencies = ["numpy>=2", "pandas>=2.2"]\n', encoding="utf-8")
    lines = requirements({"numpy": "2.0.0+mkl"}).splitlines()
    names = {line.partition("==")[0] for line in lines if "==" in line}
    assert {"numpy", "pandas", "python-dateutil"} <= names
    assert "torch" not in names
    numpy = next(line for line in lines if line.startswith("numpy=="))
    assert numpy.startswith("numpy==2.0.0  # here ")
    assert numpy.endswith("this build: 2.0.0+mkl")

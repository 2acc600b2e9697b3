"""What a run's folder says of itself: which version made it, and whether it can be read."""

import json
import platform
from importlib.metadata import version

import pytest

from comp.errors import CompError
from comp.runs.rundir import FORMAT, RunDir


@pytest.fixture
def run(repo, small):
    """A run that was started: one fold has something in it."""
    config = small.configure()
    run = RunDir.of(config)
    run.start(config)
    (run.fold(0) / "last").mkdir(parents=True)
    return run, config


def test_a_run_says_which_template_made_it(repo, small):
    (repo / ".copier-answers.yml").write_text("_commit: v1.2.0\n_src_path: gh:org/kaggle-vision\n", encoding="utf-8")
    config = small.configure()
    RunDir.of(config).start(config)
    made = json.loads(RunDir.of(config).made_with.read_text(encoding="utf-8"))
    assert (made["format"], made["template"]) == (FORMAT, "v1.2.0")


def test_a_run_notes_the_machine_and_the_packages_that_it_is_begun_with(run):
    noted = run[0].read_made_with()["machine"]
    assert noted["packages"]["torch"] == version("torch")
    assert noted["python"] == platform.python_version()
    assert noted["cores"] >= 1
    assert platform.node() not in json.dumps(noted)  # nobody else's business
    run[0].made_with.write_text('{"format": 1, "template": "v0.1.0"}', encoding="utf-8")  # of an older release
    assert "machine" not in run[0].read_made_with()


def test_without_an_answers_file_the_version_is_unknown(run):
    assert json.loads(run[0].made_with.read_text(encoding="utf-8"))["template"] == "unknown"


def test_a_run_that_goes_on_after_an_update_was_made_by_the_older_template(run):
    run, config = run
    run.made_with.write_text('{"format": 1, "template": "v0.1.0"}', encoding="utf-8")
    run.start(config)
    assert json.loads(run.made_with.read_text(encoding="utf-8"))["template"] == "v0.1.0"
    run.start(config, fresh=True)
    assert json.loads(run.made_with.read_text(encoding="utf-8"))["template"] == "unknown"


def test_what_a_newer_template_added_was_at_its_default_before(run, small):
    run, config = run
    older = run.config.read_text(encoding="utf-8").replace("  min_lr: 0.0\n", "")
    run.config.write_text(older, encoding="utf-8")
    run.start(config)
    run.config.write_text(older, encoding="utf-8")
    with pytest.raises(CompError, match=r"train.min_lr was 0.0, is 1e-05"):
        run.start(small.configure(train={"min_lr": 1e-5}))


def test_a_run_of_a_newer_template_is_refused_in_a_line(run):
    run, _ = run
    run.made_with.write_text(f'{{"format": {FORMAT + 1}, "template": "v9.0.0"}}', encoding="utf-8")
    with pytest.raises(CompError, match=r"was trained with a newer template \(v9\.0\.0\): run comp update"):
        run.trained_config()

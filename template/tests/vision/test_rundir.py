"""What a run's folder says of itself: which version made it, and whether it can be read."""

import json

import pytest

from comp.errors import CompError
from comp.runs.rundir import FORMAT, RunDir


@pytest.fixture
def run(repo, configure):
    """A run that was started: one fold has something in it."""
    config = configure()
    run = RunDir.of(config)
    run.start(config)
    (run.fold(0) / "last").mkdir(parents=True)
    return run, config


def test_a_run_says_which_template_made_it(repo, configure):
    (repo / ".copier-answers.yml").write_text("_commit: v1.2.0\n_src_path: gh:org/kaggle-vision\n", encoding="utf-8")
    config = configure()
    RunDir.of(config).start(config)
    assert json.loads(RunDir.of(config).made_with.read_text(encoding="utf-8")) == {
        "format": FORMAT,
        "template": "v1.2.0",
    }


def test_without_an_answers_file_the_version_is_unknown(run):
    assert json.loads(run[0].made_with.read_text(encoding="utf-8"))["template"] == "unknown"


def test_a_run_that_goes_on_after_an_update_was_made_by_the_older_template(run):
    run, config = run
    run.made_with.write_text('{"format": 1, "template": "v0.1.0"}', encoding="utf-8")
    run.start(config)
    assert json.loads(run.made_with.read_text(encoding="utf-8"))["template"] == "v0.1.0"
    run.start(config, fresh=True)
    assert json.loads(run.made_with.read_text(encoding="utf-8"))["template"] == "unknown"


def test_a_section_that_is_added_or_taken_away_is_another_configuration(run, configure):
    """Folds that were trained already would not have started from the pretrained weights, the others would."""
    run, plain = run
    pretraining = configure(pretrain={"data": {"root": "other", "train": "images"}})
    with pytest.raises(CompError, match=r"trained with another configuration \(pretrain.*was None"):
        run.start(pretraining)
    run.start(pretraining, fresh=True)
    (run.fold(0) / "last").mkdir(parents=True)
    with pytest.raises(CompError, match=r"pretrain\..*, is None"):
        run.start(plain)


def test_what_a_newer_template_added_was_at_its_default_before(run, configure):
    run, config = run
    older = run.config.read_text(encoding="utf-8").replace("  label_smoothing: 0.0\n", "")
    run.config.write_text(older, encoding="utf-8")
    run.start(config)
    run.config.write_text(older, encoding="utf-8")
    with pytest.raises(CompError, match=r"train.label_smoothing was 0.0, is 0.1"):
        run.start(configure(train={"label_smoothing": 0.1}))


def test_a_run_from_before_there_was_a_version_is_read(run):
    run, config = run
    run.made_with.unlink()
    assert run.trained_config() == config


def test_a_run_of_a_newer_template_is_refused_in_a_line(run):
    run, _ = run
    run.made_with.write_text(f'{{"format": {FORMAT + 1}, "template": "v9.0.0"}}', encoding="utf-8")
    with pytest.raises(CompError, match=r"was trained with a newer template \(v9\.0\.0\): run comp update"):
        run.trained_config()

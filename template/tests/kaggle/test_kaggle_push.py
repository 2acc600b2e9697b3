"""`comp kaggle package --push`: a package that lies ready goes to Kaggle, and what sends its output is told."""

import json
from types import SimpleNamespace

import pytest
from kaggle_cloud import Cloud
from kaggle_server import SLUG, USER

from comp.config.common import Kaggle
from comp.errors import CompError
from comp.files import write_json, write_text
from comp.kaggle import publish
from comp.kaggle.metadata import Sources, dataset_metadata, kernel_metadata
from comp.kaggle.notebook import code, notebook
from comp.kaggle.packing.pack import Package
from comp.kaggle.packing.package import push_package


@pytest.fixture
def package(state, repo, tmp_path_factory, monkeypatch):
    """A dataset of a file and a folder, and a notebook that has it."""
    monkeypatch.setattr(publish, "LOOK_EVERY", 0.0)
    made = Package(repo / "kaggle" / "first", USER, SLUG, f"{SLUG}-first", [])
    write_json(made.dataset / "comp-package.json", {})
    write_text(made.dataset / "src" / "comp" / "one.py", "ONE = 1\n")
    title = f"{SLUG} first"
    write_json(made.dataset / "dataset-metadata.json", dataset_metadata(USER, made.dataset_slug, title))
    write_text(made.notebook / "submission.ipynb", json.dumps(notebook([code("print(1)")])))
    sources = Sources((SLUG,), (f"{USER}/{made.dataset_slug}",))
    metadata = kernel_metadata(USER, f"{SLUG}-first", title, "submission.ipynb", sources)
    write_json(made.notebook / "kernel-metadata.json", metadata)
    (repo / "competition").mkdir()
    state.cloud = Cloud(tmp_path_factory.mktemp("cloud"), repo / "competition", runs=False)
    return made


def test_both_go_to_kaggle_and_the_next_command_is_told(package, state, output):
    for version in (1, 2):
        push_package(package, SimpleNamespace(name="first", kaggle=Kaggle(competition=SLUG)))
        told = output()
        assert f"comp submit --send --kernel {USER}/{SLUG}-first --version {version} -m 'what is new'" in told
    versions = state.cloud.datasets[f"{USER}/{SLUG}-first"]
    assert [sorted(each) for each in versions] == [["comp-package.json", "src.zip"]] * 2
    asked = state.cloud.sessions[0].asked
    assert (asked["isPrivate"], asked["enableInternet"], asked["sessionTimeoutSeconds"]) == (True, False, 9 * 3600)


def test_a_title_that_kaggle_refuses_is_one_line_and_no_notebook_runs(package, state):
    state.cloud.refuses_dataset = "The title is already in use by another dataset"
    with pytest.raises(CompError, match="The title is already in use by another dataset") as refused:
        push_package(package, SimpleNamespace(name="first", kaggle=Kaggle(competition=SLUG)))
    assert "\n" not in str(refused.value)
    assert state.cloud.sessions == []

"""The guard on the demo: every planted picture of another person and every unchanged one is caught, and no good one."""

import pandas as pd
import pytest
import yaml

from comp.config import load_config
from comp.emotion import demo, demo_synthetic
from comp.vision.synth.guard import read_synthetic, synthetic_path

COUNTS = {"happy": 60, "neutral": 40, "sad": 16, "anger": 12, "surprise": 12, "disgust": 8, "fear": 8, "contempt": 8}
CONFIG = {
    "task": "emotion",
    "name": "faces",
    "data": {"root": "faces", "group": "person"},
    "folds": {"n": 3},
    "golden": {"per_class": 3},
    "model": {"backbone": "test_resnet", "pretrained": False, "image_size": 48},
    "synth": {
        "data": {"root": "faces/synthetic", "train": "synthetic.csv"},
        "map": {"angry": "anger", "happiness": "happy", "surprised": "surprise"},
        "structure": {"low": 0.55},
        "meaning": None,
        "classifier": None,
    },
}


@pytest.fixture
def judged(repo, comp, monkeypatch):
    """Verdicts of a small demo, beside what was planted in it."""
    monkeypatch.setattr(demo, "COUNTS", COUNTS)
    monkeypatch.setattr(demo_synthetic, "MOST", 30)
    (repo / "faces.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    for step in ("demo-data", "golden", "split", "synth guard"):
        status, _, err = comp(*step.split(), "faces.yaml")
        assert status == 0, err
    table = read_synthetic(synthetic_path(load_config(repo / "faces.yaml")))[0].set_index("id")
    planted = pd.read_csv("faces/synthetic/planted.csv", dtype=str).set_index("image")["fault"]
    return table.assign(fault=planted.reindex(table.index).fillna(""))


def test_what_was_planted_is_caught_and_nothing_good_is(judged):
    seen = judged[~judged["gate"].isin(["golden", "validation"])]
    for fault in ("unchanged", "other person"):
        assert len(seen[seen["fault"] == fault]) > 1
        assert (seen["gate"][seen["fault"] == fault] == "structure").all()
    assert (seen["gate"][seen["fault"] == ""] == "").all()
    assert (judged["gate"] == "golden").any()

"""On noise, students of the folds' own teachers measure chance; students of an ensemble of all folds are caught."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from vision.canary import FOLDS, verdict

from comp.tables import Targets
from comp.vision.schema import Selection
from comp.vision.training.pseudo_labels import select

TARGETS = Targets("binary", ("label",))
FEATURES = slice(0, 6)
N_TEST = 1200


def forest() -> RandomForestClassifier:
    return RandomForestClassifier(20, min_samples_leaf=2, random_state=0)


def students(teacher: str, labels: str, threshold: float):
    """Trains teachers, chooses test rows as `comp pseudo` does, trains students: a function of the noise."""

    def scores(drawn):
        x, y = drawn.x[:, FEATURES], drawn.y
        test = np.random.default_rng(drawn.seed + 1000).normal(size=(N_TEST, x.shape[1]))
        said = {}
        for k in range(FOLDS):
            seen = drawn.fold != k
            said[k] = forest().fit(x[seen], y[seen]).predict_proba(test)[:, 1]
        everyone = np.mean(list(said.values()), axis=0)
        result = np.zeros(len(y))
        for k in range(FOLDS):
            seen = drawn.fold != k
            p = (said[k] if teacher == "fold" else everyone)[:, None]
            rows, chosen = select(p, TARGETS, Selection(threshold=threshold, labels=labels))
            both = np.concatenate([y[seen], (chosen[:, 0] > 0.5).astype(int)])
            weight = np.concatenate([np.ones(seen.sum()), np.abs(chosen[:, 0] - 0.5) * 2])
            student = forest().fit(np.concatenate([x[seen], test[rows]]), both, sample_weight=weight)
            result[~seen] = student.predict_proba(x[~seen])[:, 1]
        return result

    return scores


@pytest.mark.parametrize("labels", ["hard", "soft"])
def test_students_of_their_own_folds_teachers_measure_chance(labels):
    assert verdict(students("fold", labels, 0.6), seeds=range(8)).is_chance


def test_students_of_an_ensemble_of_all_folds_are_caught():
    assert verdict(students("ensemble", "hard", 0.6), seeds=range(8)).leaks

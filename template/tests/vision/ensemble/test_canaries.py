"""On noise, every way of combining measures chance; with a leak put in on purpose, the same check says so.

Members are naive Bayes on three columns each: cheap, and so different that choosing among them overfits. Where features
join, they are forests, which find a row's neighbors.
"""

import functools
import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.naive_bayes import GaussianNB
from vision.canary import FOLDS, ROWS, noise, verdict

from comp.folds import Split
from comp.tables import Targets
from comp.vision.ensemble.combine import Input, combined, features_as_member
from comp.vision.ensemble.combiners import blend_fit
from comp.vision.ensemble.crossfit import Known, Predicted, parts_of_folds
from comp.vision.ensemble.learners import stack_fit
from comp.vision.ensemble.members import Members
from comp.vision.schema import Blend, Stack

TARGETS = Targets("binary", ("label",))
MEANS = [Blend(kind="mean"), Blend(kind="geometric"), Blend(kind="rank"), Blend(kind="power")]
FITTED = [Blend(kind="hill_climbing"), Blend(kind="weights"), Stack(kind="lightgbm"), Stack(kind="logistic")]
SLOW = [FITTED[0], *FITTED[2:]]  # half a minute each: on chance for a release, where they leak always
EAGER = Stack(args={"num_leaves": 31, "min_data_in_leaf": 5, "num_iterations": 80, "learning_rate": 0.15})
FEATURES = slice(0, 6)  # the columns that forests, and stacks with features, know
MODELS = {
    "bayes": [(GaussianNB(), slice(3 * m, 3 * m + 3)) for m in range(20)],
    "forests": [(RandomForestClassifier(15, min_samples_leaf=3, random_state=0), FEATURES)],
}


@functools.cache
def trained(kind: str, seed: int) -> Members:
    """Members on the noise of `seed`, with inner predictions by models that saw neither of two folds."""
    drawn, models, rows = noise(seed), MODELS[kind], np.arange(ROWS)
    p, inner = np.zeros((ROWS, len(models), 1)), np.zeros((FOLDS, ROWS, len(models), 1))
    for m, (model, columns) in enumerate(models):
        x = drawn.x[:, columns]
        for j, k in itertools.combinations_with_replacement(range(FOLDS), 2):
            seen, in_j, in_k = ~np.isin(drawn.fold, [j, k]), drawn.fold == j, drawn.fold == k
            said = model.fit(x[seen], drawn.y[seen]).predict_proba(x)[:, 1]
            if j == k:
                p[in_k, m, 0] = said[in_k]
            else:
                inner[k, in_j, m, 0], inner[j, in_k, m, 0] = said[in_j], said[in_k]
    rest = {k: drawn.fold != k for k in range(FOLDS)}
    nested = {k: Predicted(rows[rest[k]], drawn.fold[rest[k]], inner[k][rest[k]]) for k in rest}
    names, tests = [str(m) for m in range(len(models))], dict.fromkeys(rest, p[:1])  # tests: of no interest here
    return Members(names, Predicted(rows, drawn.fold, p), tests, nested, [], {}, {})


def procedure(settings, scheme, kind="bayes", features="none", in_sample=False):
    """How `settings` combine the members of one kind: a function of the noise that gives the scores of its rows."""
    learned = isinstance(settings, Stack)
    fit = stack_fit(settings, 0, TARGETS) if learned else blend_fit(settings, "roc_auc", TARGETS)

    def scores(drawn):
        members, y, x = trained(kind, drawn.seed), drawn.y[:, None].astype(float), drawn.x[:, FEATURES]
        table = pd.DataFrame({"id": np.arange(ROWS).astype(str), "target": drawn.y})
        split = Split(drawn.fold, table["id"].to_numpy(), FOLDS, "stratified", "")
        known = Known(x, y, parts_of_folds(table, TARGETS, split))
        given = Input(members, scheme, known, x[:1])
        if features == "member":
            given = features_as_member(given, TARGETS, split, seed=0)
        elif features == "none":
            given = Input(members, scheme, replace(known, x=x[:, :0]), x[:1, :0])
        output = combined(given, fit)
        return (output.in_sample if in_sample else output.oof)[:, 0]

    return scores


def kind_of(settings) -> str:
    return settings.kind if isinstance(settings, Blend | Stack) else str(settings)


def test_plain_out_of_fold_predictions_measure_chance():
    assert verdict(lambda drawn: trained("bayes", drawn.seed).oof.p[:, 0, 0]).is_chance
    assert verdict(lambda drawn: trained("forests", drawn.seed).oof.p[:, 0, 0]).is_chance


@pytest.mark.parametrize("settings", MEANS, ids=kind_of)
def test_means_measure_chance(settings):
    assert verdict(procedure(settings, "nothing")).is_chance


@pytest.mark.parametrize("scheme", ["own fold", "inner"])
@pytest.mark.parametrize(
    "settings",
    [pytest.param(each, marks=pytest.mark.release if each in SLOW else ()) for each in FITTED],
    ids=kind_of,
)
def test_fitted_blends_and_stacks_measure_chance(settings, scheme):
    assert verdict(procedure(settings, scheme)).is_chance


@pytest.mark.parametrize("settings", [EAGER, *FITTED[2:]], ids=["eager", "lightgbm", "logistic"])
def test_a_nested_stack_with_features_measures_chance(settings):
    assert verdict(procedure(settings, "inner", "forests", "join")).is_chance


@pytest.mark.release  # nested ones with features are above
def test_a_stack_with_features_as_a_member_measures_chance():
    assert verdict(procedure(Stack(), "own fold", "forests", "member")).is_chance


def test_choosing_a_model_on_the_rows_it_is_scored_on_is_caught():
    def best_of_each_fold(drawn):
        p, chosen = trained("bayes", drawn.seed).oof.p[:, :, 0], np.zeros(ROWS)
        for k in range(FOLDS):
            mine = drawn.fold == k
            chosen[mine] = max(p[mine].T, key=lambda scores: roc_auc_score(drawn.y[mine], scores))
        return chosen

    assert verdict(best_of_each_fold).leaks


@pytest.mark.parametrize("settings", FITTED, ids=kind_of)
def test_a_score_of_the_rows_that_were_fitted_on_is_caught(settings):
    assert verdict(procedure(settings, "inner", in_sample=True)).leaks


@pytest.mark.parametrize("settings", FITTED, ids=kind_of)
def test_fitting_on_other_folds_by_models_that_saw_the_scored_one_is_caught(settings):
    """Cross-fitting as it is usual: no row is fitted on and scored, and yet the members carry the labels across."""
    assert verdict(procedure(settings, "others")).leaks


def test_features_beside_predictions_by_models_that_saw_the_scored_fold_are_caught():
    assert verdict(procedure(EAGER, "others", "forests", "join")).leaks


def test_a_mean_with_a_member_that_saw_every_row_is_caught():
    def with_one_in_sample(drawn):
        x, p = drawn.x[:, FEATURES], trained("bayes", drawn.seed).oof.p[:, :, 0]
        return p.mean(axis=1) + GaussianNB().fit(x, drawn.y).predict_proba(x)[:, 1]

    assert verdict(with_one_in_sample).leaks

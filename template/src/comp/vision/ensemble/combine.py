"""`comp blend` and `comp stack`: several runs become one, scored on rows that its combiners have not met.

The result is a run like any other: it can be submitted, and be a member in turn.
"""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from comp.errors import CompError, shown
from comp.files import write_json
from comp.files.lock import locked
from comp.folds import Split, load_split
from comp.registry import metrics_for
from comp.runs.flags import Flags, flags_of_members, flags_of_metrics
from comp.runs.predictions import oof_table, test_table, write_predictions
from comp.runs.rank import rank
from comp.runs.rundir import RunDir
from comp.tables import Tables, Targets
from comp.vision.data.read import read_tables
from comp.vision.ensemble.advice import what_to_submit
from comp.vision.ensemble.combiners import FITTED, Fit, Weighted, blend_fit
from comp.vision.ensemble.crossfit import PARTS, Known, Scheme, cross_fitted, parts_of_folds
from comp.vision.ensemble.members import Members, open_members
from comp.vision.ensemble.statistics import read_features
from comp.vision.inference.collect import collect
from comp.vision.metrics import score
from comp.vision.schema import ImageConfig

FEATURES = "features"  # the name of the member that knows nothing else
FITTED_ON: dict[Scheme, str] = {
    "nothing": "on nothing",
    "inner": "nested: on inner out-of-fold predictions, by models that never saw the scored fold",
    "own fold": f"on other rows of the scored fold, in {PARTS} parts: its models never saw any of them",
    "past": "on the folds before the scored one",
}


@dataclass(frozen=True)
class Input:
    """What is combined; T rows in the training table, all numbers of rows are its."""

    members: Members
    scheme: Scheme
    known: Known
    x_test: np.ndarray  # (test rows, R) features as in `known`


@dataclass(frozen=True)
class Output:
    """What the combination says."""

    oof: np.ndarray  # (N, K) of `members.oof`
    in_sample: np.ndarray  # the same by a combiner that was fitted on these very rows
    tests: dict[int, np.ndarray]  # of each fold
    inner: dict[int, np.ndarray] | None  # of each fold's `members.inner`
    weights: np.ndarray | None  # (M,) the mean over combiners, if they have any


def blend(config: ImageConfig) -> None:
    """Combines runs by a mean or by weights.

    Raises:
        CompError: the members do not fit together, weights would be fitted to unscored rows, or `config.name` is a
            trained run.
    """
    tables, split = _opened(config)
    fitted = f"blend.kind={config.blend.kind}" if config.blend.kind in FITTED else ""
    members = open_members(config, config.blend.members, tables, split, fitted)
    fit = blend_fit(config.blend, config.metric, tables.targets)
    scheme = _scheme(members, split) if fitted else "nothing"
    given = _input(config, [], scheme, members, tables, split)
    with locked(RunDir.of(config).path, "blend"):
        _combine(config, config.blend.kind, fit, given, tables, split)


def stack(config: ImageConfig) -> None:
    """Combines runs, and features of the images, by a learned combiner.

    Raises:
        CompError: the members do not fit together, one is unscored, or `config.name` is a trained run.
    """
    from comp.vision.ensemble.learners import stack_fit  # only here: LightGBM is large

    tables, split = _opened(config)
    members = open_members(config, config.stack.members, tables, split, f"stack.kind={config.stack.kind}")
    fit = stack_fit(config.stack, config.seed, tables.targets)
    given = _input(config, config.stack.features, _scheme(members, split), members, tables, split)
    with locked(RunDir.of(config).path, "stack"):
        _combine(config, config.stack.kind, fit, given, tables, split)


def combined(given: Input, fit: Fit) -> Output:
    """Fits the combiners as `given.scheme` says, and lets each fold's speak for that fold's models."""
    members, oof, known = given.members, given.members.oof, given.known
    p, combiners = cross_fitted(oof, given.scheme, fit, known, members.inner)
    tests = {k: np.mean([one(members.tests[k], given.x_test) for one in combiners[k]], axis=0) for k in combiners}
    inner = None
    if members.inner is not None and given.scheme in ("inner", "nothing"):
        # All of these rows are fold k's training rows: whichever of them a combiner meets, fold k stays unseen.
        scheme: Scheme = "others" if given.scheme == "inner" else "nothing"
        inner = {k: cross_fitted(rows, scheme, fit, known)[0] for k, rows in members.inner.items()}
    every = [one.weights for each in combiners.values() for one in each if isinstance(one, Weighted)]
    x, y = known.x[oof.rows], known.y[oof.rows]
    in_sample = fit(oof.p, x, y)(oof.p, x)
    return Output(p, in_sample, tests, inner, np.mean(every, axis=0) if every else None)


def _opened(config: ImageConfig) -> tuple[Tables, Split]:
    run = RunDir.of(config)
    if run.is_trained:
        raise CompError(f"{run.path} is a trained run: give what is combined another name (name=…)")
    tables = read_tables(config.data)
    return tables, load_split(config, tables)


def _scheme(members: Members, split: Split) -> Scheme:
    if split.kind == "time":
        return "past"
    return "own fold" if members.inner is None else "inner"


def _input(
    config: ImageConfig, features: list[str], scheme: Scheme, members: Members, tables: Tables, split: Split
) -> Input:
    """With features, the stack is nested. Where it cannot be, they become a member: a model of nothing else.

    Features tell which rows are neighbors, and so let a combiner find the labels that its members' predictions hold.
    """
    y = tables.targets.encode(tables.train)
    within = scheme == "own fold"
    parts = parts_of_folds(tables.train, tables.targets, split) if within else np.zeros((1, len(y)), dtype=np.int64)
    x, x_test = read_features(features, tables, config)
    if features and scheme != "inner":
        without = f"{shown(members.without_inner)} have no inner out-of-fold predictions"
        print(f"features  a member of their own: {without if members.without_inner else 'the folds are over time'}")
        given = Input(members, scheme, Known(x, y, parts), x_test)
        return features_as_member(given, tables.targets, split, config.seed)
    return Input(members, scheme, Known(x, y, parts), x_test)


def features_as_member(given: Input, targets: Targets, split: Split, seed: int) -> Input:
    """`given` without features, and LightGBM on them as one more member, trained on each fold's training rows."""
    from comp.vision.ensemble.learners import boosted

    members, x, y, x_test = given.members, given.known.x, given.known.y, given.x_test
    predictions, tests = np.zeros((len(members.oof), 1, y.shape[1])), {}
    for k in members.tests:
        trained = split.fold < k if split.kind == "time" else split.fold != k
        model = boosted(no_members(x[trained], y), x[trained], y[trained], targets, seed)
        in_fold = members.oof.fold == k
        rows = members.oof.rows[in_fold]
        predictions[in_fold, 0] = model(no_members(x[rows], y), x[rows])
        own = model(no_members(x_test, y), x_test)
        tests[k] = np.concatenate([members.tests[k], own[:, None]], axis=1)
    oof = replace(members.oof, p=np.concatenate([members.oof.p, predictions], axis=1))
    members = replace(members, names=[*members.names, FEATURES], oof=oof, tests=tests)
    return Input(members, given.scheme, replace(given.known, x=x[:, :0]), x_test[:, :0])


def no_members(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The predictions of no member."""
    return np.zeros((len(x), 0, y.shape[1]))


def _combine(config: ImageConfig, kind: str, fit: Fit, given: Input, tables: Tables, split: Split) -> None:
    started = time.perf_counter()
    output = combined(given, fit)
    run, targets, members = RunDir.of(config), tables.targets, given.members
    run.start(config, fresh=True)
    run.bind_to_folds(split.digest)
    seconds = time.perf_counter() - started
    for k, test in output.tests.items():
        in_fold = members.oof.fold == k
        rows, folder = members.oof.rows[in_fold], run.fold(k)
        table = oof_table(tables.train, rows, members.oof.fold[in_fold], output.oof[in_fold], targets)
        write_predictions(folder / "oof.parquet", table, targets, split.digest)
        write_predictions(folder / "test.parquet", test_table(tables.test, test, targets), targets, split.digest)
        if output.inner is not None and members.inner is not None:
            inner = members.inner[k]
            table = oof_table(tables.train, inner.rows, inner.fold, output.inner[k], targets)
            write_predictions(folder / "inner_oof.parquet", table, targets, split.digest)
        about = {"rows": len(rows), "seconds": seconds / len(output.tests), "trained": members.trained[k]}
        write_json(folder / "metrics.json", about)
    facts = _facts(config, kind, given, output, targets)
    if not facts["unscored"]:
        _print_table(config, given, output, targets, facts["flatters"])
    collect(config, tables.train["id"], run, facts)


def _print_table(config: ImageConfig, given: Input, output: Output, targets: Targets, flatters: str) -> None:
    """Members and combination by the metric, the best member first."""
    oof = given.members.oof
    y, folds = given.known.y[oof.rows], [oof.fold == k for k in output.tests]

    def scored(p: np.ndarray) -> list[float]:
        return [score(config.metric, y[rows], p[rows], targets) for rows in (np.ones(len(p), dtype=bool), *folds)]

    lines = [(name, scored(oof.p[:, place])) for place, name in enumerate(given.members.names)]
    lines.sort(key=lambda line: rank(config.metric, line[1][0]))
    lines.append((config.name, scored(output.oof)))
    width = max(len(name) for name, _ in lines)
    print(f"        {'':{width}}  {config.metric}, folds")
    for name, (whole, *each) in lines:
        print(f"        {name:{width}}  {whole:.4f}  {' '.join(f'{value:.4f}' for value in each)}")
    if given.scheme != "nothing":
        print(f"fitted  {FITTED_ON[given.scheme]}")
        print(f"scores  {lines[-1][1][0]:.4f} cross-fitted, recorded; {scored(output.in_sample)[0]:.4f} in sample")
    if flatters:
        print(f"submit  what other evidence is for: this score flatters ({flatters})")
    else:
        learns, names = given.scheme != "nothing", given.members.names
        advice = what_to_submit(config.name, output.oof, oof.p, names, y, config.metric, targets, learns)
        print(f"submit  {advice}")
    if output.weights is not None:
        weights = zip(given.members.names, output.weights, strict=True)
        print(f"weights {', '.join(f'{name} {weight:.2f}' for name, weight in weights)}")


def _facts(config: ImageConfig, kind: str, given: Input, output: Output, targets: Targets) -> dict[str, Any]:
    """What `metrics.json` says beside the scores."""
    members, rows = given.members, given.members.oof.rows
    met = any(metrics.get("combines", {}).get("met_scored_fold") for metrics in members.metrics.values())
    flags = flags_of_members(flags_of_metrics(metrics) for metrics in members.metrics.values())
    if met and given.scheme == "own fold":
        print("warning: a member was fitted within the folds too: the score flatters; combine its members instead")
        flags = flags.or_else(Flags(flatters="a member was fitted within the folds too"))
    names = metrics_for([config.metric, *config.metrics], targets.kind)
    return {
        **vars(flags),
        "in_sample": {name: score(name, given.known.y[rows], output.in_sample, targets) for name in names},
        "combines": {
            "kind": kind,
            "members": members.names,
            "fitted_on": given.scheme,
            "met_scored_fold": met or given.scheme == "own fold",  # then fold k's combiner is no teacher for fold k
            "weights": None if output.weights is None else output.weights.round(4).tolist(),
        },
    }

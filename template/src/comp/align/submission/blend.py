"""`comp blend`: the mean direction of several runs, which becomes a run like any other."""

import numpy as np
import pandas as pd

from comp.align.baselines.compare import fitted
from comp.align.data.pairs import EMBEDDING, Competition, open_competition
from comp.align.ranking.retrieval import finite, unit
from comp.align.schema import AlignConfig
from comp.align.training.train import collect
from comp.config.load import members_of
from comp.errors import CompError
from comp.files import write_json
from comp.files.lock import locked
from comp.runs.combinable import Member, check_ids, last_trained, member_names, member_of_run, runs_of_these_folds
from comp.runs.flags import flags_of_members, flags_of_metrics
from comp.runs.predictions import oof_table, test_table, values_of, write_predictions
from comp.runs.rundir import RUNS, RunDir


def blend(config: AlignConfig) -> None:
    """Averages directions, fold by fold: nothing is fitted, so the score is out of fold as its members' are.

    Raises:
        CompError: the members do not fit together, or `config.name` is a trained run.
    """
    run = RunDir.of(config)
    if run.is_trained:
        raise CompError(f"{run.path} is a trained run: give what is combined another name (name=…)")
    competition = open_competition(config)
    pairs, split = competition.pairs, competition.split
    given = config.blend.members or [member.name for member in members_of(config)] or runs_of_these_folds(config, split)
    if not given:
        raise CompError(f"no run in {RUNS} has these folds")
    names = member_names(given)
    members = [member_of_run(each, pairs.tables, split) for each in given]
    baselines = {name: weight for name, weight in sorted(config.blend.baselines.items()) if weight}
    print(f"blend   the mean direction of {', '.join([*names, *baselines])}")
    with locked(run.path, "blend"):
        _write(config, competition, members, baselines, run)


def _write(
    config: AlignConfig, competition: Competition, members: list[Member], baselines: dict[str, float], run: RunDir
) -> None:
    pairs, split = competition.pairs, competition.split
    run.clear()
    run.write_config(config)
    for number in range(split.n):
        rows = competition.rows(number)[1]
        ids = pairs.tables.train["id"].iloc[rows]
        oof, test = [], []
        for member in members:
            here = member.oof[member.oof["fold"] == number]
            check_ids(here, ids, f"the out-of-fold predictions of {member.name}", "validated")
            check_ids(member.tests[number], pairs.tables.test["id"], f"the test predictions of {member.name}", "test")
            oof.append(_vectors(here, ids))
            test.append(_vectors(member.tests[number], pairs.tables.test["id"]))
        mean, mean_test = _mean(oof), _mean(test)
        for name, weight in baselines.items():
            model = fitted(name, competition, competition.rows(number)[0])
            mean = mean + weight * model(pairs.texts[rows])
            mean_test = mean_test + weight * model(finite(pairs.test_texts))
        folder = run.fold(number)
        table = oof_table(pairs.tables.train, rows, np.full(len(rows), number), unit(mean), EMBEDDING)
        write_predictions(folder / "oof.parquet", table, EMBEDDING, split.digest)
        tests = test_table(pairs.tables.test, unit(mean_test), EMBEDDING)
        write_predictions(folder / "test.parquet", tests, EMBEDDING, split.digest)
        about = {"rows": len(rows), "seconds": 0.0, "trained": last_trained(members, number)}
        write_json(folder / "metrics.json", about)
    flags = flags_of_members(flags_of_metrics(member.metrics or {}) for member in members)
    also = [f"{weight} × {name}" for name, weight in baselines.items()]
    combines = {"kind": "blend", "members": [*(member.name for member in members), *also]}
    collect(config, competition, run, {"combines": combines, **vars(flags)})


def _vectors(table: pd.DataFrame, ids: pd.Series) -> np.ndarray:
    return values_of(table.set_index("id").loc[ids], EMBEDDING)


def _mean(each: list[np.ndarray]) -> np.ndarray:
    return unit(np.mean([unit(vectors) for vectors in each], axis=0))

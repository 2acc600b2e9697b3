"""What each member of a blend brings, from what is stored: nothing is trained or predicted again."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from comp.align.data.pairs import EMBEDDING, Competition
from comp.align.ranking.retrieval import unit
from comp.align.report.queries import Queries, queries_of
from comp.readback import remembered
from comp.runs.bootstrap import interval_of_drawn, spread
from comp.runs.combinable import run_of_member
from comp.runs.page import Table
from comp.runs.predictions import read_oof, values_of, with_values


def members_table(names: Sequence[str], competition: Competition, oof: pd.DataFrame, metric: str) -> list[Table]:
    """Each member alone, and the mean direction of all members without it; `oof` is the blend's."""
    found = {name: vectors for name in names if (vectors := vectors_of(name, oof)) is not None}
    every = _measured(list(found.values()), competition, oof)
    if every is None or every.values(metric) is None:
        return []
    table = Table(
        "",
        ["member", f"{metric} alone", "mean without it", "what it brings", "95 % interval"],
        note=f"The mean of all has {_mean(every, metric):.4f}. A member brings that less the mean of the others.",
    )
    gone = [name for name in names if name not in found]
    table.note += f" Not stored, or with other rows: {', '.join(gone)}." if gone else ""
    for name, vectors in found.items():
        line = [name, f"{_mean(_measured([vectors], competition, oof), metric):.4f}"]
        without = _measured([other for each, other in found.items() if each != name], competition, oof)
        if without is not None:
            change = every.drawn(metric) - without.drawn(metric)  # type: ignore[operator]  # of the same draws
            others = _mean(without, metric)
            line += [f"{others:.4f}", f"{_mean(every, metric) - others:+.4f}", spread(*interval_of_drawn(change))]
        table.rows.append([*line, *["–"] * (len(table.columns) - len(line))])
    return [table]


def vectors_of(name: str, oof: pd.DataFrame) -> np.ndarray | None:
    """(N, D) what the run `name` says of the rows of `oof`; None where it is not here, or has others."""
    path = run_of_member(name).oof
    read = remembered(path, partial(read_oof, path, "the page is made without this member"))
    if read is None or read[1].kind != "embedding":
        return None
    place = pd.Index(read[0]["id"]).get_indexer(pd.Index(oof["id"]))
    return None if (place < 0).any() else unit(values_of(read[0], EMBEDDING))[place]


def _measured(each: list[np.ndarray], competition: Competition, oof: pd.DataFrame) -> Queries | None:
    if not each:
        return None
    return queries_of(competition, with_values(oof, unit(np.mean(each, axis=0)), EMBEDDING))


def _mean(queries: Queries | None, metric: str) -> float:
    values = None if queries is None else queries.values(metric)
    return float("nan") if values is None else float(values.mean())

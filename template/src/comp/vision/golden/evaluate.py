"""`comp evaluate`: scores a run on the golden test set, and notes that it was looked at."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm
from typing_extensions import TypedDict

from comp.errors import CompError
from comp.files import write_json, write_text
from comp.readback import read_json, reading, remembered
from comp.registry import metrics_for
from comp.runs.bootstrap import interval_of_drawn
from comp.runs.predictions import read_predictions
from comp.runs.rundir import RunDir
from comp.tables import GOLDEN, Tables, Targets
from comp.vision.data.golden import golden_path
from comp.vision.data.read import read_tables
from comp.vision.metrics import score
from comp.vision.metrics.sums import measure_of
from comp.vision.schema import Data, ImageConfig

DRAWS = 2000  # bootstrap samples of the rows
MANY_LOOKS = 3  # from so many runs on, the best of them leads by chance
LOG = ("when", "run", "golden", "metric", "score")


class GoldenScores(TypedDict):
    """What `golden.json` of a run holds."""

    golden: str  # digest of golden.csv
    rows: int
    metric: str
    scores: dict[str, dict[str, float]]  # score, low, high
    recall: dict[str, float]  # of each class that the set has rows of
    looks: str


@dataclass(frozen=True)
class OnGolden:
    """What a run says of the golden rows."""

    y: np.ndarray  # (G, K)
    p: np.ndarray  # (G, K)
    targets: Targets
    digest: str  # of golden.csv


def evaluate(config: ImageConfig) -> dict[str, Any]:
    """Prints the run's golden scores with their intervals, writes them to `golden.json`, and returns them.

    Raises:
        CompError: there is no golden test set, or the run has not predicted it.
    """
    run, tables = RunDir.of(config), read_tables(config.data)
    golden = on_golden(run, tables)
    scores = {}
    for name in metrics_for([config.metric, *config.metrics], golden.targets.kind):
        low, high = interval(name, golden)
        scores[name] = {"score": score(name, golden.y, golden.p, golden.targets), "low": low, "high": high}
    found = recalls(golden).tolist() if golden.targets.kind == "multiclass" else []
    recall = {name: value for name, value in zip(golden.targets.classes, found, strict=False) if np.isfinite(value)}
    log = note_look(config.data, run.path.name, golden, config.metric, scores[config.metric]["score"])
    looks = about_looks(log, golden)
    facts = {"golden": golden.digest, "rows": len(golden.y), "metric": config.metric, "scores": scores}
    write_json(run.path / "golden.json", {**facts, "recall": recall, "looks": looks})
    for name, each in scores.items():
        line = f"{name} {each['score']:.4f}, 95 % interval {each['low']:.4f} to {each['high']:.4f}"
        print(f"golden  {line}, on {len(golden.y)} images")
    for name, value in recall.items():
        print(f"        recall of {name} {value:.3f} of {int(golden.y[:, golden.targets.classes.index(name)].sum())}")
    print(f"        {looks}")
    return facts


def golden_scores(run: RunDir) -> GoldenScores | None:
    """What `comp evaluate` wrote for the run, if it did."""
    path = run.path / "golden.json"
    return remembered(path, lambda: read_json(path, GoldenScores, "run comp evaluate to write it again"))


def on_golden(run: RunDir, tables: Tables) -> OnGolden:
    """Raises: CompError: there is no golden test set, or the run has not predicted this one."""
    if tables.golden is None:
        raise CompError("there is no golden test set: run comp golden before any training")
    table, targets, _ = read_predictions(run.test)
    table = table[table["id"].str.startswith(GOLDEN)]
    truth = tables.golden.truth
    if set(table["id"]) != set(truth["id"]):
        raise CompError(
            f"{run.path} has predicted another golden test set than {tables.golden.digest}: train it again, or put its "
            "golden.csv back"
        )
    if list(targets.classes) != list(tables.targets.classes):
        raise CompError(f"{run.path} was trained for other classes than those of the data")
    p = table.set_index("id").loc[truth["id"], targets.columns].to_numpy(dtype=np.float64)
    return OnGolden(tables.targets.encode(truth), p, tables.targets, tables.golden.digest)


def interval(name: str, golden: OnGolden) -> tuple[float, float]:
    """The 95 % bootstrap interval of a score; rows are drawn within their classes, as they were taken."""
    return interval_of_drawn(measure_of(name, golden.y, golden.p, golden.targets).under(weights(golden.y)))


def weights(y: np.ndarray, draws: int = DRAWS) -> np.ndarray:
    """(draws, G) how often each row is drawn, with replacement within each class of `y` (G, K)."""
    label = y.argmax(axis=1) if y.shape[1] > 1 else y[:, 0].astype(int)
    random, drawn = np.random.default_rng(0), np.empty((draws, len(y)))
    for number in np.unique(label):
        rows = np.flatnonzero(label == number)
        drawn[:, rows] = random.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), draws)
    return drawn


def recalls(golden: OnGolden) -> np.ndarray:
    """(K,) the share of each class that is found; NaN where the set has none of it."""
    truth, choice = golden.y.argmax(axis=1), golden.p.argmax(axis=1)
    hits = np.bincount(truth[truth == choice], minlength=golden.y.shape[1])
    with np.errstate(invalid="ignore"):
        return np.asarray(hits / golden.y.sum(axis=0))


def log_path(data: Data) -> Path:
    return golden_path(data).with_name("golden_log.csv")


def note_look(data: Data, run: str, golden: OnGolden, metric: str, value: float) -> pd.DataFrame:
    """Adds a line to `golden_log.csv` and returns all looks at this set."""
    path = log_path(data)
    log = read_log(path)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    log.loc[len(log)] = [when, run, golden.digest, metric, f"{value:.6f}"]
    write_text(path, log.to_csv(index=False, lineterminator="\n"))
    return log[log["golden"] == golden.digest]


def read_log(path: Path) -> pd.DataFrame:
    """All looks so far, as text."""
    if not path.is_file():
        return pd.DataFrame(columns=list(LOG), dtype=object)
    with reading(path, "restore it from a copy: it counts how often the golden scores were looked at"):
        log = pd.read_csv(path, dtype=str, keep_default_na=False)
        return log[list(LOG)]


def about_looks(log: pd.DataFrame, golden: OnGolden) -> str:
    """How often the set was looked at, and by how much the best of so many equal runs would lead by chance."""
    runs = log["run"].nunique()
    said = f"looked at {len(log)} time{'s' * (len(log) > 1)}, {runs} run{'s' * (runs > 1)}"
    if runs < MANY_LOOKS:
        return said
    lead = lead_by_chance(runs, len(golden.y))
    return (
        f"{said}: the best of {runs} equally good runs would lead their mean by about {100 * lead:.1f} points of "
        f"accuracy by chance; judge differences at p < {0.05 / (runs - 1):.3f} (Bonferroni)"
    )


def lead_by_chance(runs: int, n: int, discordant: float = 0.3) -> float:
    """The expected lead of the best of `runs` equally accurate ones over their mean, on `n` images.

    Two of them differ on the share `discordant`; Blom's approximation of the largest of normal numbers.
    """
    return float(norm.ppf((runs - 0.375) / (runs + 0.25)) * np.sqrt(discordant / n / 2))

"""What runs have stored, as lines and tables of Markdown; what they do not know is marked, to be filled in."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from typing_extensions import TypedDict

from comp.errors import CompError
from comp.kaggle.handover.chain import Made
from comp.kaggle.sent import Sent, is_of_before, read_sent
from comp.readback import read_json
from comp.runs.flags import flags_of_metrics
from comp.runs.rundir import flat

MARK = "**TO FILL IN**"


class Golden(TypedDict):
    """What is read here of the `golden.json` that `comp evaluate` writes."""

    rows: int
    metric: str
    scores: dict[str, dict[str, float]]  # score, low, high
    looks: str


def to_fill_in(what: str) -> str:
    return f"{MARK}: {what}"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    def line(cells: Sequence[object]) -> str:
        return f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"

    return [line(columns), line(["---"] * len(columns)), *map(line, rows)]


def minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def score(made: Made) -> str:
    """The out-of-fold score by the metric that ranks, with its interval, and what keeps it from being trusted."""
    metrics = made.metrics
    if metrics.get("unscored"):
        return f"unscored ({metrics['unscored']})"
    found = metrics["scores"][metrics["metric"]]
    interval = found.get("interval")
    between = f" ({interval[0]:.4f} to {interval[1]:.4f})" if interval else ""
    flags = str(flags_of_metrics(metrics))
    return f"{found['oof']:.5f}{between}{f'; {flags}' if flags else ''}"


def hardware(runs: Sequence[Made]) -> list[str]:
    """Once for all runs that were begun on one machine."""
    by_machine: dict[tuple[str, ...], list[str]] = {}
    for made in runs:
        if not made.combines:
            by_machine.setdefault(tuple(_machine(made)), []).append(made.name)
    return [f"- {', '.join(names)}: {'; '.join(lines)}" for lines, names in by_machine.items()]


def _machine(made: Made) -> list[str]:
    """The machine that a run was begun on, as it noted it then."""
    try:
        noted = made.run.read_made_with().get("machine")
    except CompError:
        noted = None
    if not noted:
        return [to_fill_in("the machine that it was trained on: processor, cores, memory, GPUs, system, Python")]
    memory = f", {noted['memory_gb']} GB of memory" if noted.get("memory_gb") else ""
    return [
        f"{noted['processor']}, {noted['cores']} cores{memory}",
        f"GPUs: {', '.join(noted['gpus']) or 'none of NVIDIA'}",
        f"{noted['system']}, Python {noted['python']}",
    ]


def folds(made: Made) -> list[str]:
    """Rows, epochs and time of each fold that was trained."""
    rows = []
    for number in made.run.done_folds():
        path = made.run.fold(number)
        facts = made.run.read_fold_metrics(number)
        rows.append([number, facts["rows"], _epochs(path / "history.csv"), minutes(facts["seconds"])])
    return table(["fold", "rows that it is scored on", "epochs", "time"], rows)


def _epochs(history: Path) -> str:
    if not history.is_file():
        return "–"
    with history.open(encoding="utf-8", newline="") as file:
        return str(sum(1 for _ in csv.DictReader(file)))


def outside(runs: Sequence[Made], after: str = "") -> list[str]:
    """What the runs have learned from beside the competition's data: weights, other data, generated images."""
    sources = dict.fromkeys(source for made in runs for source in _outside(made))
    told = [f"- From outside: {each}{after}" for each in sources]
    return told or ["- From outside the competition's data: nothing that the configurations name."]


def _outside(made: Made) -> list[str]:
    values = flat(made.config.model_dump(mode="json"))
    found = []
    if values.get("model.weights"):
        found.append(f"weights from {values['model.weights']}")
    elif values.get("model.pretrained"):
        found.append(f"pretrained weights of {values['model.backbone']}, from the hub")
    if values.get("pretrain.data"):
        found.append(f"data set for pretraining: {values['pretrain.data'].get('root', values['pretrain.data'])}")
    if values.get("synthetic.combined"):
        found.append(f"generated images that {values['synthetic.combined']} lists")
    return found


def golden(made: Made) -> str:
    """What `comp evaluate` found on the golden test set; "" where it was not asked."""
    path = made.run.path / "golden.json"
    if not path.is_file():
        return ""
    found = read_json(path, Golden, "run comp evaluate to write it again")
    each = found["scores"][found["metric"]]
    span = f"{each['low']:.4f} to {each['high']:.4f}"
    return f"golden test set of {found['rows']} rows: {found['metric']} {each['score']:.4f} ({span}); {found['looks']}"


def sent(name: str) -> Sent | None:
    """The last submission of what the run predicts now that has a score."""
    scored = [each for each in read_sent() if each.run == name and each.public and not is_of_before(each)]
    return scored[-1] if scored else None


def on_kaggle(made: Made) -> str:
    result = sent(made.name)
    if result is None:
        return "No score of Kaggle's is noted for it (comp submit --fetch)."
    private = f", private {result.private}" if result.private else ""
    return f"On Kaggle: public {result.public}{private} (submission {result.ref})."


def page(lines: Sequence[str]) -> str:
    return "\n".join([*lines, ""])

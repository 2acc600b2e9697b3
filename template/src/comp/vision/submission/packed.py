"""A run that is packed for a notebook: what it needs, what is settled before, and what writes the submission there.

`python -m comp.vision.submission.packed CONFIG key=value … --out FILE --predictions FILE …` writes the submission of
rows that `comp predict --images` has written: ids, order and columns are those of the sample submission in `data.root`.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from typing_extensions import TypedDict

from comp.config import load_config
from comp.config.load import members_of
from comp.errors import CompError, shown
from comp.kaggle.packing import Needs, Part
from comp.readback import read_json, reading
from comp.runs.elsewhere import run_with_models
from comp.runs.flags import flags_of
from comp.runs.predictions import read_oof, read_predictions
from comp.runs.rundir import RunDir
from comp.tables import Kind, Targets, asked_for
from comp.vision.data.sample_submission import read_sample, sample_file
from comp.vision.data.several import names_several
from comp.vision.data.sources import settled_root, test_source
from comp.vision.schema import Data, ImageConfig
from comp.vision.submission.decisions import Decision, decided
from comp.vision.submission.form import form_of
from comp.vision.submission.postprocess import postprocessed, postprocessed_alike
from comp.vision.submission.submit import fill, write_checked

SETTLED, OOF = Path("settled.json"), Path("oof.parquet")  # in the package
WAY_OUT = "run comp kaggle package again"


class Settled(TypedDict):
    """What the out-of-fold rows have decided, so that none of them is needed to write a submission."""

    kind: Kind
    classes: list[str]
    ordered: bool
    separator: str
    no_and_yes: list[str]
    thresholds: list[float] | None
    used: list[str]  # of submit.postprocess


def needs(config: ImageConfig) -> Needs:
    """What a notebook needs to predict other test rows as the run predicts its own.

    Raises:
        CompError: the run has no models, or none that `comp predict --images` could use as the run does.
    """
    root, markers, rows = _inputs(config.data)
    parts = [_part(name, config) for name in _predicting(config)]
    settled, oof = _settled(config)
    return Needs(
        parts=parts,
        modules=[__name__],
        root=root,
        markers=markers,
        option="--images",
        rows=rows,
        writer=__name__,
        files={SETTLED.name: json.dumps(settled, indent=2, ensure_ascii=False) + "\n", **oof},
    )


def write(config: ImageConfig, predictions: list[Path], out: Path) -> None:
    """Writes the submission of the mean of `predictions` to `out`, checked as `comp submit` checks its own.

    Raises:
        CompError: the predictions do not fit the sample submission.
    """
    settled: Settled = read_json(SETTLED, Settled, WAY_OUT)
    no, yes = settled["no_and_yes"]
    targets = Targets(settled["kind"], tuple(settled["classes"]), settled["ordered"], settled["separator"], (no, yes))
    table = _mean([_read(path, targets) for path in predictions], targets)
    sample, note = read_sample(config.data)
    form = form_of(sample, targets, config)
    oof = read_oof(OOF)[0] if OOF.is_file() else None
    table = postprocessed_alike(config, table, targets, oof, settled["used"])
    thresholds = settled["thresholds"]
    decision = Decision(targets, None if thresholds is None else np.array(thresholds))
    submission = fill(table, decision, sample, form, config)
    write_checked(out, submission, sample)
    print(f"{note}\nwrote   {out}: {len(submission)} rows, {form.about}")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description="Writes a packed run's submission.")
    parser.add_argument("words", nargs="+", metavar="CONFIG key=value")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--predictions", required=True, nargs="+", type=Path)
    given = parser.parse_args(arguments)
    try:
        write(load_config(Path(given.words[0]), given.words[1:]), given.predictions, given.out)
    except CompError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _inputs(data: Data) -> tuple[Path, list[str], str]:
    """The competition's folder here, files that it is known by, and what has its test rows.

    Raises:
        CompError: nothing that `comp predict --images` could read has them.
    """
    if data.reader != "auto":
        raise CompError(
            f"data.reader={data.reader} reads the test rows, and comp predict --images does not go through it: let "
            "data.test name a table or a folder, without a reader"
        )
    if data.test is None:
        raise CompError("there are no test images (data.test=null): a notebook would have nothing to predict")
    for key, place in (("test", data.test), ("sample_submission", data.sample_submission)):
        if Path(place).is_absolute():
            raise CompError(
                f"data.{key}={place}: a notebook has the competition's folder alone: name it as it is called within "
                f"data.root={data.root}"
            )
    data, _ = settled_root(data)
    root, sample = Path(data.root), sample_file(data)
    source = test_source(data, root)
    of_several = names_several(data.path if data.test_path == "auto" else data.test_path)
    rows = sample if source is None or (source.is_dir() and of_several and sample is not None) else source
    if rows is None:
        raise CompError("the test rows stand in the training table, and there is no sample submission: set data.test")
    markers = [path.relative_to(root).as_posix() for path in dict.fromkeys([sample, rows]) if path is not None]
    return root, markers, rows.relative_to(root).as_posix()


def _predicting(config: ImageConfig) -> list[str]:
    """The runs whose models predict: the run itself, or the members of which it is the plain mean.

    Raises:
        CompError: it combines others in a way that needs more than the mean of each one's folds.
    """
    run = RunDir.of(config)
    combines = run.read_metrics().get("combines") if run.metrics.is_file() else None
    has_models = any((run.fold(k) / "best.safetensors").is_file() for k in run.done_folds())
    if config.members and not run.metrics.is_file():
        names = ", ".join(str(member["name"]) for member in config.members)
        raise CompError(
            f"{config.name} has members: package one of them (member=… of {names}), or what combines them "
            f"(name={config.name}-blend)"
        )
    if has_models or not combines:
        return [config.name]
    if combines["kind"] != "mean":
        raise CompError(
            f"{run.path} is a {combines['kind']} of {shown(combines['members'], 12)}, fitted or made fold by fold, and "
            "comp predict --images gives each one's mean over folds: package one of them (name=…), or a blend with "
            "blend.kind=mean"
        )
    return list(combines["members"])


def _part(name: str, config: ImageConfig) -> Part:
    """The run `name`, as `config` or its member of that name says, else as the run itself says.

    Raises:
        CompError: it is no run with models.
    """
    known = {each.name: each for each in [*members_of(config), config.model_copy(update={"members": []})]}
    place = RunDir.of_name(name)
    if not (place.is_own and place.config.is_file()) and name != config.name:
        raise CompError(f"{name} of the blend is no run of this repository: only runs with models can be packed")
    one = known.get(name) or place.trained_config()
    run, _ = run_with_models(one)
    used = config.folds.use
    folds = [number for number in run.done_folds() if used == "all" or number in used]
    if not folds:
        raise CompError(f"{run.path} has none of the folds {', '.join(map(str, used))} trained (folds.use)")
    written_as = {key: getattr(config, key) for key in ("submit", "kaggle", "metric", "metrics")}
    return Part(one.model_copy(update=written_as), folds)


def _settled(config: ImageConfig) -> tuple[Settled, dict[str, Path | str]]:
    """What out-of-fold rows decide of the run, and these rows where corrections are fitted to them again."""
    run = RunDir.of(config)
    predictions, targets, _ = read_predictions(run.test)
    predictions = predictions[asked_for(predictions["id"])].reset_index(drop=True)
    sample, _ = read_sample(config.data)
    form = form_of(sample, targets, config)
    _, oof, steps = postprocessed(config, run, predictions, targets)
    decision = decided(config, run, form, targets, oof)
    thresholds = None if decision.thresholds is None else [float(value) for value in decision.thresholds]
    settled = Settled(
        kind=targets.kind,
        classes=list(targets.classes),
        ordered=targets.ordered,
        separator=targets.separator,
        no_and_yes=list(targets.no_and_yes),
        thresholds=thresholds,
        used=[step.name for step in steps if step.used],
    )
    fits = config.submit.postprocess and run.oof.is_file() and not flags_of(run).unscored
    return settled, {OOF.name: run.oof} if fits else {}


def _read(path: Path, targets: Targets) -> pd.DataFrame:
    """The predictions (id, p_<class>…) in a file that `comp predict --images` has written; its first column has ids."""
    with reading(path, "run comp predict again"):
        table = pd.read_parquet(path)
        table = table.rename(columns={table.columns[0]: "id"})
        return table[["id", *targets.columns]]


def _mean(tables: list[pd.DataFrame], targets: Targets) -> pd.DataFrame:
    first, *others = tables
    if any(not other["id"].equals(first["id"]) for other in others):
        raise CompError("the runs predict different rows: their data.test and data.path are not alike")
    p = np.mean([table[targets.columns].to_numpy(dtype=np.float64) for table in tables], axis=0)
    return first.assign(**dict(zip(targets.columns, p.T, strict=True)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

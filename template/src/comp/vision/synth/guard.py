"""`comp synth guard`: lets a generated image in only if it passes three gates, and if nothing golden is behind it."""

from pathlib import Path

import pandas as pd

from comp.errors import CompError
from comp.files import digest
from comp.files.lock import locked
from comp.tables import Targets
from comp.vision.data.combined import synth_folder
from comp.vision.data.competition import Competition, open_competition
from comp.vision.data.paths import all_paths, refuse_several
from comp.vision.data.sealed import read_sealed, write_sealed
from comp.vision.kinds import refuse_kind
from comp.vision.pixels import Decoding, Pixels, Streamed, open_pixels
from comp.vision.pixels.decoding import states
from comp.vision.schema import ImageConfig
from comp.vision.synth.classifier import judge_of
from comp.vision.synth.generated import no_images, read_generated, settings_of, with_their_data
from comp.vision.synth.judge import Candidates, judge, names_of
from comp.vision.synth.sheet import draw_sheet

# Who may shut an image out, in the order in which they are asked.
ORDER = ("unreadable", "label", "parent", "golden", "test", "structure", "meaning", "validation", "classifier")
AGAIN = "run comp synth guard again"
CHANGED = "comp synth guard wrote it"


def guard(config: ImageConfig, force: bool = False) -> Path:
    """Writes `synthetic.csv`, with scores and a verdict for each generated image, and a contact sheet of them.

    Verdicts that are there are kept unless something behind them changed; with `force`, all gates are asked again.

    Raises:
        CompError: labels are no classes, the run that judges is not trained, or a gate needs what is not installed.
    """
    settings_of(config)  # refuses at once
    folder = synth_folder(config)
    competition = open_competition(config)
    refuse_kind("comp synth", competition.tables.targets)
    refuse_several(competition.tables.train, "comp synth")
    table, notes = read_generated(config, competition.tables)
    print("\n".join(notes))
    made_of = _made_of(config, competition, table)
    path = synthetic_path(config)
    if not force and path.is_file() and made_of in read_synthetic(path)[1]:
        table = read_synthetic(path)[0]
        print(f"synth   {path} exists and fits: kept")
    else:
        with locked(folder, "synth guard"):
            pixels = _pixels(config, table["path"].tolist())
            judge(Candidates.of(config, competition, table, pixels))
            draw_sheet(table, pixels, competition, folder / "synthetic.png")
            written = table.assign(alike=table["alike"].map(" ".join))
            write_sealed(path, "synthetic", {"made_of": made_of}, written)
        print(f"wrote   {path}, {folder / 'synthetic.png'}")
    _tell(table, competition.tables.targets)
    return path


def nothing_generated(config: ImageConfig) -> str:
    """Why the steps of `comp synth` have nothing to do, in words; "" where there are generated images, or once were."""
    if config.synth is None or synthetic_path(config).is_file():
        return ""
    return no_images(config)


def synthetic_path(config: ImageConfig) -> Path:
    return synth_folder(config) / "synthetic.csv"


def read_synthetic(path: Path) -> tuple[pd.DataFrame, str]:
    """The verdicts as text, and what they were made of.

    Raises:
        CompError: there are none, or they were edited.
    """
    if not path.is_file():
        raise CompError(f"{path} does not exist: run comp synth guard")
    table, made_of, _ = read_sealed(path, "synthetic", CHANGED, AGAIN)
    return table, made_of


def verdicts(config: ImageConfig, competition: Competition) -> pd.DataFrame:
    """As `read_synthetic`.

    Raises:
        CompError: there are none, they were edited, or something behind them changed.
    """
    path = synthetic_path(config)
    table, made_of = read_synthetic(path)
    if _made_of(config, competition, table) not in made_of:
        raise CompError(f"{path} was made of other images, settings, folds or golden rows than there are now: {AGAIN}")
    return table


def _made_of(config: ImageConfig, competition: Competition, table: pd.DataFrame) -> str:
    """Names all that verdicts on the generated images `table` depend on."""
    settings = settings_of(config).model_dump(mode="json", exclude={"amount", "train"})  # those come after
    declared = table[["label", "parent"]].to_numpy().tolist()
    return digest([settings, states(table["path"].tolist()), declared, _behind(config, competition)])


def _behind(config: ImageConfig, competition: Competition) -> list[object]:
    """What they depend on besides the images: folds, golden set, test images, the models that judge."""
    tables, judge = competition.tables, settings_of(config).classifier
    golden = tables.golden.digest if tables.golden else None
    weights = []
    if judge is not None:
        run = judge_of(config, judge)
        weights = states([str(run.fold(k) / "best.safetensors") for k in run.done_folds()])
    test = states(all_paths(tables.test))
    return [competition.split.digest, golden, test, config.folds.near_duplicates, str(config.folds.use), weights]


def _pixels(config: ImageConfig, paths: list[str]) -> Pixels | Streamed:
    other = with_their_data(config, paths)
    folder = Path(str(other.data.work)) / "cache"
    return open_pixels(paths, folder, Decoding.of(other), other.data.cache, f"synth-{digest([other.data.root])}")


def _tell(table: pd.DataFrame, targets: Targets) -> None:
    """Counts by class: how many there are, who shut how many out, how many some model learns from."""
    gates = [gate for gate in ORDER if (table["gate"] == gate).any()]
    classes = [name for name in names_of(targets) if (table["target"] == name).any()]
    width = max(map(len, [*classes, "class"]))
    print(f"synth   {'class':{width}}  images  {'  '.join(gates)}{'  ' * bool(gates)}let in")
    for name in classes:
        own = table[table["target"] == name]
        counts = "".join(f"{int((own['gate'] == gate).sum()):{len(gate)}}  " for gate in gates)
        print(f"        {name:{width}}  {len(own):6}  {counts}{int((own['gate'] == '').sum()):6}")
    for why, count in table["why"][table["why"] != ""].value_counts().items():
        print(f"        {count} left out: {why}")

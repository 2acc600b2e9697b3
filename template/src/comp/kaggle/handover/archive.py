"""The pages at the top of a handover: README.md and entry_points.md, as Kaggle's guide for winners wants them."""

import shlex
from collections.abc import Sequence

from comp.kaggle.handover.chain import Handover, Made
from comp.kaggle.handover.facts import hardware, on_kaggle, outside, page, score, table, to_fill_in
from comp.tasks import command_called

ITSELF = "python -m pip install --no-deps -e ."


def readme(handover: Handover) -> str:
    """README.md: hardware, software, configurations, what the commands leave behind and take for granted."""
    last = handover.last
    files = [[f"configs/{made.name}.yaml", f"all keys of the run {made.name}"] for made in handover.runs]
    return page(
        [
            f"# {last.config.kaggle.competition or last.name}: the run {last.name}",
            "",
            f"Out of fold, {last.metrics['metric']} {score(last)}. {on_kaggle(last)}",
            "What the model is and what it brings: MODEL_SUMMARY.md. All commands in their order: entry_points.md.",
            *_section("Hardware and system", hardware(handover.runs)),
            *_section(
                "Software",
                ["Python packages in their versions: requirements.txt. Beside them, only a GPU's driver is needed."],
            ),
            *_section("Configuration files", table(["file", "what it is"], files)),
            "",
            "Folders are those of SETTINGS.json; `data.root=…` and `data.work=…` behind any command name others.",
            *_section("What the commands leave behind", LEFT),
            *_section("What is taken for granted", [*GRANTED, *outside(handover.runs)]),
        ]
    )


LEFT = [
    "- The competition's files are only read. `folds.csv` and decoded images go to `data.work`, else to `data.root`.",
    "- Each run has its folder in `runs/`. Finished folds are kept, and what was interrupted goes on.",
    "- `runs/leaderboard.csv` gets a line a run, `submissions/` a file a submission.",
]
GRANTED = [
    "- No run of these names and another configuration is in `runs/`: a command refuses to go on with one.",
    "- `folds.csv` is not there yet, or was written by `comp split` with these settings.",
]


def entry_points(handover: Handover) -> str:
    """entry_points.md: every command, in order."""
    first, last, configs = handover.runs[0], handover.last, handover.configs
    get = f"comp download {_path(configs, last)}"
    golden = [f"comp golden {_path(configs, first)}"] if handover.golden else []
    train = list(dict.fromkeys(line for made in handover.runs for line in made.typed(configs)))
    lost = [to_fill_in(f"how {name} was made, which is not here any more") for name in handover.gone]
    lost += [to_fill_in(f"the command that made {made.name}") for made in handover.runs if not made.command]
    return page(
        [
            "# Entry points",
            "",
            "To be typed in the repository's folder, in this order. What is there already is kept.",
            *_step("Packages", [f"python -m pip install -r {shlex.quote(handover.folder)}/requirements.txt", ITSELF]),
            *_step(
                f"The competition's files, into {last.config.data.root}",
                [get if last.config.kaggle.competition else "# by hand: the configuration names no competition"],
            ),
            *_step("The golden test set, and the folds", [*golden, f"comp split {_path(configs, first)}"]),
            *_step("Training, each run after those that it is made of", train),
            *[line for each in lost for line in ("", each)],
            *_step("The submission", [f"comp submit {_path(configs, last)}"]),
            *_new_rows(handover),
        ]
    )


def _new_rows(handover: Handover) -> list[str]:
    """Predictions of a new test set, by each run that has models of its own."""
    last = handover.last
    option, about = next(iter(command_called("predict", last.config.task).options.items()))
    value = about.partition(":")[0]
    able = [last] if _has_models(last) else [made for made in handover.runs if _has_models(made)]
    lines = [
        f"comp predict {_path(handover.configs, made)} --{option} {value} --out {shlex.quote(made.name)}.csv"
        for made in able
    ]
    told = [] if last in able else ["", f"{last.name} combines what they say: {last.combines.get('kind', '')}."]
    return [*_step(f"A new test set, {value}", lines), *told]


def _has_models(made: Made) -> bool:
    return any((made.run.fold(k) / "best.safetensors").is_file() for k in made.run.done_folds())


def _path(configs: str, made: Made) -> str:
    return shlex.quote(f"{configs}/{made.name}.yaml")


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", f"## {title}", "", *lines]


def _step(title: str, commands: Sequence[str]) -> list[str]:
    return _section(title, ["```sh", *commands, "```"])

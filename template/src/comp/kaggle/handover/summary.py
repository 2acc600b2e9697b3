"""MODEL_SUMMARY.md of a handover, in the sections of Kaggle's guide for winners."""

from collections.abc import Sequence

from comp.kaggle.handover.chain import Handover, Made
from comp.kaggle.handover.facts import (
    folds,
    golden,
    hardware,
    minutes,
    on_kaggle,
    outside,
    page,
    score,
    sent,
    table,
    to_fill_in,
)

ADDRESS = "https://www.kaggle.com/competitions/"


def summary(handover: Handover) -> str:
    """The whole page."""
    last, runs = handover.last, handover.runs
    who = to_fill_in("who you are, why you entered, how much time you spent, who did what")
    found = to_fill_in("what worked, what did not, and what others may not have seen")
    sections = {
        "A1. Competition and team": _team(last),
        "A2. Background": [who],
        "A3. Summary": _short(last),
        "A4. Data, and what comes from outside": outside(runs, f"; licence: {to_fill_in('its licence')}"),
        "A5. Training": _training(handover),
        "A6. What was interesting": [found],
        "A7. A simpler model": [_simpler(last, runs)],
        "A8. Time": _time(runs),
        "A9. References": _references(last),
    }
    return page(
        ["# Model summary", *[line for title in sections for line in ("", f"## {title}", "", *sections[title])]]
    )


def _team(last: Made) -> list[str]:
    competition, result = last.config.kaggle.competition, sent(last.name)
    return [
        f"- Competition: {ADDRESS + competition if competition else to_fill_in('the competition')}",
        f"- Private leaderboard score: {result.private if result and result.private else to_fill_in('private score')}",
        f"- Place: {to_fill_in('place')}",
        f"- Team, and the name, location and e-mail of each member: {to_fill_in('team')}",
    ]


def _short(last: Made) -> list[str]:
    recipe = last.config.recipe
    about = last.combines.get("kind") or last.config.about_model
    members = f" of {', '.join(last.combines['members'])}" if last.combines else ""
    return [
        f"{last.name}: {about}{members}. Out of fold, {last.metrics['metric']} {score(last)}. {on_kaggle(last)}",
        *([f"It began as the recipe “{recipe.title}”: {recipe.about}"] if recipe else []),
        to_fill_in("in four to six sentences, what matters most"),
    ]


def _training(handover: Handover) -> list[str]:
    last, runs = handover.last, handover.runs
    columns = ["run", "what it is", "made of", f"{last.metrics['metric']} out of fold (95 %)", "seed", "time"]
    lines = table(columns, [_row(made) for made in runs])
    lines += [
        line for name in handover.gone for line in ("", to_fill_in(f"the run {name}, which is not here any more"))
    ]
    lines += [
        "",
        f"Seeds: of each run as above (`seed`), of the folds {last.config.folds.seed} (`folds.seed`). The order of "
        "rows, augmentation and dropout are functions of seed, fold, epoch and row. A GPU may add up in another order: "
        "expect scores that agree closely, not to the last digit.",
    ]
    lines += _brings(last, runs)
    lines += [line for made in runs if (told := golden(made)) for line in ("", f"{made.name}, {told}.")]
    trained = [made for made in runs if made.command == "train"]
    return lines + [line for made in trained for line in ("", f"{made.name}, fold by fold:", "", *folds(made))]


def _row(made: Made) -> list[str]:
    about = made.combines.get("kind") or made.config.about_model
    of = ", ".join([*made.of, *(["generated images"] if made.is_augmented else [])])
    return [made.name, about, of or "–", score(made), str(made.config.seed), minutes(made.metrics["seconds"])]


def _brings(last: Made, runs: Sequence[Made]) -> list[str]:
    """What each member of a combination is worth by itself."""
    members = _members(last, runs)
    if not members:
        return []
    weights = dict(zip(last.combines["members"], last.combines.get("weights") or [], strict=False))
    rows = [[made.name, f"{weights[made.name]:.2f}" if made.name in weights else "–", score(made)] for made in members]
    report = last.run.path / "report.html"
    more = f" {report.as_posix()} has what is lost without each." if report.is_file() else ""
    about = f"What each member brings: alone, beside {score(last)} together.{more}"
    return ["", about, "", *table(["member", "weight", "alone"], rows)]


def _simpler(last: Made, runs: Sequence[Made]) -> str:
    members = _members(last, runs)
    if not members:
        return to_fill_in("what a smaller model, or fewer folds, would reach")
    alone = "; ".join(f"{made.name} alone has {score(made)}, in {minutes(made.metrics['seconds'])}" for made in members)
    return f"{alone}. Together: {score(last)}."


def _members(last: Made, runs: Sequence[Made]) -> list[Made]:
    return [made for made in runs if last.combines and made.name in last.of]


def _time(runs: Sequence[Made]) -> list[str]:
    return [
        f"- Training, all runs together: {minutes(sum(made.metrics['seconds'] for made in runs))}, on",
        *[f"  {line}" for line in hardware(runs)],
        f"- Prediction of the test set: {to_fill_in('how long it takes')}",
    ]


def _references(last: Made) -> list[str]:
    recipe = last.config.recipe
    return [
        *([f"- {source}" for source in recipe.sources] if recipe else []),
        f"- {to_fill_in('papers, notebooks and code that you used')}",
    ]

"""Makes of train.py's raw figures a table, a picture and a verdict on each target."""

import math
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

from measure import headline, markdown_table, median

Case = tuple[str, str, bool]  # model, precision, compiled
Runs = dict[Case, dict[str, list[dict[str, Any]]]]  # … → contender → its runs
NAMES = {
    "ours": "this engine",
    "ours-cpu": "this engine, augmenting on the CPU",
    "ours-device": "this engine, augmenting on the device",
    "ours-2": "this engine, in two processes",
    "timm": "timm's loader and loop",
    "hf": "transformers' Trainer",
    "synthetic": "synthetic tensors",
    "synthetic-plain": "synthetic tensors, the system's allocator",
}
COLORS = {"ours": "#1b7f5c", "timm": "#c8793a", "hf": "#8a6bb1", "synthetic": "#b9bec4", "synthetic-plain": "#d8dbde"}
TIMES_TIMM = {  # on the CPU; 1.0: no model behind
    ("mobilenetv3_small_050", "fp32"): 2.5,
    ("mobilenetv3_small_050", "bf16"): 2.5,
    ("resnet18", "fp32"): 1.2,
    ("resnet18", "bf16"): 1.2,
    ("convnext_atto", "bf16"): 1.3,
}
OF_SYNTHETIC = {"cpu": 0.97, "cuda": 0.95}


def line_of(number: int, figures: dict[str, Any]) -> str:
    """One run as a line on the terminal."""
    case = f"round {number + 1}  {_title(_case(figures))}  {figures['contender']:<11}"
    if "error" in figures:
        return f"{case} FAILED {figures['error']}"
    first, later = _first(figures), _later(figures)
    memory = f"{figures['pss_mb'] / 1000:.2f} GB PSS, {figures['rss_mb'] / 1000:.2f} GB RSS"
    accuracy = figures["epochs"][-1]["accuracy"]
    right = "" if accuracy is None else f"  accuracy {accuracy:.3f}"
    return f"{case} {later:7.0f} images/s (first epoch {first:.0f})  {figures['wall_s']:.0f} s  {memory}{right}"


def write_report(sessions: list[dict[str, Any]], out: Path) -> list[str]:
    """Writes train.md and train.png into `out` and returns the lines of the former."""
    runs: Runs = defaultdict(lambda: defaultdict(list))
    for session in sessions:
        for figures in session["runs"]:
            if "error" not in figures:
                runs[_case(figures)][figures["contender"]].append(figures)
    latest = sessions[-1]
    lines = [line for session in sessions for line in headline(session)]
    measured = [each for contenders in runs.values() for found in contenders.values() for each in found]
    images = " or ".join(str(number) for number in sorted({each["epochs"][0]["images"] for each in measured}))
    sides = " to ".join(str(side) for side in sorted(set(latest["image_px"])))
    lines += [
        f"{latest['size_px']} px from JPEGs of {sides} px, batch {latest['batch_size']}, {latest['epochs']} epochs of "
        f"{images} images; {latest['workers']} workers for the peers. Medians over the runs. images/s: "
        "in training, after the first epoch, without validation. Wall time: the whole process with start-up, decoding "
        "and validation. Memory: the peak of the sum over all processes, as PSS (a page that several share counts "
        "once) and as RSS (it counts in each). Accuracy: of the validation images after the last epoch, mean ± "
        "standard deviation.",
        "",
        *_table(runs),
        "",
        *_targets(runs, latest["device"]),
    ]
    (out / "train.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if runs:
        _draw(runs, out / "train.png")
    return lines


def _table(runs: Runs) -> list[str]:
    with_gpu = any("gpu_memory_mb" in each for case in runs.values() for name in case.values() for each in name)
    header = ["model", "", "images/s", "to timm's", "to synthetic", "first epoch", "wall s", "PSS GB", "RSS GB"]
    header += ["accuracy", "runs", *(["GPU idle", "GPU memory GB"] if with_gpu else [])]
    rows = []
    for case, contenders in runs.items():
        for contender, found in contenders.items():
            rows.append(
                [
                    _title(case),
                    NAMES[contender],
                    f"{_speed(found):.0f}",
                    _ratio(_speed(found), _speed(contenders.get("timm", []))),
                    _ratio(_speed(found), _speed(contenders.get("synthetic", []))),
                    f"{median([_first(each) for each in found]):.0f}",
                    f"{median([each['wall_s'] for each in found]):.1f}",
                    f"{_memory(found):.2f}",
                    f"{_memory(found, 'rss_mb'):.2f}",
                    ""
                    if contender.startswith("synthetic")
                    else _mean_and_deviation([_accuracy(each) for each in found]),
                    str(len(found)),
                ]
            )
            if with_gpu:
                idle = [100 - each["gpu_busy_percent"] for each in found if each.get("gpu_busy_percent") is not None]
                used = [each["gpu_memory_mb"] / 1000 for each in found if "gpu_memory_mb" in each]
                rows[-1] += [f"{median(idle):.0f} %", f"{median(used):.1f}"]
    return markdown_table(header, rows)


def _targets(runs: Runs, device: str) -> list[str]:
    """A table of what was wanted and whether it was reached."""
    rows = []
    for case, contenders in runs.items():
        timm, synthetic = contenders.get("timm", []), contenders.get("synthetic", [])
        for contender in (name for name in contenders if name.startswith("ours")):
            ours = contenders[contender]
            faster = TIMES_TIMM.get(case[:2], 1.0) if device == "cpu" else 1.0
            rows.append(
                [
                    _title(case),
                    NAMES[contender],
                    _verdict(_speed(ours) / _speed(timm), at_least=faster),
                    _verdict(_speed(ours) / _speed(synthetic), at_least=OF_SYNTHETIC[device]),
                    *(
                        _verdict(_memory(ours, kind) / _memory(timm, kind), at_most=0.5)
                        for kind in ("pss_mb", "rss_mb")
                    ),
                    _verdict_on_accuracy(ours, timm),
                ]
            )
    header = ["target", "", "speed to timm's", "to synthetic", "PSS to timm's", "RSS to timm's", "accuracy to timm's"]
    return markdown_table(header, rows)


def _verdict(value: float, at_least: float | None = None, at_most: float | None = None) -> str:
    if math.isnan(value):
        return "not measured"
    met = value >= at_least if at_least is not None else value <= (at_most or 0)
    wanted = f"≥ {at_least}" if at_least is not None else f"≤ {at_most}"
    return f"{'✓' if met else '✗'} {value:.3f} ({wanted})"


def _verdict_on_accuracy(ours: list[dict[str, Any]], timm: list[dict[str, Any]]) -> str:
    """No worse: not below by more than twice the standard error of the difference of the means over seeds."""
    mine, theirs = ([_accuracy(each) for each in found] for found in (ours, timm))
    if len(mine) < 2 or len(theirs) < 2:
        return "not measured: needs two seeds"
    difference = statistics.mean(mine) - statistics.mean(theirs)
    error = math.sqrt(statistics.variance(mine) / len(mine) + statistics.variance(theirs) / len(theirs))
    return f"{'✓' if difference >= -2 * error else '✗'} {difference:+.3f} (standard error {error:.3f})"


def _draw(runs: Runs, path: Path) -> None:
    """Two panels of bars, one group a case: speed relative to timm's loop, memory."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    cases = list(runs)
    contenders = [name for name in NAMES if any(name in runs[case] for case in cases)]
    height = 0.8 / len(contenders)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(12, 1.2 + 0.21 * len(contenders) * len(cases)), sharey=True, layout="constrained"
    )
    for place, name in enumerate(contenders):
        at = [number + (place - (len(contenders) - 1) / 2) * height for number in range(len(cases))]
        color = {"color": COLORS.get(name, "#6fb59c" if name == "ours-device" else "#1b7f5c")}
        found = [runs[case].get(name, []) for case in cases]
        timm = [_speed(runs[case].get("timm", [])) for case in cases]
        speed = [_speed(each) for each in found]
        share = [mine / theirs for mine, theirs in zip(speed, timm, strict=True)]
        bars = left.barh(at, share, height * 0.92, label=NAMES[name], **color)
        left.bar_label(bars, [f" {each:.0f}" if math.isfinite(each) else "" for each in speed], fontsize=8)
        if not name.startswith("synthetic"):
            memory = [_memory(each) for each in found]
            bars = right.barh(at, memory, height * 0.92, **color)
            right.bar_label(bars, [f" {each:.1f}" if math.isfinite(each) else "" for each in memory], fontsize=8)
    left.set_title("Training speed, relative to timm's loop (labels: images/s)", fontsize=10, loc="left")
    right.set_title("Peak memory of all processes (PSS), GB", fontsize=10, loc="left")
    left.axvline(1, color="#888888", linewidth=0.8, linestyle=":")
    left.set_yticks(range(len(cases)), [_title(case) for case in cases])
    left.set_ylim(len(cases) - 0.4, -0.6)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.1)
        axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside lower center", ncols=len(contenders), frameon=False, fontsize=9)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _case(figures: dict[str, Any]) -> Case:
    return figures["model"], figures["precision"], figures["compile"]


def _title(case: Case) -> str:
    model, precision, compiled = case
    return f"{model} {precision}{', compiled' if compiled else ''}"


def _rate(epochs: list[dict[str, float]]) -> float:
    return sum(epoch["images"] for epoch in epochs) / sum(epoch["seconds"] for epoch in epochs)


def _first(figures: dict[str, Any]) -> float:
    return _rate(figures["epochs"][:1])


def _later(figures: dict[str, Any]) -> float:
    """Images/s in the steady state: all epochs but the first."""
    return _rate(figures["epochs"][1:] or figures["epochs"])


def _accuracy(figures: dict[str, Any]) -> float:
    return figures["epochs"][-1]["accuracy"]


def _speed(found: list[dict[str, Any]]) -> float:
    return median([_later(each) for each in found])


def _memory(found: list[dict[str, Any]], kind: str = "pss_mb") -> float:
    return median([each[kind] / 1000 for each in found])


def _ratio(value: float, to: float) -> str:
    return f"{value / to:.2f}" if math.isfinite(to) else ""


def _mean_and_deviation(values: list[float]) -> str:
    deviation = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{deviation}"

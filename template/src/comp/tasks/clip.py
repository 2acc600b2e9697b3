"""CLIP: images told apart by what their classes are called, fine-tuned on both."""

from comp.tasks import Command, Task, usual
from comp.tasks.vision import COMMANDS, OTHERS, REGISTERS

WORDS = {"labels": "NAME …: classify by these words instead of the classes; without a trained run, zero-shot"}
OWN = {
    "demo-data": usual.demo_data("comp.clip.demo:write_demo"),
    "predict": usual.predict(
        "comp.clip.inference.predict:predict", "other views (TTA), or other images", {**OTHERS, **WORDS}
    ),
}
ZEROSHOT = Command(
    "comp.clip.inference.zeroshot:zeroshot",
    "predict before any training, from the classes' names alone; accuracy by class and by prompt",
    next="train",
    launches=True,
    beside="comp.clip.inference.zeroshot:untrained",
)
INTERPOLATE = Command(
    "comp.clip.inference.interpolate:interpolate",
    "mix zero-shot and fine-tuned weights (WiSE-FT), one share for all folds, chosen out of fold",
    next="submit",
    step="models",
    launches=True,
    makes="comp.clip.inference.interpolate:interpolated",
    suffix="-interpolated",
)


def commands() -> dict[str, Command]:
    """Those of all image tasks, CLIP's own among them in the order in which they are used."""
    found: dict[str, Command] = {}
    for name, command in COMMANDS.items():
        before = {"zeroshot": ZEROSHOT} if name == "train" else {"interpolate": INTERPOLATE} if name == "blend" else {}
        found |= {**before, name: OWN.get(name, command)}
    return found


TASK = Task("comp.clip.schema:ClipConfig", commands(), {**REGISTERS, "loss": (*REGISTERS["loss"], "comp.clip.losses")})

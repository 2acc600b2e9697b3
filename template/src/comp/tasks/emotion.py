"""Facial emotion: an image task with demo data of its own."""

from dataclasses import replace

from comp.tasks import Task, usual
from comp.tasks.vision import COMMANDS, REGISTERS

TASK = Task(
    "comp.vision.schema:ImageConfig",
    {
        **COMMANDS,
        "demo-data": usual.demo_data("comp.emotion.demo:write_demo"),
        "check": replace(COMMANDS["check"], next="golden"),  # which comes before the folds
    },
    REGISTERS,
)

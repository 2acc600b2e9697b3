"""Image classification: one class, two, or several labels per image."""

from comp.tasks import Task
from comp.tasks.vision import COMMANDS, REGISTERS

TASK = Task("comp.vision.schema:ImageConfig", COMMANDS, REGISTERS)

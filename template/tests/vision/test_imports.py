"""Which commands wait for no network: whatever custom.py imports, they themselves need neither torch nor timm."""

import os
import subprocess
import sys

from support import SOURCE
from vision.small import SMALL

# Of `kaggle package` too: what the code of a package imports goes along as wheels.
COMMANDS = ["split", "golden", "submit", "score", "evaluate", "compare", "board", "report", "kaggle package", "blend"]
LARGE = {"torch", "torchvision", "timm", "accelerate", "transformers", "lightgbm"}
CODE = """
import sys, types
from importlib import import_module
sys.modules["comp.custom"] = types.ModuleType("comp.custom")  # the user's may import anything
from comp.tasks import command_called, imported, task_called
for name in COMMANDS:
    imported(command_called(name, TASK).run)
for kind in ("metric", "postprocess"):
    for module in task_called(TASK).registers[kind]:
        import_module(module)
print(*sys.modules)
"""


def test_commands_that_read_predictions_wait_for_no_network():
    code = f"COMMANDS, TASK = {COMMANDS}, {SMALL['task']!r}\n{CODE}"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert LARGE & set(done.stdout.split()) == set()

"""`comp kaggle package`: all that an offline code competition needs, and with --dry-run the proof that it is all."""

import shlex
from collections.abc import Callable

from comp.config import Experiment
from comp.kaggle.packing.dry_run import dry_run as run_dry
from comp.kaggle.packing.needs import Needs
from comp.kaggle.packing.pack import GB, Package, pack, size_of
from comp.kaggle.publish import publish_dataset, push_notebook


def package(
    needs_of: Callable[[Experiment], Needs], config: Experiment, dry_run: bool = False, push: bool = False
) -> int:
    """Packs what `needs_of`, the task's own part, says of the run; the exit status. `push` uploads it.

    Raises:
        CompError: it cannot be packed, or the dry run fails; the line says what is missing.
    """
    needs = needs_of(config)
    made = pack(config, needs)
    folds = {part.config.name: len(part.folds) for part in needs.parts}
    what = ", ".join(f"{name} ({count} folds)" for name, count in folds.items())
    print(f"packed  {what}: {size_of(made.dataset) / GB:.3g} GB of kaggle.dataset_gb={config.kaggle.dataset_gb:g}")
    carried = [f"{each.package} {each.version}" for each in made.imports if each.carried]
    print(f"wheels  {', '.join(carried) or 'none'}; the notebook installs those that are missing there")
    print(f"wrote   {made.dataset}, {made.notebook}", flush=True)
    if dry_run:
        run_dry(made, needs.root, config.kaggle)
    else:
        print("note    comp kaggle package --dry-run runs the notebook here, without a network, under Kaggle's limits")
    if push:
        push_package(made, config)
        return 0
    print(f"next    kaggle datasets create -p {made.dataset.as_posix()} -r zip")
    print(f"        kaggle kernels push -p {made.notebook.as_posix()}")
    return 0


def push_package(made: Package, config: Experiment) -> None:
    """Uploads the dataset, then saves and runs the notebook, and tells how its output is sent.

    Raises:
        CompError: Kaggle refuses one of them.
    """
    dataset = f"{made.owner}/{made.dataset_slug}"
    publish_dataset(made.dataset, dataset, f"comp kaggle package {config.name}")
    print(f"pushed  https://www.kaggle.com/datasets/{dataset}", flush=True)
    notebook = push_notebook(made.notebook, int(3600 * config.kaggle.hours))
    print(f"pushed  {notebook.page}: once it has run there, its output can be sent")
    words = f"--kernel {notebook.ref} --version {notebook.version or 'N'}"
    print(f"next    comp submit --send {words} -m 'what is new' name={shlex.quote(config.name)}")

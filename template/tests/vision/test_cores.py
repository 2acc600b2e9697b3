"""A process counts the cores that it may use, not those that the machine has: under Slurm or taskset they are fewer."""

import os

import pytest

from comp.distributed.accelerator import accelerator_for
from comp.distributed.processes import cores
from comp.vision.batches import workers_for
from comp.vision.folds.jobs import share_of_this_machine


@pytest.fixture
def one_core(monkeypatch):
    """Of this machine's cores, this process may use one."""
    for name in ("LOCAL_WORLD_SIZE", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    if hasattr(os, "sched_setaffinity"):
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(allowed)})
        yield
        os.sched_setaffinity(0, allowed)
    else:
        pytest.skip("this system does not tell processes which cores they may use")


def test_loader_workers_and_threads_are_as_many_as_the_cores_that_a_process_may_use(one_core, configure):
    config = configure()
    assert cores() == 1
    assert workers_for(config, accelerator_for(config), streamed=True) == 1
    assert share_of_this_machine("0", 1)["OMP_NUM_THREADS"] == "1"


def test_processes_of_one_machine_share_its_cores(monkeypatch):
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    alone = cores()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert cores() == max(1, alone // 2)

"""An experiment with members is several: each command that trains or predicts goes through them."""

import functools
from collections.abc import Callable
from typing import Any

from comp.config import Experiment
from comp.config.load import members_of


def for_each_member(command: Callable[..., int]) -> Callable[..., int]:
    """`command(config, arguments, …)` for each member in turn, until one fails; once where there are none."""

    @functools.wraps(command)
    def for_all(config: Experiment, arguments: list[str], *others: Any, **options: Any) -> int:
        if not config.members:
            return command(config, arguments, *others, **options)
        for member, each in zip(config.members, members_of(config), strict=True):
            print(f"\n-- {each.name}", flush=True)
            status = command(each, [*arguments, f"member={member['name']}"], *others, **options)
            if status:
                return status
        return 0

    return for_all

"""One seed from several numbers."""

import numpy as np


def seed_of(*numbers: int) -> int:
    """The same for the same numbers. Nothing random depends on what was drawn before: no generator needs saving."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))

"""The engine and its bound in one process, in turns: after each epoch of `comp train`, as many bare steps.

They stand in the place of the validation. What is written as the epochs are theirs and the engine's in turn.
"""

from pathlib import Path

import ours
from common import Clock, Settings, engine, main
from synthetic import bare_step


def train(settings: Settings, folder: Path) -> Clock:
    competition = ours.write_competition(settings, folder)
    images = len(list((Path(settings.data) / "by_class" / "train").glob("*/*")))
    updates = images // settings.batch_size
    bound = Clock(settings.device)
    step = None

    def bare_steps() -> None:
        nonlocal step
        step = step or bare_step(settings)
        bound.start()
        for _ in range(updates):
            step(settings.lr)
        bound.stop(updates * settings.batch_size)

    engine.train_with(competition, bare_steps)
    pairs = zip(bound.epochs, ours.epochs_of(settings, competition), strict=True)
    bound.epochs = [epoch for pair in pairs for epoch in pair]
    return bound


if __name__ == "__main__":
    main(train)

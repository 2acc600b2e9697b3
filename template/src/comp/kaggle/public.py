"""`comp board --fetch`: the public scores of what was sent from here go into the leaderboard, then it is shown."""

from collections.abc import Callable, Sequence

from comp.kaggle.sent import Sent, fetch_scores, is_of_before
from comp.runs.leaderboard import note_public


def board(show: Callable[..., None], words: Sequence[str], fetch: bool = False, public: Sequence[str] = ()) -> None:
    """Fetches scores if asked to, and shows the leaderboard with the task's own `show`.

    Raises:
        CompError: Kaggle does not answer, or whatever `show` has to say.
    """
    if fetch and not words:
        _note(fetch_scores())
    show(words, public)


def _note(every: Sequence[Sent]) -> None:
    """Puts each run's last score of what it predicts now into its line; tells what has none, and why."""
    if not every:
        print("public  nothing was sent from here yet: comp submit --send -m MESSAGE")
    last = {each.run: each for each in every if each.public}
    own: dict[str, Sent] = {}  # of what a run predicts now
    for each in reversed(every):
        if each.public and each.run not in own and not is_of_before(each):
            own[each.run] = each
    last |= own
    known = note_public({name: each.public for name, each in own.items()})
    for name, each in last.items():
        gone = "" if name in known else ", of a run that the leaderboard does not have"
        why_not = ", not noted: the run predicts something else since" if name not in own else gone
        print(f"public  {name} {each.public} (submission {each.ref}{why_not})")
    for each in every:
        if not each.public:
            print(f"public  {each.run} – (submission {each.ref}: {each.status})")

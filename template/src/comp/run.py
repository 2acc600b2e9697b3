"""`comp run`: the steps that the configuration names, one after the other. Each skips what it has done already."""

from comp.config import Config
from comp.errors import CompError
from comp.launch import is_launched
from comp.report import report
from comp.repredict import repredict
from comp.score_submission import score_submission
from comp.split import split
from comp.submit import submit
from comp.train import train


def run(config: Config, arguments: list[str]) -> int:
    """Runs `config.steps`; a failing step ends it. `arguments` are the configuration file and the overrides."""
    if is_launched():
        raise CompError("start comp run by itself: it launches its own processes. Under a launcher, use comp train")
    for step in config.steps:
        print(f"\n== {step}", flush=True)
        if step == "split":
            split(config)
        elif step == "train":
            status = train(config, ["train", *arguments])
            if status:
                return status
        elif step == "predict":
            status = repredict(config, ["predict", *arguments])
            if status:
                return status
        elif step == "submit":
            submit(config)
        elif step == "score":
            score_submission(config)
        elif step == "report":
            report(config)
    return 0

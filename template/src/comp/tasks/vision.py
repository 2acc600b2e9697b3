"""What tasks that look at images share: their commands, and the modules that register parts."""

from comp.tasks import Command

REGISTERS = ("comp.vision.metrics", "comp.vision.training.losses", "comp.vision.model.heads")
COMMANDS = {
    "demo-data": Command(
        "comp.vision.demo:write_demo",
        "write a small demo competition into data.root, offline",
        next="run",
        step=None,
        config="conf/demo.yaml",
    ),
    "split": Command(
        "comp.vision.folds.split:split",
        "write folds.csv, once for all runs",
        flags={"force": "rebuild folds.csv even if it exists"},
        next="train",
        step="experiment",
    ),
    "cache": Command(
        "comp.vision.data.cache:cache",
        "decode all images ahead of training; comp train does it by itself",
        next="train",
        step="members",
    ),
    "pretrain": Command(
        "comp.vision.training.pretrain:pretrain",
        "train on another data set first (pretrain:); every fold starts from these weights",
        next="train",
        step="experiment",
        needs="pretrain",
        launches=True,
    ),
    "train": Command(
        "comp.vision.training.train:train",
        "train the folds (folds=[0,2]: some of them), or resume them; write out-of-fold and test predictions",
        flags={"fresh": "remove what this run has trained so far"},
        next="submit",
        step="experiment",
        launches=True,
    ),
    "predict": Command(
        "comp.vision.inference.predict_again:predict_again",
        "predict again from the checkpoints: other views (TTA), new test images",
        next="submit",
        step="experiment",
        launches=True,
    ),
    "pseudo": Command(
        "comp.vision.training.pseudo:pseudo",
        "retrain with confident test predictions as pseudo-labels",
        next="blend",
        step="experiment",
        makes="comp.vision.training.pseudo:students",
    ),
    "blend": Command(
        "comp.vision.ensemble.combine:blend",
        "combine runs by a mean or by weights",
        next="submit",
        step="combination",
    ),
    "stack": Command(
        "comp.vision.ensemble.combine:stack",
        "combine runs, and features of the images, by a learned combiner (LightGBM)",
        next="submit",
        step="combination",
    ),
    "soup": Command(
        "comp.vision.ensemble.soup:soup",
        "average the weights of runs, fold by fold (model soup)",
        next="submit",
        step=None,
        launches=True,
    ),
    "submit": Command(
        "comp.vision.submission.submit:submit", "write the submission, checked against the sample submission"
    ),
    "score": Command(
        "comp.vision.submission.score:score_submission", "score the submission against a local solution.csv"
    ),
    "report": Command("comp.vision.report.report:report", "write one HTML page about the run, its plots beside it"),
}

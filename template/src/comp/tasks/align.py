"""Embedding alignment: from a text's embedding to its image's."""

from comp.tasks import Command, Task

COMMANDS = {
    "demo-data": Command(
        "comp.align.demo:write_demo",
        "write a small demo competition into data.root, offline",
        next="run",
        step=None,
        config="conf/demo.yaml",
    ),
    "split": Command(
        "comp.align.data.pairs:split",
        "write folds.csv, once for all runs",
        flags={"force": "rebuild folds.csv even if it exists"},
        next="train",
        step="experiment",
    ),
    "train": Command(
        "comp.align.training.train:train",
        "train the folds (folds=[0,2]: some of them), or resume them; write out-of-fold and test predictions",
        flags={"fresh": "remove what this run has trained so far"},
        next="submit",
        step="experiment",
        launches=True,
    ),
    "predict": Command(
        "comp.align.training.predict_again:predict_again",
        "predict again from the checkpoints, such as for new test captions",
        next="submit",
        step="experiment",
        launches=True,
    ),
    "verify": Command(
        "comp.align.report.verify:verify_run",
        "compare predictions with the truth, random and shuffled pairs, and simple baselines, in several galleries",
    ),
    "blend": Command(
        "comp.align.submission.blend:blend",
        "average the directions of several runs into one more run",
        next="submit",
        step="combination",
    ),
    "submit": Command(
        "comp.align.submission.submit:submit", "write the submission, checked against the sample submission"
    ),
    "score": Command(
        "comp.align.submission.score:score_submission", "score the submission against a local solution.npz"
    ),
    "report": Command("comp.align.report.report:report", "write one HTML page about the run, its plots beside it"),
}
TASK = Task("comp.align.schema:AlignConfig", COMMANDS, ("comp.align.ranking.metrics",))

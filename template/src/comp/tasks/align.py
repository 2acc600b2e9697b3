"""Embedding alignment: from a text's embedding to its image's."""

from comp.tasks import Command, Task, usual

OTHERS = {
    "captions": "NPZ: predict these captions instead, by all folds of the run, which stays as it is",
    "out": "FILE: the CSV, parquet or npz that their predictions are written to",
}
COMMANDS = {
    "demo-data": usual.demo_data("comp.align.demo:write_demo"),
    "download": usual.download(),
    "unpack": usual.unpack(),
    "check": usual.check(
        "comp.align.check:check", "captions that repeat, images without, drift, what the submission wants"
    ),
    "split": usual.split("comp.align.data.pairs:split"),
    "train": usual.train("comp.align.training.train:train"),
    "kaggle train": usual.kaggle_train(),
    "predict": usual.predict("comp.align.submission.predict_captions:predict", "its own captions, or others", OTHERS),
    "verify": Command(
        "comp.align.report.verify:verify_run",
        "compare predictions with the truth, random and shuffled pairs, and simple baselines, in several galleries",
        step="result",
    ),
    "blend": Command(
        "comp.align.submission.blend:blend",
        "average the directions of several runs into one more run",
        next="submit",
        step="combination",
    ),
    "compare": usual.compare(
        "comp.align.report.compare:compare",
        "compare two or more runs out of fold: are the differences statistically real?",
    ),
    "board": usual.board("comp.align.report.compare:board"),
    "submit": usual.submit("comp.align.submission.submit:submit"),
    "score": usual.score("comp.align.submission.score:score_submission", "solution.npz"),
    "report": usual.report("comp.align.report.report:report"),
    "handover": usual.handover(),
}
TASK = Task("comp.align.schema:AlignConfig", COMMANDS, {"metric": ("comp.align.ranking.metrics",)})

"""What tasks that look at images share: their commands, and the modules that register parts, by their kind."""

from comp.tasks import Command, usual

REGISTERS = {
    "metric": ("comp.vision.metrics",),
    "loss": ("comp.vision.training.losses",),
    "head": ("comp.vision.model.heads", "comp.vision.model.pooling"),
    "postprocess": ("comp.vision.submission.corrections",),
}
OTHERS = {
    "images": "FOLDER_OR_TABLE: predict these images instead, by all folds of the run, which stays as it is",
    "out": "FILE: the CSV or parquet that their predictions are written to",
}
NOT_GENERATED = "comp.vision.synth.guard:nothing_generated"
COMMANDS = {
    "demo-data": usual.demo_data("comp.vision.demo:write_demo"),
    "download": usual.download(),
    "unpack": usual.unpack(),
    "check": usual.check(
        "comp.vision.check.check:check", "unreadable images, duplicates, label conflicts, leaks, drift of the test set"
    ),
    "golden": Command(
        "comp.vision.golden.take:golden",
        "set images of each class aside as a golden test set, once, before anything else",
        next="split",
    ),
    "split": usual.split("comp.vision.folds.split:split"),
    "cache": Command(
        "comp.vision.data.cache:cache",
        "decode all images ahead of training; comp train does it by itself",
        next="train",
        step="members",
    ),
    "forecast": Command(
        "comp.vision.forecast.forecast:forecast",
        "time some batches here; predict time and memory of training and inference, and whether they fit (limits:)",
        next="train",
        launches=True,
    ),
    "pretrain": Command(
        "comp.vision.training.pretrain:pretrain",
        "train on another data set first (pretrain:); every fold starts from these weights",
        next="train",
        needs="pretrain",
        launches=True,
    ),
    "tune": Command(
        "comp.vision.tuning.tune:tune",
        "try a few values per key (tune:) on some folds; report the best, and the score to expect on unseen rows",
        next="train",
        step=None,
        launches=True,
    ),
    "train": usual.train("comp.vision.training.train:train"),
    "kaggle train": usual.kaggle_train(),
    "predict": usual.predict(
        "comp.vision.inference.predict_folder:predict", "other views (TTA), or other images", OTHERS
    ),
    "pseudo": Command(
        "comp.vision.training.pseudo:pseudo",
        "retrain with confident test predictions as pseudo-labels",
        next="blend",
        makes="comp.vision.training.pseudo:students",
        suffix="-pseudo",
    ),
    "synth plan": Command(
        "comp.vision.synth.plan:plan",
        "count how many generated images each class lacks to be balanced",
        next="synth guard",
        idle=NOT_GENERATED,
    ),
    "synth guard": Command(
        "comp.vision.synth.guard:guard",
        "judge generated images (synth:): structure, meaning, classifier, nothing golden behind them",
        flags={"force": "judge all images again, for example after a model could not be reached"},
        next="synth combine",
        idle=NOT_GENERATED,
    ),
    "synth combine": Command(
        "comp.vision.synth.combine:combine",
        "merge the real images and the generated ones that passed, under one list of classes",
        next="synth train",
        idle=NOT_GENERATED,
    ),
    "synth train": Command(
        "comp.vision.training.augmented:synth_train",
        "train the experiment once more, with the generated images",
        next="compare",
        idle=NOT_GENERATED,
        makes="comp.vision.training.augmented:experiments",
        suffix="-augmented",
    ),
    "blend": Command(
        "comp.vision.ensemble.combine:blend", "combine runs by a mean or by weights", next="submit", step="combination"
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
    "evaluate": Command(
        "comp.vision.golden.evaluate:evaluate",
        "score the run on the golden test set; golden_log.csv notes each look",
        step="result",
        counts=True,
    ),
    "compare": usual.compare(
        "comp.vision.report.compare:compare",
        "compare two or more runs, out of fold and on golden images: are the differences statistically real?",
    ),
    "board": usual.board("comp.vision.report.board:board"),
    "submit": usual.submit("comp.vision.submission.submit:submit"),
    "kaggle package": usual.kaggle_package("comp.vision.submission.packed:needs"),
    "score": usual.score("comp.vision.submission.score:score_submission", "solution.csv"),
    "report": usual.report("comp.vision.report.report:report"),
    "handover": usual.handover(),
}

"""Commands that every task has in the same words; what carries them out is the task's own."""

from collections.abc import Mapping

from comp.tasks import Command


def demo_data(run: str) -> Command:
    about = "write a small demo competition into data.root, offline"
    return Command(run, about, next="run", step=None, config="conf/demo.yaml")


def download() -> Command:
    about = "download the competition's files (kaggle.competition) into data.root and unpack them; resumes if cut off"
    return Command("comp.kaggle.download:download", about, next="check")


def unpack() -> Command:
    about = "unpack the archives in data.root (zip, tar), each into a folder of its name beside it"
    return Command("comp.files.archives:unpack", about, next="check")


def check(run: str, such_as: str) -> Command:
    about = f"look at the data before training, and write one page: {such_as}; exit status 1 on an error"
    return Command(run, about, next="split")


def split(run: str) -> Command:
    about = "write folds.csv, once for all runs"
    flags = {"force": "rebuild folds.csv even if it exists"}
    return Command(run, about, flags, next="train")


def train(run: str) -> Command:
    about = "train the folds ('folds=[0,2]': some of them), or resume them; write out-of-fold and test predictions"
    flags = {"fresh": "remove what this run has trained so far"}
    return Command(run, about, flags, next="submit", launches=True)


def kaggle_train() -> Command:
    return Command(
        "comp.kaggle.training.train:kaggle_train",
        "train on Kaggle's GPUs instead, in a private notebook (kaggle.train:), and fetch the run as if trained here",
        flags={
            "follow": "push nothing; follow what was pushed before, and fetch it",
            "fresh": "start over, replacing what this run has here",
        },
        next="submit",
        step=None,
        launches=True,
    )


def predict(run: str, such_as: str, options: Mapping[str, str] | None = None) -> Command:
    about = f"predict again from the checkpoints: {such_as}"
    return Command(run, about, options=options or {}, next="submit", launches=True)


def submit(run: str) -> Command:
    return Command(
        run,
        "write the submission, checked against the sample submission",
        flags={
            "send": "send it to Kaggle, and note it in runs/sent.csv",
            "wait": "wait for the scores of what was sent, up to kaggle.wait minutes",
            "fetch": "only fetch the scores of what was sent before",
        },
        options={
            "message": "TEXT: what Kaggle shows beside it",
            "kernel": "OWNER/SLUG: send the output of this notebook instead",
            "version": "N: of the notebook",
        },
        step="result",
        around="comp.kaggle.submit:submit",
    )


def kaggle_package(needs: str) -> Command:
    return Command(
        needs,
        "bundle code, weights and wheels into a dataset plus an offline notebook, written to kaggle/",
        flags={
            "dry_run": "run it here, without a network, from the bundled files alone, within the limits of kaggle:",
            "push": "upload both to Kaggle, where the notebook then runs",
        },
        step="result",
        around="comp.kaggle.packing.package:package",
    )


def score(run: str, solution: str) -> Command:
    return Command(run, f"score the submission against a local {solution}", step="result")


def report(run: str) -> Command:
    return Command(run, "write one HTML page about the run, its plots beside it", step="result")


def compare(run: str, about: str) -> Command:
    return Command(run, about, step="comparison", config=None, words="RUN")


def board(run: str) -> Command:
    about = "the leaderboard with intervals, and which differences are statistically real; writes runs/board.html"
    return Command(
        run,
        about,
        flags={
            "fetch": "first ask Kaggle for the scores of what was sent; a run shows that of its last scored submission"
        },
        options={"public": "RUN SCORE …: first record public scores of runs that were submitted by other means"},
        step=None,
        config=None,
        words="",
        around="comp.kaggle.public:board",
    )


def handover() -> Command:
    about = "write handover/<run>/: what Kaggle asks of winners, from what the run stored, and all commands in order"
    flags = {"force": "write it again; what you filled in is lost"}
    return Command("comp.kaggle.handover.write:handover", about, flags, step="result")

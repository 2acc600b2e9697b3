"""`comp predict`: predicts a run's own captions again from its checkpoints."""

from accelerate import Accelerator

from comp.align.data.pairs import Competition, open_competition
from comp.align.schema import AlignConfig
from comp.align.training.projector import Projector, load_projector
from comp.align.training.train import collect, predict_fold
from comp.distributed.launch import Work, on_all_devices
from comp.errors import CompError
from comp.files import write_json
from comp.runs.elsewhere import refuse_other_test_rows
from comp.runs.members import for_each_member
from comp.runs.rundir import RunDir


@for_each_member
def predict_again(config: AlignConfig, arguments: list[str]) -> int:
    """Writes the predictions of all trained folds again; the exit status.

    The test captions are the run's: others are for `comp predict --captions`.

    Raises:
        CompError: nothing is trained yet, the checkpoints know other embeddings or folds than the data, or the test
            captions are others.
    """
    run = RunDir.of(config)
    trained: AlignConfig = run.trained_config()
    if not run.done_folds():
        raise CompError(f"no fold of {run.path} has finished training: run comp train")

    def opened(quiet: bool) -> Competition:
        competition = open_competition(config, quiet)
        refuse_other_test_rows(config, trained, competition.pairs.tables.test["id"], "--captions", arguments)
        return competition

    def work(competition: Competition, accelerator: Accelerator) -> None:
        if not accelerator.is_main_process:
            return
        for number in run.done_folds():
            model, facts = model_of_fold(run, trained, number, competition.pairs.texts.shape[1])
            if facts["folds"] != competition.split.digest:
                raise CompError(f"{run.fold(number)} was trained with other folds than folds.csv has now: train again")
            measured = predict_fold(config, competition, number, model.to(accelerator.device), run, accelerator)
            before = run.read_fold_metrics(number)
            write_json(run.fold(number) / "metrics.json", {**before, **measured})
            print(f"fold {number}  predicted again")
        collect(config, competition, run)

    return on_all_devices(config, arguments, Work(open=opened, do=work))


def model_of_fold(run: RunDir, trained: AlignConfig, number: int, texts: int) -> tuple[Projector, dict[str, str]]:
    """The model that `run` trained without fold `number`, for texts of so many numbers, and its facts.

    Raises:
        CompError: the checkpoint is missing, for other texts, or that of another fold.
    """
    path = run.fold(number) / "best.safetensors"
    model, facts = load_projector(trained.model, trained.loss, path)
    if int(facts["texts"]) != texts:
        raise CompError(f"{path} was trained on texts of {facts['texts']} numbers, these have {texts}")
    if int(facts["fold"]) != number:
        raise CompError(
            f"{path} is the model of fold {facts['fold']}: it was trained on the captions of fold {number}. "
            f"Put back the file that belongs there, or train {path.parent} again"
        )
    return model, facts

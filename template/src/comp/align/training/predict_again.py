"""`comp predict`: predicts again from a run's checkpoints, such as for other test captions."""

from accelerate import Accelerator

from comp.align.data.pairs import Competition, open_competition
from comp.align.schema import AlignConfig
from comp.align.training.projector import load_projector
from comp.align.training.train import collect, predict_fold
from comp.distributed.launch import Work, on_all_devices
from comp.errors import CompError
from comp.files import write_json
from comp.runs.members import for_each_member
from comp.runs.rundir import RunDir


@for_each_member
def predict_again(config: AlignConfig, arguments: list[str]) -> int:
    """Writes the predictions of all trained folds again, such as for other test captions; the exit status.

    Raises:
        CompError: nothing is trained yet, or the checkpoints know other embeddings or folds than the data.
    """
    run = RunDir.of(config)
    trained: AlignConfig = run.trained_config()
    if not run.done_folds():
        raise CompError(f"no fold of {run.path} has finished training: run comp train")

    def work(competition: Competition, accelerator: Accelerator) -> None:
        if not accelerator.is_main_process:
            return
        for number in run.done_folds():
            path = run.fold(number) / "best.safetensors"
            model, facts = load_projector(trained.model, trained.loss, path)
            if int(facts["texts"]) != competition.pairs.texts.shape[1]:
                raise CompError(f"{path} was trained on texts of {facts['texts']} numbers, the data has others")
            if facts["folds"] != competition.split.digest:
                raise CompError(f"{path} was trained with other folds than folds.csv has now: train again")
            if int(facts["fold"]) != number:
                raise CompError(
                    f"{path} is the model of fold {facts['fold']}: it was trained on the captions of fold {number}. "
                    f"Put back the file that belongs there, or train {path.parent} again"
                )
            measured = predict_fold(config, competition, number, model.to(accelerator.device), run, accelerator)
            before = run.read_fold_metrics(number)
            write_json(run.fold(number) / "metrics.json", {**before, **measured})
            print(f"fold {number}  predicted again")
        collect(config, competition, run)

    return on_all_devices(
        config,
        arguments,
        Work(
            open=lambda quiet: open_competition(config, quiet),
            do=work,
        ),
    )

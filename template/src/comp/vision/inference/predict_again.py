"""`comp predict`: predicts a run's own rows again from its checkpoints, such as with other views."""

from accelerate import Accelerator

from comp.distributed.launch import Work, on_all_devices
from comp.distributed.processes import is_launched
from comp.errors import CompError
from comp.files import write_json
from comp.runs.elsewhere import refuse_other_test_rows
from comp.runs.members import for_each_member
from comp.runs.rundir import RunDir
from comp.tables import Tables
from comp.vision.data.competition import Competition, open_competition
from comp.vision.data.settle import as_trained, settled
from comp.vision.folds.fold import fold_name
from comp.vision.folds.nested import done_pairs, write_inner
from comp.vision.inference.collect import collect
from comp.vision.inference.of_fold import model_of_fold, note_on_pixels
from comp.vision.inference.predict_fold import predict_fold, remembered_of
from comp.vision.schema import ImageConfig


@for_each_member
def predict_again(config: ImageConfig, arguments: list[str]) -> int:
    """Writes the predictions of all trained folds again and returns the exit status.

    The model and its preparation of images are those of the training, whatever the configuration says by now; data,
    views and devices are the configuration's. The test rows are the run's: others are for `comp predict --images`.

    Raises:
        CompError: nothing is trained yet, the checkpoints know other classes or folds than the data, or the test rows
            are others.
    """
    run = RunDir.of(config)
    trained = run.trained_config()
    if not run.done_folds():
        raise CompError(f"no fold of {run.path} has finished training: run comp train")
    if run.metrics.is_file() and run.read_metrics().get("combines", {}).get("met_scored_fold"):
        raise CompError(f"{run.path} was fitted to rows of its folds: run the command that made it again")
    resize = trained.predict.resize
    if config.predict.resize != resize and not is_launched():
        print(f"note    {run.path} was trained with predict.resize={resize}, and predicts with it")
    merged = settled(as_trained(config, trained))

    def refuse_others(_: ImageConfig, tables: Tables) -> str:
        refuse_other_test_rows(config, trained, tables.test["id"], "--images", arguments)
        return ""

    def work(competition: Competition, accelerator: Accelerator) -> None:
        for left_out in [*((k,) for k in run.done_folds()), *done_pairs(run, competition.split)]:
            _predict(merged, competition, left_out, run, accelerator)
        if accelerator.is_main_process:
            # What it was trained for stays; how it was predicted stands in the folds' metrics.json.
            run.write_config(trained.model_copy(update={"predict": merged.predict}))
            write_inner(run, competition.split)
            collect(merged, competition.tables.train["id"], run)

    return on_all_devices(
        merged,
        arguments,
        Work(
            open=lambda quiet: open_competition(merged, quiet, refuse_others),
            do=work,
        ),
    )


def _predict(
    config: ImageConfig, competition: Competition, left_out: tuple[int, ...], run: RunDir, accelerator: Accelerator
) -> None:
    folder = run.fold(*left_out)
    model, facts = model_of_fold(config.model, run, left_out, competition)
    if accelerator.is_main_process:
        note_on_pixels(facts, left_out)
    scores = predict_fold(config, competition, left_out, model.to(accelerator.device), folder, accelerator)
    if accelerator.is_main_process:
        before = run.read_fold_metrics(*left_out)
        write_json(folder / "metrics.json", {**before, **scores, **remembered_of(config, competition, left_out)})
        print(f"{fold_name(left_out)}  predicted again")

"""`comp predict --captions NPZ --out FILE`: what all folds of a run say of captions that are none of its rows.

No training caption is read, and nothing in `runs/` changes: the checkpoints and the captions are all that it needs.
"""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from comp.align.data.npz import Archive
from comp.align.data.pairs import EMBEDDING, embeddings, ids_of, no_directions
from comp.align.schema import AlignConfig
from comp.align.submission.submit import ROWS, header_of, write_rows
from comp.align.training.predict_again import model_of_fold, predict_again
from comp.align.training.projector import predicted
from comp.distributed.accelerator import accelerator_for
from comp.errors import CompError
from comp.files import written_whole
from comp.runs.elsewhere import out_file, run_with_models
from comp.runs.predictions import refuse_not_finite, test_table, values_of, write_predictions
from comp.runs.results import mean_of

SUFFIXES = (".csv", ".parquet", ".npz")
NAME = "captions/embeddings"


def predict(config: AlignConfig, arguments: list[str], captions: str | None = None, out: str | None = None) -> int:
    """Predicts the run's own captions again or, with `captions`, those of an npz into the file `out`.

    Raises:
        CompError: as `predict_again`; or the run has no models, or the captions are no embeddings that they know.
    """
    if captions is None:
        if out is not None:
            raise CompError("--out is for other captions than the run's: name their npz with --captions")
        return predict_again(config, arguments)
    place = out_file(out, SUFFIXES)
    run, trained = run_with_models(config)
    ids, texts = _read(Path(captions), config)
    accelerator, said, folds = accelerator_for(config), [], ""
    for number in run.done_folds():
        model, facts = model_of_fold(run, trained, number, texts.shape[1])
        vectors = predicted(model.to(accelerator.device), texts, config.predict.batch_size, accelerator.device)
        said.append(test_table(ids, vectors, EMBEDDING))
        folds = facts["folds"]
    mean = mean_of(said, EMBEDDING)
    if accelerator.is_main_process:
        refuse_not_finite(place, mean, EMBEDDING)
        _write(place, mean, folds, config)
        print(f"wrote   {place}: {len(mean)} captions, by {len(said)} models")
    return 0


def _read(path: Path, config: AlignConfig) -> tuple[pd.DataFrame, np.ndarray]:
    """The captions of an npz that is made as test.npz is: a table of their ids, and their embeddings (T, D_text)."""
    archive = Archive(path)
    texts = embeddings(archive, NAME)
    ids = ids_of(archive, len(texts))
    bad, lines = no_directions(texts, ids)
    if bad and config.data.on_bad_row == "error":
        raise CompError(f"{path}: {NAME}: {'; '.join(lines)}: data.on_bad_row=drop omits them")
    told = [f"warning: {path}: {NAME}: {line}: dropped" for line in lines]
    print("\n".join([f"test    {len(texts)} captions in {path}", *told]))
    good = np.setdiff1d(np.arange(len(texts)), list(bad))
    if not len(good):
        raise CompError(f"{path}: no row of {NAME} is a direction")
    return pd.DataFrame({"id": ids[good]}, dtype=object), texts[good]


def _write(out: Path, mean: pd.DataFrame, folds: str, config: AlignConfig) -> None:
    """As a predictions table; as a submission without a sample; or as `solution.npz` holds the images of captions."""
    if out.suffix.lower() == ".parquet":
        write_predictions(out, mean, EMBEDDING, folds)
        return
    vectors, ids = values_of(mean, EMBEDDING), mean["id"].tolist()
    with written_whole(out) as temporary:
        if out.suffix.lower() == ".npz":
            with temporary.open("wb") as file:
                arrays: dict[str, Any] = {"captions/ids": np.array(ids, dtype=str), "images/embeddings": vectors}
                np.savez(file, **arrays)
            return
        header, is_list = header_of(None, vectors.shape[1], config)
        with temporary.open("w", encoding="utf-8", newline="") as text:
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(header)
            for start in range(0, len(ids), ROWS):
                write_rows(writer, ids[start : start + ROWS], vectors[start : start + ROWS], is_list)

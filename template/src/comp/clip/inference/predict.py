"""`comp predict --images FOLDER_OR_TABLE --labels a b --out FILE`: told apart by words, trained or not."""

from pathlib import Path

from comp.clip.model.build import clip_classifier
from comp.clip.model.heads import PromptHead
from comp.clip.schema import ClipConfig, readable
from comp.errors import CompError, shown
from comp.runs.elsewhere import out_file, own_ids, run_with_models
from comp.runs.rundir import RunDir
from comp.tables import Targets
from comp.vision.data.other_images import read_other_images
from comp.vision.data.settle import as_trained, settled_resize
from comp.vision.inference import predict_folder
from comp.vision.inference.predict_folder import SUFFIXES, Models, models_of, predict_images
from comp.vision.model import Classifier
from comp.vision.model.clip import load_clip


def predict(
    config: ClipConfig,
    arguments: list[str],
    images: str | None = None,
    labels: list[str] | None = None,
    out: str | None = None,
) -> int:
    """As for every image task; `labels` are words to tell images apart by, in place of the run's classes.

    Raises:
        CompError: as there; or the run has no text tower for other words, or a word stands twice.
    """
    if labels is None:
        return predict_folder.predict(config, arguments, images, out)
    if images is None:
        raise CompError("--labels are for other images than the run's: name them with --images")
    place = out_file(out, SUFFIXES)
    words = [arguments[0], "--labels", *labels, "--images", images, "--out", str(out), *arguments[1:]]
    targets = _targets(labels)
    names = {label: readable(label) for label in labels}
    if not RunDir.of(config).config.is_file():
        if not config.model.is_clip:
            raise CompError(f"model.backbone={config.model.backbone} is no CLIP model, so labels tell it nothing")
        print(f"note    there is no run {config.name}: {config.model.backbone} goes by the words alone")
        settings = config.model.model_copy(update={"names": names})
        config = settled_resize(config.model_copy(update={"model": settings}))
        untrained = clip_classifier(config.model, len(labels), True, None)
        found = read_other_images(Path(images), config.data)
        return predict_images(config, Models(targets, [untrained]), found, place, words)
    run, trained = run_with_models(config)
    assert isinstance(trained, ClipConfig)
    known = models_of(run, trained)
    retold = (_with_words(model, trained, names, known.targets) for model in known.each)
    found = read_other_images(Path(images), config.data, own_ids(run))
    return predict_images(as_trained(config, trained), Models(targets, retold), found, place, words)


def _targets(labels: list[str]) -> Targets:
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice or len(labels) < 2:
        raise CompError(f"--labels has {shown(twice)} twice" if twice else "--labels: name two or more")
    return Targets("multiclass", tuple(labels))


def _with_words(model: Classifier, trained: ClipConfig, names: dict[str, str], known: Targets) -> Classifier:
    """The trained model, whose text tower now reads other words."""
    if not isinstance(model.head, PromptHead):
        raise CompError(
            f"{trained.name} has no text tower that learned (model.head={trained.model.head}): it tells "
            f"{shown(known.classes)} apart; leave --labels out, or set name= to a run that does not exist yet"
        )
    prompts = [[template.format(text) for text in names.values()] for template in trained.model.prompts]
    clip = load_clip(trained.model.backbone, model.mean.device)
    tokens = clip.tokens_of([text for texts in prompts for text in texts])
    model.head = PromptHead(
        model.head.tower, tokens.unflatten(0, (len(prompts), -1)), len(names), float(model.head.log_scale)
    )
    return model.eval()

"""Which targets each part knows: one place, from which everything else refuses by name."""

from typing import TYPE_CHECKING

from comp.errors import CompError
from comp.vision.quoted import quoted
from comp.vision.schema import Train

if TYPE_CHECKING:
    from comp.tables import Kind, Targets

ONE: "tuple[Kind, ...]" = ("multiclass", "binary")
CLASSES: "tuple[Kind, ...]" = (*ONE, "multilabel")
NUMBERS: "tuple[Kind, ...]" = ("regression",)
GRADED = ("mse", "huber")  # losses that learn ordered grades as numbers …
OTHER_OUTPUTS = (*GRADED, "corn")  # … and those whose networks have no logit for each class

KNOWS: "dict[str, tuple[Kind, ...]]" = {
    "train.loss=cross_entropy": ("multiclass",),
    "train.loss=focal": CLASSES,
    "train.loss=mse": ("multiclass", "regression"),
    "train.loss=huber": ("multiclass", "regression"),
    "train.loss=corn": ("multiclass",),
    "train.loss=bce": (*CLASSES, "regression"),
    "train.class_weights=balanced": CLASSES,
    "train.logit_adjustment": CLASSES,
    "train.sampler=weighted": CLASSES,
    "blend.kind=geometric": CLASSES,
    "blend.kind=power": CLASSES,
    "blend.kind=rank": CLASSES,
    "stack.kind=logistic": CLASSES,
    "submit.postprocess=temperature": CLASSES,
    "submit.postprocess=priors": ONE,
    "submit.postprocess=rounding": NUMBERS,
    "comp pseudo": CLASSES,
    "comp pretrain": ONE,
    "comp golden": ONE,
    "comp synth": ONE,
    "comp compare on golden rows": ONE,
    "the task clip": CLASSES,
}
WORDS: "dict[Kind, str]" = {
    "multiclass": "one class per row",
    "binary": "a 0 or 1 per row",
    "multilabel": "several labels per row",
    "regression": "numbers",
}


def refuse_kind(part: str, targets: "Targets") -> None:
    """Raises: CompError: `part`, a key of KNOWS, does not know such targets."""
    known = KNOWS[part]
    if targets.kind not in known:
        wanted = " or ".join(WORDS[kind] for kind in known)
        raise CompError(f"{part} is for {wanted}, and the targets are {targets.kind} ({WORDS[targets.kind]})")


def refuse_settings(settings: Train, targets: "Targets") -> None:
    """Raises: CompError: train.loss, or what goes with it, does not know such targets."""
    loss = f"train.loss={settings.loss}"
    if loss in KNOWS:
        refuse_kind(loss, targets)
    grades = targets.kind == "multiclass" and settings.loss in OTHER_OUTPUTS
    if grades and targets.positions is None:
        raise CompError(
            f"{loss} needs the order of the classes, which words do not tell: add the line "
            f"`classes: {quoted(targets.classes)}` under `data:`, the lowest first"
        )
    asked = {
        "train.class_weights=balanced": settings.class_weights == "balanced",
        "train.sampler=weighted": settings.sampler == "weighted",
        "train.logit_adjustment": settings.logit_adjustment > 0,
    }
    for part in (part for part, is_asked in asked.items() if is_asked):
        refuse_kind(part, targets)
        if grades and part != "train.sampler=weighted":
            raise CompError(f"{part} is for a logit of each class, and {loss} has none: set one of the two otherwise")

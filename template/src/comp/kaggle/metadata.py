"""What Kaggle's client reads beside what it uploads: `dataset-metadata.json` and `kernel-metadata.json`."""

import os
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from comp.config import Experiment
from comp.errors import CompError, shortened
from comp.files import digest

TWO_T4 = "NvidiaTeslaT4"  # the only T4 that Kaggle has, and it is two of them
DATASET, KERNEL, SUBTITLE = (6, 50), (5, 50), (20, 80)  # letters that a title and a slug, or a subtitle, may have
LICENSE = "other"  # of exactly one that a dataset has to name; it is private
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Sources:
    """What a notebook finds below /kaggle/input: slugs of competitions, OWNER/SLUG of datasets and notebooks."""

    competitions: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Machine:
    """What a notebook runs on. Without an accelerator it is a CPU; code competitions allow no internet."""

    accelerator: str | None = TWO_T4
    internet: bool = False


OF_CODE_COMPETITIONS = Machine()


def owner_told(config: Experiment) -> str | None:
    """The same where the configuration or the environment says it; nobody is asked."""
    return config.kaggle.owner or os.environ.get("KAGGLE_USERNAME") or None


def owner(config: Experiment) -> str:
    """The user's name in addresses on Kaggle.

    Raises:
        CompError: nothing says it.
    """
    name = owner_told(config)
    if name is None:
        raise CompError(
            "kaggle.owner is not set: add your name on Kaggle, as it stands in the address of your profile, to kaggle: "
            "in conf/baseline.yaml, or put kaggle.owner=NAME on the command line"
        )
    return name


def slug_of(*words: str, bounds: tuple[int, int] = DATASET) -> str:
    """`words` as the end of an address, as many letters as `bounds` allow.

    What is too short gets a word. What is cut, or spelled in another way, ends with a digest of the words: others may
    end up the same.
    """
    least, most = bounds
    slug = slugified(" ".join(words))
    slug = slug if len(slug) >= least else f"{slug}-package".lstrip("-")
    if len(slug) <= most and all(slugified(word) == word for word in words):
        return slug
    return f"{slug[: most - 5].strip('-')}-{digest(words)[:4]}"


def slugified(text: str) -> str:
    """`text` in small letters, digits and single hyphens, as Kaggle makes an address of a title."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "-".join(re.findall("[a-z0-9]+", plain.lower()))


def title_of(slug: str) -> str:
    """A title that Kaggle turns into `slug`."""
    return slug.replace("-", " ")


def dataset_metadata(owner: str, slug: str, title: str, subtitle: str = "") -> dict[str, Any]:
    """`dataset-metadata.json` of a private dataset.

    Raises:
        CompError: Kaggle's client would refuse it, or give it another address.
    """
    _check(owner, slug, title, DATASET, "dataset")
    if subtitle and not SUBTITLE[0] <= len(subtitle) <= SUBTITLE[1]:
        raise CompError(f"the subtitle {shortened(subtitle)!r} of a dataset has to have {_between(SUBTITLE)}")
    return {
        "title": title,
        "id": f"{owner}/{slug}",
        **({"subtitle": subtitle} if subtitle else {}),
        "licenses": [{"name": LICENSE}],
    }


def kernel_metadata(
    owner: str, slug: str, title: str, code_file: str, sources: Sources, machine: Machine = OF_CODE_COMPETITIONS
) -> dict[str, Any]:
    """`kernel-metadata.json` of a private notebook. Each switch is said: to leave one out may switch it on.

    Raises:
        CompError: Kaggle's client would refuse it, or give it another address.
    """
    _check(owner, slug, title, KERNEL, "notebook")
    for place in (*sources.datasets, *sources.kernels):
        if not all(NAME.fullmatch(part) for part in place.split("/")) or place.count("/") != 1:
            raise CompError(f"{shortened(place)!r} is not OWNER/SLUG, the end of an address on Kaggle")
    return {
        "id": f"{owner}/{slug}",
        "title": title,
        "code_file": code_file,
        "language": "python",
        "kernel_type": "notebook",
        "is_private": True,
        "enable_gpu": machine.accelerator is not None,
        "enable_tpu": False,
        "enable_internet": machine.internet,
        **({} if machine.accelerator is None else {"machine_shape": machine.accelerator}),
        "competition_sources": list(sources.competitions),
        "dataset_sources": list(sources.datasets),
        "kernel_sources": list(sources.kernels),
        "model_sources": [],
    }


def _check(owner: str, slug: str, title: str, bounds: tuple[int, int], what: str) -> None:
    if not NAME.fullmatch(owner):
        raise CompError(f"kaggle.owner={shortened(owner)} is no name in an address on Kaggle: letters, digits, hyphens")
    for text in (slug, title):
        if not bounds[0] <= len(text) <= bounds[1]:
            raise CompError(f"{shortened(text)!r} as the name of a {what} on Kaggle has to have {_between(bounds)}")
    if slugified(title) != slug:
        raise CompError(f"Kaggle turns the title {title!r} into {slugified(title)}, not into {slug}")


def _between(bounds: tuple[int, int]) -> str:
    return f"{bounds[0]} to {bounds[1]} letters"

"""The alignment at the competition's size, against the baseline's own way: a DataLoader over tensors, batches of 64.

    python ci/bench/align.py --work /tmp/align-bench --out ci/bench/results/cpu-align

Makes pairs as structured as real ones (texts and images are noisy, non-linear views of one latent), then runs each
contender in a process of its own on the same fold: the baseline's loop, the same MLP and loss in the engine, and
align-modern. It reports captions/s, seconds per epoch, peak memory, the MRR after each epoch, the time to the final MRR
of the baseline, and what a ranking of all captions among all images takes. `--limit` cuts the epochs of the baseline
where a full one takes too long: its speed is then measured on so many batches, and there is no quality to compare.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from engine import comp, environment, write_configuration
from measure import run

HERE = Path(__file__).resolve()
CAPTIONS, LATENT = 5, 128
WIDTH, BATCH, RATE, DROPOUT = 4096, 64, 1e-3, 0.2  # the baseline's


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="a folder for data and runs")
    parser.add_argument("--out", type=Path, help="where align.json and align.md go")
    parser.add_argument("--images", type=int, default=25_000)
    parser.add_argument("--text", type=int, default=1024, help="numbers of a text")
    parser.add_argument("--image", type=int, default=1536, help="numbers of an image")
    parser.add_argument("--epochs", type=int, default=20, help="of the baseline and of the same MLP in the engine")
    parser.add_argument("--modern-epochs", type=int, help="of align-modern, instead of the recipe's")
    parser.add_argument("--limit", type=int, help="batches of the first two contenders, instead of epochs")
    parser.add_argument("--only", help="one contender, in this process: seed, ranking")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    given.out = given.out and given.out.resolve()
    sys.argv[sys.argv.index("--work") + 1] = str(given.work.resolve())  # for processes that start elsewhere
    os.chdir(given.work)
    if given.only:
        print(json.dumps({"seed": seed_loop, "ranking": ranking}[given.only](given)))
        return
    make_data(given)
    figures: dict[str, Any] = {}

    def note(name: str, found: dict[str, Any]) -> None:
        """What is measured is written at once: the next contender may take long."""
        figures[name] = found
        settings = {key: str(value) for key, value in vars(given).items() if key not in ("work", "out")}
        session = {"machine": about_machine(), "settings": settings, "figures": figures}
        if given.out:
            given.out.mkdir(parents=True, exist_ok=True)
            (given.out / "align.json").write_text(json.dumps(session, indent=1) + "\n", encoding="utf-8")
            (given.out / "align.md").write_text("\n".join(table(session, given)) + "\n", encoding="utf-8")
        print(name, json.dumps(found), flush=True)

    note("baseline's loop", alone(given, "seed"))
    if given.limit is None:
        note("its MLP in the engine", engine(given, "mlp"))
    note("align-modern", engine(given, "modern"))
    note("ranking", alone(given, "ranking"))


def make_data(given: argparse.Namespace) -> None:
    """train.npz, test.npz; float16, as hosts give them."""
    path = Path("data/train.npz")
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    spectrum = np.arange(1, LATENT + 1) ** -0.5  # some directions say more than others, as in real embeddings
    latent = rng.normal(size=(given.images, LATENT)).astype(np.float32) * spectrum.astype(np.float32)
    images = view(latent, given.image, rng)
    texts = np.concatenate(
        [
            view(latent[start : start + 1000].repeat(CAPTIONS, 0), given.text, np.random.default_rng(1), start)
            for start in range(0, given.images, 1000)
        ]
    )
    label = np.arange(given.images).repeat(CAPTIONS)
    np.savez(path, **{"captions/embeddings": texts, "captions/label": label, "images/embeddings": images})
    tests = {"captions/ids": np.arange(1000).astype(str), "captions/embeddings": texts[:1000]}
    np.savez(path.with_name("test.npz"), **tests)


def view(latent: np.ndarray, width: int, rng: np.random.Generator, start: int | None = None) -> np.ndarray:
    """(N, width) float16. The map is drawn from `rng`; with `start`, half of the latent is missing from each row."""
    first = rng.normal(size=(LATENT, 2 * LATENT)).astype(np.float32)
    second = rng.normal(size=(2 * LATENT, width)).astype(np.float32)
    noise = rng if start is None else np.random.default_rng([2, start])
    if start is not None:
        latent = latent * (noise.random(latent.shape) < 0.5)
    seen = np.tanh(latent @ first) @ second / (2 * LATENT) ** 0.5
    return (seen + 0.3 + 0.2 * noise.normal(size=seen.shape)).astype(np.float16)


def configuration(given: argparse.Namespace) -> dict[str, Any]:
    return {
        "task": "align",
        "data": {"root": "data"},
        "folds": {"kind": "holdout", "holdout": 0.2},
        "metrics": ["r@1", "r@10", "cosine"],
        "baselines": [],
        "model": {"hidden": [WIDTH], "dropout": DROPOUT, "normalize": False},
        "loss": {"kind": "cosine"},
        "train": {
            "epochs": given.epochs,
            "batch_size": BATCH,
            "optimizer": "adam",
            "lr": RATE,
            "weight_decay": 0.0,
            "schedule": "constant",
        },
    }


def engine(given: argparse.Namespace, name: str) -> dict[str, Any]:
    """`comp train` of one experiment: the figures of its history, and its peak memory."""
    values = {**configuration(given), "name": name}
    if name == "modern":
        recipe = yaml.safe_load((HERE.parents[2] / "recipes" / "align-modern.yaml").read_text(encoding="utf-8"))
        values |= {section: recipe[section] for section in ("model", "loss", "augment", "train")}
        if given.modern_epochs:
            values["train"]["epochs"] = given.modern_epochs
    write_configuration(Path(), values)
    done = run([sys.executable, "-m", "comp", "train", "--fresh"], Path(f"{name}.log"), environment())
    if done.status:
        sys.exit(done.output)
    rows = np.genfromtxt(f"runs/{name}/fold0/history.csv", delimiter=",", names=True, ndmin=1)
    return {
        "captions_per_s": float(np.median(rows["captions_per_s"])),
        "epoch_s": float(np.median(rows["seconds"])),
        "mrr": rows["mrr"].tolist(),
        "at_s": np.cumsum(rows["seconds"]).tolist(),
        "peak_gb": done.peak_pss_mb / 1000,
    }


def alone(given: argparse.Namespace, name: str) -> dict[str, Any]:
    """A contender that is no command of the engine, in a process of its own."""
    done = run([sys.executable, str(HERE), *sys.argv[1:], "--only", name], Path(f"{name}.log"), environment())
    if done.status:
        sys.exit(done.output)
    return {**json.loads(done.output.splitlines()[-1]), "peak_gb": done.peak_pss_mb / 1000}


def seed_loop(given: argparse.Namespace) -> dict[str, Any]:
    """The baseline's training: TensorDataset, DataLoader, Adam, one minus the cosine."""
    import torch
    from torch import nn
    from torch.nn import functional
    from torch.utils.data import DataLoader, TensorDataset

    from comp.align.data.fold import unit_images
    from comp.align.data.pairs import open_competition
    from comp.align.ranking.metrics import scores
    from comp.config import load_config

    write_configuration(Path(), configuration(given))
    config = load_config(Path("conf/baseline.yaml"))
    if not Path("data/folds.csv").exists():
        told(comp(Path(), "split"))
    opened = open_competition(config, quiet=True)
    training, validated = opened.rows(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    texts = torch.from_numpy(opened.pairs.texts[training].astype(np.float32))
    images = torch.from_numpy(opened.pairs.images[opened.pairs.image_of[training]].astype(np.float32))
    loader = DataLoader(TensorDataset(texts, images), batch_size=BATCH, shuffle=True)
    sizes = (texts.shape[1], images.shape[1])
    model = nn.Sequential(nn.Linear(sizes[0], WIDTH), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(WIDTH, sizes[1]))
    model.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    gallery = np.unique(opened.pairs.image_of[validated])
    seconds, mrr, at = [], [], []
    for _ in range(1 if given.limit else given.epochs):
        model.train()
        began, steps = time.perf_counter(), 0
        for batch, target in loader:
            predicted = model(batch.to(device))
            loss = (1 - functional.cosine_similarity(predicted, target.to(device))).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()  # its progress bar shows it
            steps += 1
            if steps == given.limit:
                break
        seconds.append((time.perf_counter() - began) / steps * len(loader))
        at.append(sum(seconds))
        if given.limit is None:
            model.eval()
            with torch.inference_mode():
                rows = torch.from_numpy(opened.pairs.texts[validated].astype(np.float32)).to(device)
                found = torch.cat([model(part) for part in rows.split(4096)]).cpu().numpy()
            measured = scores(["mrr"], found, unit_images(opened), opened.pairs.image_of[validated], gallery)
            mrr.append(measured["mrr"])
    epoch = float(np.median(seconds))
    return {"captions_per_s": len(texts) / epoch, "epoch_s": epoch, "mrr": mrr, "at_s": at}


def ranking(given: argparse.Namespace) -> dict[str, Any]:
    """All captions among all images: what `ranked` takes, and how much memory beyond the vectors."""
    from comp.align.ranking.retrieval import ranked, retrieval_scores

    rng = np.random.default_rng(0)
    gallery = rng.normal(size=(given.images, given.image)).astype(np.float32)
    image_of = np.arange(given.images).repeat(CAPTIONS)
    predictions = gallery[image_of] + 3 * rng.normal(size=(len(image_of), given.image)).astype(np.float32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    mrr = retrieval_scores(ranked(predictions, gallery, image_of))["mrr"]
    seconds = time.perf_counter() - began
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"seconds": seconds, "more_gb": more / 2**20, "mrr": mrr}


def told(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


def about_machine() -> dict[str, Any]:
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    load = [round(each, 1) for each in os.getloadavg()]
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    return {"device": device, "cores": os.cpu_count(), "threads": threads, "load": load, "torch": torch.__version__}


def table(session: dict[str, Any], given: argparse.Namespace) -> list[str]:
    machine, figures = session["machine"], session["figures"]
    target = figures["baseline's loop"]["mrr"][-1] if figures["baseline's loop"]["mrr"] else None
    lines = [
        f"{given.images} images, {CAPTIONS * given.images} captions, {given.text} → {given.image}; "
        f"{machine['device']}, {machine['cores']} cores, {machine['threads']} threads a process, torch "
        f"{machine['torch']}, load average at the end {machine['load'][0]}.",
        "",
        "| contender | captions/s | s an epoch | peak memory, GB | MRR at the end | s to the baseline's final MRR |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, each in figures.items():
        if name == "ranking":
            continue
        reached = [at for at, mrr in zip(each["at_s"], each["mrr"], strict=False) if target and mrr >= target]
        final = f"{each['mrr'][-1]:.3f}" if each["mrr"] else "–"
        first = f"{reached[0]:.1f}" if reached else "–"
        lines.append(
            f"| {name} | {each['captions_per_s']:.0f} | {each['epoch_s']:.1f} | {each['peak_gb']:.2f} | "
            f"{final} | {first} |"
        )
    if rank := figures.get("ranking"):
        lines += [
            "",
            f"All {CAPTIONS * given.images} captions ranked among all {given.images} images: {rank['seconds']:.1f} s, "
            f"{rank['more_gb']:.2f} GB beside the vectors.",
        ]
    return lines


if __name__ == "__main__":
    main()

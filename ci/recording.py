"""Records docs/recording.svg: a person at a terminal, the real commands, from the prompts to a scored submission.

`pip install pexpect pyte`, then `python ci/recording.py`. The template is what stands in the working tree, found as
`gh:org/kaggle-vision` through git's `insteadOf`. Waiting is shortened to `LONGEST_S`, and training is shown `FASTER`
times as fast; nothing else is changed.
"""

import html
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pexpect
import pyte

ROOT = Path(__file__).resolve().parent.parent
COLUMNS, LINES = 104, 26
LONGEST_S, KEY_S, LAST_S, FRAME_S, FASTER = 1.2, 0.04, 6.0, 0.12, 12
CELL, ROW, EDGE = 8.0, 18, 16  # px
COLORS = {
    "default": "#d8dee9",
    "black": "#4c566a",
    "red": "#e06c75",
    "green": "#98c379",
    "brown": "#e5c07b",
    "blue": "#61afef",
    "magenta": "#c678dd",
    "cyan": "#56b6c2",
    "white": "#ffffff",
}
ENTER, DOWN = "\r", "\x1b[B"
Run = tuple[float, str, str, bool]  # column, text, color, bold
Frame = tuple[float, tuple[tuple[Run, ...], ...]]  # how long, and the lines


@dataclass
class Recording:
    """A shell at a terminal, and how its screen looked when."""

    shell: pexpect.spawn
    screen: pyte.Screen = field(default_factory=lambda: pyte.Screen(COLUMNS, LINES))
    frames: list[Frame] = field(default_factory=list)  # how long, which lines

    def __post_init__(self) -> None:
        self.stream = pyte.Stream(self.screen)
        self.seen = time.monotonic()
        self.speed = 1

    def type(self, text: str) -> None:
        for key in text:
            self.shell.send(key)
            self.watch(0.02)
            self.keep(KEY_S)

    def press(self, key: str) -> None:
        self.shell.send(key)
        self.watch(0.2)
        self.keep(0.5)

    def until(self, text: str, timeout_s: float = 900) -> None:
        """Watches until a line of the screen holds `text`."""
        deadline = time.monotonic() + timeout_s
        while not any(text in line for line in self.screen.display):
            if time.monotonic() > deadline:
                raise SystemExit(f"error: {text!r} did not come:\n" + "\n".join(self.screen.display))
            self.watch(0.1)
        self.watch(0.2)

    def prompt(self) -> None:
        """Watches until the shell is back."""
        while self.screen.buffer[self.screen.cursor.y][0].data != "$" or self.screen.cursor.x != 2:
            self.watch(0.1)

    def watch(self, for_s: float) -> None:
        deadline = time.monotonic() + for_s
        while (left := deadline - time.monotonic()) > 0:
            try:
                self.stream.feed(self.shell.read_nonblocking(65536, timeout=left))
            except pexpect.TIMEOUT:
                break
            now = time.monotonic()
            self.keep(min(now - self.seen, LONGEST_S) / self.speed)
            self.seen = now

    def keep(self, seconds: float) -> None:
        lines = tuple(self._runs(number) for number in range(LINES))
        self.frames.append((seconds, lines))

    def _runs(self, number: int) -> tuple[Run, ...]:
        runs: list[Run] = []
        for column in range(COLUMNS):
            cell = self.screen.buffer[number][column]
            color = COLORS.get(cell.fg, f"#{cell.fg}" if len(cell.fg) == 6 else COLORS["default"])
            if runs and runs[-1][2:] == (color, cell.bold):
                start, text, *_ = runs.pop()
                runs.append((start, text + cell.data, color, cell.bold))
            else:
                runs.append((column, cell.data, color, cell.bold))
        return tuple(run for run in runs if run[1].strip())


def merged(frames: list[Frame]) -> list[Frame]:
    """Without frames that nobody could see."""
    kept: list[Frame] = []
    for seconds, lines in frames:
        if kept and (kept[-1][0] < FRAME_S or kept[-1][1] == lines):
            seconds += kept.pop()[0]
        kept.append((min(seconds, LONGEST_S), lines))
    return kept


def svg(frames: list[Frame]) -> str:
    """Each line that ever stood on the screen once; each frame shows some. What cannot move shows the last frame."""
    frames = [*merged(frames)[:-1], (LAST_S, frames[-1][1])]
    total = sum(seconds for seconds, _ in frames)
    names: dict[tuple[Run, ...], str] = {}
    body, style, started = [], [], 0.0
    for number, (seconds, lines) in enumerate(frames):
        uses = "".join(
            f'<use href="#{names.setdefault(line, f"l{len(names)}")}" y="{row * ROW}"/>'
            for row, line in enumerate(lines)
            if line
        )
        last = number == len(frames) - 1
        on, off = 100 * started / total, 100 * (started + seconds) / total
        before = "0%{opacity:0}" if number else ""
        style.append(f"@keyframes f{number}{{{before}{on:.3f}%{{opacity:1}}{off:.3f}%,100%{{opacity:{int(last)}}}}}")
        style.append(f"#f{number}{{animation:f{number} {total:.1f}s step-end infinite}}")
        body.append(f'<g id="f{number}" opacity="{int(last)}">{uses}</g>')
        started += seconds
    lines = "".join(f'<g id="{name}">{"".join(map(_text, line))}</g>' for line, name in names.items())
    width, height = round(COLUMNS * CELL + 2 * EDGE), LINES * ROW + 2 * EDGE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace" font-size="13">\n'
        f"<style>{''.join(style)}</style>\n<defs>{lines}</defs>\n"
        f'<rect width="{width}" height="{height}" rx="8" fill="#21252b"/>\n'
        f'<g transform="translate({EDGE} {EDGE + 13})">{"".join(body)}</g>\n</svg>\n'
    )


def _text(run: Run) -> str:
    column, text, color, bold = run
    inner = text.lstrip()
    start = (column + len(text) - len(inner)) * CELL
    inner = inner.rstrip()
    weight = ' font-weight="bold"' if bold else ""
    place = f'x="{start:g}" textLength="{len(inner) * CELL:g}" fill="{color}"{weight} xml:space="preserve"'
    return f"<text {place}>{html.escape(inner)}</text>"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        github, desk = Path(folder, "github"), Path(folder, "desk")
        desk.mkdir()
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(github)], check=True)
        subprocess.run(["git", "tag", "--force", "v1.0.0"], cwd=github, check=True, capture_output=True)
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "TERM": "xterm-256color",
            "PROMPT_TOOLKIT_NO_CPR": "1",
            "PYTHONPATH": "src",  # as if installed
            "COPIER_CACHE_DIR": str(Path(folder, "mirrors")),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{github.as_uri()}.insteadOf",
            "GIT_CONFIG_VALUE_0": "https://github.com/org/kaggle-vision.git",
            "PS1": "$ ",
            "BASH_SILENCE_DEPRECATION_WARNING": "1",
        }
        shell = pexpect.spawn(
            "bash", ["--norc", "--noprofile"], cwd=desk, env=environment, encoding="utf-8", dimensions=(LINES, COLUMNS)
        )
        shell.sendline('comp() { python -m comp "$@"; }; clear')
        time.sleep(1)
        record = Recording(shell)
        record.watch(1)
        record.frames.clear()
        act(record)
        shell.sendline("exit")
        shell.close(force=True)
    (ROOT / "docs" / "recording.svg").write_text(svg(record.frames), encoding="utf-8")


def act(record: Recording) -> None:
    """What the person does."""
    record.type("copier copy gh:org/kaggle-vision new-comp" + ENTER)
    record.until("What is the competition called?")
    record.type("Petals to the Metal" + ENTER)
    record.until("Its slug")
    record.press(ENTER)
    record.until("Which task?")
    record.press(ENTER)
    record.until("Which recipe")
    record.press(ENTER)
    record.until("Which backbone")
    record.press(DOWN)
    record.press(ENTER)
    for question in (
        "Image size",
        "How many folds",
        "Which metric",
        "Where will it train",
        "Which experiment tracker",
    ):
        record.until(question)
        record.press(ENTER)
    record.until("is ready. Next")
    record.prompt()
    record.keep(LONGEST_S)
    record.type("clear; cd new-comp; comp demo-data" + ENTER)
    record.until("next    comp run")
    record.prompt()
    record.type('comp run conf/demo.yaml "folds=[0]"' + ENTER)
    record.speed = FASTER
    record.until("wrote   runs/demo/report.html")
    record.prompt()


if __name__ == "__main__":
    main()

"""Pages as people see them: wide and narrow, light and dark. And that the browser finds what is wrong."""

import shutil
from pathlib import Path

import pytest
from browser import needs_browser, problems

pytestmark = needs_browser
WIDTHS = (1280, 400)
HEAD = '<!doctype html><link rel="icon" href="data:,">'


WAYS = [(width, dark) for width in WIDTHS for dark in (False, True)]


def test_pages_of_the_data_of_a_run_of_two_and_of_all(trained, comp):
    shutil.copytree("runs/small", "runs/twin")
    pages = {
        "data/check.html": ["check"],
        "runs/small/report.html": ["report"],
        "runs/compare-small-twin.html": ["compare", "small", "twin"],
        "runs/board.html": ["board"],
    }
    for page, words in pages.items():
        assert comp(*words)[0] == 0
        assert (page, [(*way, problem) for way in WAYS for problem in problems(Path(page), *way)]) == (page, [])


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("<script>console.error('no')</script>", "the console says: ['no']"),
        ("<script>undefined.x</script>", "a script failed"),
        ('<img alt="this one" src="data:image/png;base64,AAAA">', "a picture does not show: this one"),
        ('<img src="http://127.0.0.1:9/x.png">', "the page asks for http://127.0.0.1:9/x.png"),
        ('<div style="width: 900px">wide</div>', "px wide, the window 400: <div"),
        ("<style>body { color: #999; background: #fff }</style>", "light: text [153, 153, 153]"),
    ],
)
def test_a_fault_is_found(body, found, repo):
    page = Path("page.html")
    page.write_text(f"{HEAD}<body>{body}", encoding="utf-8")
    assert any(found in problem for problem in problems(page, 400))


def test_a_page_without_a_dark_side_is_found(repo):
    page = Path("page.html")
    page.write_text(HEAD + "<style>body { color: #000; background: #fff }</style><body>bright", encoding="utf-8")
    assert problems(page, dark=False) == []
    assert any("dark: text" in problem for problem in problems(page, dark=True))

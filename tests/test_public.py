"""What a public repository has beside its code: links that lead somewhere, and files that other programs read."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from checks import project
from copier import run_copy
from rendering import PARTS, ROOT, commit, git

DOCS = sorted((ROOT / "docs").glob("*.md"))
ABOUT = [ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "LICENSE")]
PAGES = [ROOT / "README.md", *DOCS, *(path for path in ABOUT if path.suffix), ROOT / ".github/PULL_REQUEST_TEMPLATE.md"]
FIRST_SCREEN, WHOLE = 45, 110  # lines
ELEMENTS = {"markdown", "textarea", "input", "dropdown", "checkboxes"}  # what GitHub's forms are made of
READ_BY = {"github-actions": "*.yml", "pip": "requirements.txt"}  # files that the bot looks for in a folder


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def yaml_of(name: str) -> Any:
    return yaml.safe_load(text_of(ROOT / name))


def links_in(text: str) -> list[str]:
    """The targets of links and pictures that lie in this repository."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return [to for to in re.findall(r"\]\(([^)\s]+)\)", prose) if not re.match(r"[a-z]+:", to)]


def anchors_in(path: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text_of(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page):
    for link in links_in(text_of(page)):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_in(target), link


def test_the_first_screen_of_the_readme_leads_to_every_page():
    lines = text_of(ROOT / "README.md").splitlines()
    assert len(lines) <= WHOLE
    first = {link.partition("#")[0] for link in links_in("\n".join(lines[:FIRST_SCREEN]))}
    assert first >= {path.relative_to(ROOT).as_posix() for path in [*DOCS, *ABOUT]}


def test_the_first_screen_shows_how_to_start_and_what_it_looks_like():
    first = "\n".join(text_of(ROOT / "README.md").splitlines()[:FIRST_SCREEN])
    assert all(words in first for words in ("copier copy gh:", "uvx copier", "make demo", "make test"))
    assert {Path(to).suffix for to in re.findall(r"!\[[^]]+\]\((\S+)\)", first)} == {".svg", ".jpg"}


def test_the_license_is_named_alike_everywhere():
    assert text_of(ROOT / "LICENSE").startswith("MIT License\n")
    assert yaml_of("CITATION.cff")["license"] == "MIT"
    assert "MIT" in text_of(ROOT / "README.md").partition("## License")[2]
    assert "MIT" in text_of(ROOT / "CONTRIBUTING.md")


@pytest.mark.parametrize("task", PARTS)
def test_what_is_generated_is_the_users_without_a_license_of_ours(render, task):
    repo = render(task=task)
    assert not list(repo.glob("LICEN*"))
    assert "license" not in project(repo)
    assert "yours" in text_of(repo / "README.md").partition("## License")[2]


def test_the_citation_has_what_its_format_asks_for():
    cited = yaml_of("CITATION.cff")
    assert cited["cff-version"] == "1.2.0"
    assert cited.keys() >= {"message", "title", "authors"}
    assert cited["type"] in {"software", "dataset"}
    assert all(author.keys() <= {"name", "website"} for author in cited["authors"])  # an entity, no person
    where = re.search(r"copier copy gh:(\S+)", text_of(ROOT / "README.md"))
    assert where and cited["repository-code"] == f"https://github.com/{where[1]}"


@pytest.mark.parametrize("name", [path.name for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")])
def test_an_issue_form_is_one(name):
    form = yaml_of(f".github/ISSUE_TEMPLATE/{name}")
    if name == "config.yml":
        assert all(link.keys() == {"name", "url", "about"} for link in form["contact_links"])
        return
    assert form.keys() >= {"name", "description", "body"}
    identities = [element["id"] for element in form["body"]]
    assert len(identities) == len(set(identities)) > 0
    assert any(element.get("validations", {}).get("required") for element in form["body"])
    for element in form["body"]:
        assert element["type"] in ELEMENTS
        assert element["attributes"]["label"]
        assert element["type"] != "checkboxes" or element["attributes"]["options"]


def test_the_dependency_bot_finds_what_it_looks_after():
    bot = yaml_of(".github/dependabot.yml")
    assert bot["version"] == 2
    for update in bot["updates"]:
        for folder in update.get("directories") or [update["directory"]]:
            assert list((ROOT / folder.strip("/")).glob(READ_BY[update["package-ecosystem"]])), folder


def hooks(text: str) -> dict[str, dict[str, Any]]:
    return {hook["id"]: hook for repo in yaml.safe_load(text)["repos"] for hook in repo["hooks"]}


def test_both_houses_commit_by_the_same_rules():
    ours, theirs = (hooks(text_of(ROOT / name / ".pre-commit-config.yaml")) for name in ("", "template"))
    assert ours.keys() == theirs.keys()
    assert all(ours[name] == theirs[name] for name in ours if name != "mypy")  # which has another folder
    tested = text_of(ROOT / "ci/test")
    assert all(name.replace("-", " ") in tested for name in ours)


def test_git_refuses_a_commit_that_ci_would(template, tmp_path, monkeypatch):
    repo = tmp_path / "repo"
    run_copy(str(template), repo, defaults=True, quiet=True)
    commit(repo, "From the template")
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert checked(repo).returncode == 0, checked(repo).stdout
    (repo / "src/comp/custom.py").write_text("import os, sys\nx = ( 1 )\n", encoding="utf-8")
    git(repo, "add", "--all")
    refused = checked(repo)
    assert refused.returncode == 1
    assert re.search(r"^ruff check\.+Failed$", refused.stdout, re.MULTILINE)
    assert re.search(r"^ruff format\.+Failed$", refused.stdout, re.MULTILINE)


def checked(repo: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pre_commit", "run", "--all-files", "--color", "never"]
    return subprocess.run(command, cwd=repo, capture_output=True, encoding="utf-8", check=False)


@pytest.mark.parametrize("task", PARTS)
def test_the_extras_that_a_repositorys_readme_names_are_there(render, task):
    text = text_of(render(task=task) / "README.md")
    named = set(re.findall(r"--extra (\w+)", text)) | {
        extra for extras in re.findall(r'pip install -e "\.\[([\w,]+)\]"', text) for extra in extras.split(",")
    }
    assert "dev" in named <= project(render(task=task))["optional-dependencies"].keys()


def test_the_readme_counts_the_layouts_as_their_page_does():
    page, readme = text_of(ROOT / "docs/layouts.md"), text_of(ROOT / "README.md")
    understood, asked = (
        len(re.findall(r"^\| .*\|$", page.partition(f"## {part}\n")[2].partition("\n## ")[0], re.M)) - 2
        for part in ("Understood", "Asked")
    )
    assert f"[{understood} layouts of competition data](docs/layouts.md)" in readme
    assert f"{asked} ambiguous ones" in " ".join(readme.split())


def test_every_test_that_a_promise_names_is_there():
    named = set(re.findall(r"`([\w/]*(?:test_\w+|conftest)\.py)`", text_of(ROOT / "docs/honesty.md")))
    assert len(named) > 50
    assert [name for name in named if not (ROOT / "template/tests" / name).is_file()] == []

"""The pages of docs/recipes: their files, their commands, and what they say is printed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support import repos
from tests.support.container import Image, build
from tests.support.core import User

__all__ = [
    "FILES",
    "NAME",
    "RECIPES",
    "SIZE",
    "WANTED",
    "Project",
    "commands",
    "examples_missing_from",
    "page_files",
    "page_text",
    "project_of",
    "written",
]

RECIPES = Path(__file__).resolve().parents[2] / "docs/recipes"
# The repository that the pages name, and what of it they ask for.
NAME = "openai/whisper-tiny"
WANTED = {"config.json": b'{"hidden_size": 8}', "model.safetensors": repos.noise(400_000, "w")}
FILES = {**WANTED, "pytorch_model.bin": repos.noise(200_000, "unwanted")}
SIZE = sum(map(len, WANTED.values()))
_FILE = re.compile(r"^`([^`\n]+)`[^\n]*\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def page_text(page: str) -> str:
    """Return a page of docs/recipes."""
    return (RECIPES / f"{page}.md").read_text("utf-8")


def page_files(page: str) -> dict[str, str]:
    """Return the files that a page gives: each in a fence, its name before it."""
    found = _FILE.findall(page_text(page))
    assert found, f"{page}.md gives no file"
    return dict(found)


def commands(page: str, section: str = "", language: str = "sh") -> list[str]:
    """Return the command lines of a page, or of one section of it; files that it gives are none."""
    text = page_text(page)
    if section:
        text = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    fences = [body for name, body in _FENCE.findall(_FILE.sub("", text)) if name == language]
    found = [line for line in "".join(fences).splitlines() if line.strip()]
    assert found, f"{page}.md has no {language} in {section or 'it'}"
    return found


def examples_missing_from(output: str, page: str) -> list[str]:
    """Return what a page says is printed (fences ``text``, ``console``) and is not in ``output``.

    Numbers, commits and their folders' beginnings are not compared.
    """
    bodies = [body for name, body in _FENCE.findall(page_text(page)) if name in {"text", "console"}]
    shown = [line for line in "".join(bodies).splitlines() if line and not line.startswith("$ ")]
    assert shown, f"{page}.md shows no output"
    printed = {_comparable(line) for line in output.splitlines()}
    return [line for line in shown if _comparable(line) not in printed]


def _comparable(line: str) -> str:
    line = re.sub(r"\b[0-9a-f]{40}\b", "COMMIT", line)
    line = re.sub(r"(?<!\w)/\S*/(inbox|\.models)/", r"/\1/", line)
    return re.sub(r"\d+(\.\d+)?( [kM]?B\b)?", "N", line)


def written(page: str, folder: Path) -> Path:
    """Write a page's files."""
    for name, text in page_files(page).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@dataclass(frozen=True)
class Project:
    """A page's files in a folder, locked, as `docker build` finds them."""

    folder: Path
    user: User
    page: str

    @property
    def files(self) -> dict[str, str]:
        """The page's files."""
        return page_files(self.page)

    def lock(self, *words: str) -> None:
        """Pin what the manifest asks for."""
        self.user.but(home=None).run(
            "lock", "--manifest", self.folder / "models.toml", *words
        ).done()

    def image(self, name: str = "image") -> Image:
        """Build the page's Dockerfile."""
        arguments = {"HF_ENDPOINT": self.user.endpoint}
        folder = self.folder.parent / name
        return build(self.files["Dockerfile"], self.folder, folder, arguments)


def project_of(page: str, user: User, tmp_path: Path) -> Project:
    """Write a page's files below ``tmp_path`` and lock what they ask for."""
    folder = written(page, tmp_path / "project")
    (folder / "holdfast").mkdir()  # the checkout of the pages
    made = Project(folder, user, page)
    made.lock()
    return made

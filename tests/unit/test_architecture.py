"""The shape of the project, checked: sizes, public names, error shape, documented settings."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast
import holdfast.errors
from holdfast.cli.main import build_parser
from holdfast.compat import HUB_VARIABLES, OFFLINE, VARIABLES
from holdfast.config import setting_docs
from holdfast.errors import HoldfastError

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "holdfast"
MODULES = sorted(SOURCE.rglob("*.py"))


def _name(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_fits_in_a_head(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) < 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= 60, f"{node.name} has {length} lines"


def _packages() -> Iterator[str]:
    for info in pkgutil.walk_packages([str(SOURCE)], "holdfast."):
        if info.ispkg:
            yield info.name


@pytest.mark.parametrize("name", sorted(_packages()))
def test_a_package_exports_exactly_what_it_imports(name: str) -> None:
    module = importlib.import_module(name)
    exported = set(getattr(module, "__all__", []))
    assert exported == {item for item in exported if hasattr(module, item)}
    tree = ast.parse((Path(str(module.__file__))).read_text("utf-8"))
    imported = {
        alias.asname or alias.name
        for node in (*tree.body, *_lazily(tree))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{name}._")
        for alias in node.names
    }
    own = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }
    if imported:
        assert own <= exported
        assert exported <= imported | own


def _lazily(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield what stands under ``if TYPE_CHECKING``: there a lazy package says what it has."""
    for node in tree.body:
        if isinstance(node, ast.If):
            yield from node.body


def _errors(root: type[HoldfastError] = HoldfastError) -> Iterator[type[HoldfastError]]:
    for kind in root.__subclasses__():
        if kind.__module__.startswith("holdfast."):  # the tests' own are not the product's
            yield kind
            yield from _errors(kind)


def test_every_error_has_a_code_of_its_own_and_is_documented() -> None:
    for path in MODULES:
        if '    code = "' in path.read_text("utf-8"):
            dotted = _name(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            importlib.import_module(f"holdfast.{dotted}")
    documented = (ROOT / "docs" / "errors.md").read_text("utf-8")
    codes = [kind.code for kind in _errors()]
    assert len(codes) == len(set(codes))
    for kind in _errors():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)+", kind.code), kind
        assert f"| `{kind.code}` | {kind.exit_code} |" in documented, kind.code


def test_an_error_says_what_why_and_what_to_do_in_one_shape() -> None:
    error = holdfast.errors.GatedRepo("org/m is gated", why="because", hint="do this", repo="org/m")
    assert str(error) == "org/m is gated: because"
    assert json.loads(json.dumps(error.to_dict())) == {
        "code": "gated-repo",
        "message": "org/m is gated",
        "why": "because",
        "hint": "do this",
        "facts": {"repo": "org/m"},
    }


def test_every_raised_error_comes_with_a_reason_and_a_hint() -> None:
    # Kinds with a constructor of their own bring the reason along.
    plain = [kind for kind in _errors() if kind.__init__ is HoldfastError.__init__]
    names = {kind.__name__ for kind in plain}
    lacking = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            given = {keyword.arg for keyword in node.keywords}
            if node.func.id not in names or None in given or _name(path).startswith("mirror/"):
                continue  # the mirror's answers have the Hub's own form
            # Over HTTP the reason says what would be right; there is no command to paste.
            wanted = {"why"} if _name(path).startswith("api/") else {"why", "hint"}
            if not wanted <= given:
                lacking.append(f"{_name(path)}:{node.lineno}")
    assert lacking == []


def test_every_setting_is_documented_with_its_default() -> None:
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    for setting, variables, default, unit, text in setting_docs():
        shown = ", ".join(f"`{name}`" for name in variables.split(", ") if name)
        cells = (f"`{setting}`" if setting else "", shown, f"`{default}`" if default else "")
        assert f"| {' | '.join(cells)} | {unit} | {text} |" in page


def test_every_command_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    action = next(a for a in build_parser()._actions if a.choices and a.metavar == "COMMAND")
    for command in action.choices or ():
        assert f"`holdfast {command}" in readme, command


def test_importing_the_core_loads_nothing_heavy() -> None:
    program = (
        "import sys, holdfast, holdfast.cli.main, holdfast.provision, holdfast.doctor;"
        "print(' '.join(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    loaded = set(done.stdout.split())
    heavy = {
        "torch", "numpy", "transformers", "onnxruntime", "av", "soxr", "fastapi", "starlette",
        "uvicorn", "huggingface_hub", "rich", "urllib3", "truststore", "tomli_w", "argcomplete",
        "asyncio",
    }  # fmt: skip
    assert loaded & heavy == set()


def test_the_readme_promises_the_commands_that_ci_runs() -> None:
    assert "python3 bootstrap.py test" in (ROOT / "README.md").read_text("utf-8")
    assert "python3 bootstrap.py test" in (ROOT / ".ci" / "run").read_text("utf-8")


def test_every_variable_that_run_sets_is_documented() -> None:
    page = (ROOT / "docs" / "variables.md").read_text("utf-8")
    for variable in (*HUB_VARIABLES, *VARIABLES, *OFFLINE):
        assert f"| `{variable.name}` | {variable.read_by} | {variable.read_when} |" in page

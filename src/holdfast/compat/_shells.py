"""Settings in the words of shells and container tools. Pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping

from holdfast.errors import ConfigInvalid

__all__ = ["SHELLS", "render"]


def _bash(name: str, value: str) -> str:
    return f"export {name}={shlex.quote(value)}"


def _fish(name: str, value: str) -> str:
    text = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {name} '{text}'"


def _powershell(name: str, value: str) -> str:
    # PowerShell takes typographic quotes for plain ones.
    text = re.sub("(['\u2018-\u201b])", r"\1\1", value)
    return f"$env:{name} = '{text}'"


def _docker(name: str, value: str) -> str:
    if "\n" in value:
        raise ConfigInvalid(
            f"{name} cannot be written in a Dockerfile", why="it holds a line break",
            hint="HOLDFAST_HOME=/a/plain/path holdfast env --shell docker",
        )  # fmt: skip
    text = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'ENV {name}="{text}"'


def _k8s(name: str, value: str) -> str:
    # Kubernetes expands $(NAME) in values; $$ is a dollar sign. JSON is YAML.
    text = json.dumps(value.replace("$", "$$"), ensure_ascii=False)
    return f"- name: {name}\n  value: {text}"


_LINES: dict[str, Callable[[str, str], str]] = {
    "bash": _bash,
    "fish": _fish,
    "powershell": _powershell,
    "docker": _docker,
    "k8s": _k8s,
}
SHELLS = (*_LINES, "json")


def render(values: Mapping[str, str], shell: str) -> str:
    """Return variables as ``shell`` reads them, one of `SHELLS`."""
    if shell == "json":
        return json.dumps(dict(sorted(values.items())), indent=2)
    line = _LINES[shell]
    return "\n".join(line(name, value) for name, value in sorted(values.items()))

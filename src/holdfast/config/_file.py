"""``holdfast.toml``: where it is, what may stand in it, and what all of it comes to."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.config._reading import (
    Reading,
    database,
    flag,
    from_variables,
    given,
    names,
    read,
    secret,
)
from holdfast.config._service import (
    MODEL_READINGS,
    SERVICE_READINGS,
    ModelSettings,
    ServiceSettings,
)
from holdfast.config._settings import READINGS, Settings
from holdfast.errors import ConfigInvalid

__all__ = ["CONFIG_VARIABLE", "Configuration", "configuration", "setting_docs", "unknown_variables"]

CONFIG_VARIABLE = "HOLDFAST_CONFIG"
_NAME = "holdfast.toml"
_HUB = "hub"
_MODELS = "models"


class Configuration(NamedTuple):
    """Everything that was said, wherever.

    Attributes:
        settings: about models on disk.
        service: about the service.
        path: the file that was read, if any.
    """

    settings: Settings
    service: ServiceSettings
    path: Path | None


def configuration(
    env: Mapping[str, str], *, file: Path | None = None, **overrides: Any
) -> Configuration:
    """Read ``holdfast.toml`` and the variables.

    Args:
        env: the environment's variables; they win over the file.
        file: the file; else what HOLDFAST_CONFIG names, else ``holdfast.toml`` in the present
            folder, if it is there.
        overrides: win over both; those that are None say nothing.

    Raises:
        ConfigInvalid: the file is missing, not TOML, or has something unknown in it; a value
            cannot be read. All that is unknown is named at once.
    """
    named = file or (Path(env[CONFIG_VARIABLE]) if env.get(CONFIG_VARIABLE) else None)
    path = named or (Path(_NAME) if Path(_NAME).is_file() else None)
    tables = _load(path) if path is not None else {}
    _check_known(path, tables)
    hub = _read_table(_HUB, tables.get(_HUB, {}), READINGS)
    known = Settings._fields
    mine = {name: value for name, value in overrides.items() if name in known}
    settings = Settings.from_env(env, hub, **mine)
    if named is None and "endpoint" in hub and settings.endpoint == hub["endpoint"]:
        # Whoever can place a file in a folder must not learn the token of who works there.
        settings = settings._replace(token=None)
    values: dict[str, Any] = {}
    for table, readings in SERVICE_READINGS.items():
        given = tables.get(table, {}) if table else {k: tables[k] for k in readings if k in tables}
        keys = _keys(table, readings)
        found = _read_table(table, given, {key: readings[name] for key, name in keys.items()})
        values |= {keys[key]: value for key, value in found.items()}
        values |= from_variables(readings, env)
    values |= _given({k: v for k, v in overrides.items() if k not in known and v is not None})
    values[_MODELS] = {
        model: ModelSettings(**_read_table(f"{_MODELS}.{model}", given, MODEL_READINGS))
        for model, given in tables.get(_MODELS, {}).items()
    }
    return Configuration(settings, ServiceSettings(**values), path)


def _given(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a command was told, checked like everything else."""
    readings = {name: of for table in SERVICE_READINGS.values() for name, of in table.items()}
    return {name: given(f"--{name}", value, readings[name]) for name, value in overrides.items()}


def _load(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigInvalid(
            f"{path} cannot be read", why=reason or str(error),
            hint=f"correct it, or leave it out: without --config, unset {CONFIG_VARIABLE}",
        ) from error  # fmt: skip


def _check_known(path: Path | None, tables: Mapping[str, Any]) -> None:
    unknown = [*_unknown_keys("", tables, [*SERVICE_READINGS[""], *_tables()])]
    for table, readings in ((_HUB, READINGS), *SERVICE_READINGS.items()):
        given = tables.get(table, {}) if table else {}
        unknown += _unknown_keys(table, given, _keys(table, readings))
    models = tables.get(_MODELS, {})
    unknown += _unknown_keys(_MODELS, models, models if isinstance(models, dict) else ())
    for model, given in models.items() if isinstance(models, dict) else ():
        unknown += _unknown_keys(f"{_MODELS}.{model}", given, MODEL_READINGS)
    if unknown:
        raise ConfigInvalid(
            f"{path} has settings that mean nothing",
            why="; ".join(unknown),
            hint="docs/settings.md lists them all",
            unknown=unknown,
        )


def _keys(table: str, readings: Iterable[str]) -> dict[str, str]:
    """Return a table's settings by their keys: ``language_url`` is ``url`` in ``[language]``."""
    return {name.removeprefix(f"{table}_"): name for name in readings}


def _tables() -> list[str]:
    return [_HUB, _MODELS, *(table for table in SERVICE_READINGS if table)]


def _unknown_keys(table: str, given: Any, known: Iterable[str]) -> list[str]:
    shown = f"[{table}]" if table else "the top"
    if not isinstance(given, dict):
        return [f"{shown} is no table"]
    found = []
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, list(known), 1)
            found.append(f"{key} in {shown}" + (f" (did you mean {near[0]}?)" if near else ""))
    return found


def _read_table(
    table: str, given: Mapping[str, Any], known: Mapping[str, Reading]
) -> dict[str, Any]:
    values = {}
    for key, value in given.items():
        name = f"[{table}] {key}" if table else f"[] {key}"
        if known[key].parse is secret or (known[key].parse is database and _has_password(value)):
            raise ConfigInvalid(
                f"{name} does not belong in a file", why="files are shared and kept; keys leak so",
                hint=f"export {known[key].variables[0]}=...",
            )  # fmt: skip
        values[key] = read(name, _as_text(name, value, known[key]), known[key])
    return values


def _has_password(address: Any) -> bool:
    from urllib.parse import urlsplit

    parts = urlsplit(str(address))
    return parts.password is not None or "password=" in parts.query


def _as_text(name: str, value: Any, reading: Reading) -> str:
    if isinstance(value, bool) and reading.parse is flag:
        return "1" if value else "0"
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ("," if reading.parse is names else os.pathsep).join(value)
    raise ConfigInvalid(
        f"the setting {name} cannot be used", why=f"it is a {type(value).__name__}",
        hint="docs/settings.md shows what it may be",
    )  # fmt: skip


def unknown_variables(env: Mapping[str, str]) -> list[str]:
    """Return the ``HOLDFAST_*`` variables that mean nothing to this version, sorted."""
    tables = (READINGS, *SERVICE_READINGS.values())
    known = {name for table in tables for reading in table.values() for name in reading.variables}
    known.add(CONFIG_VARIABLE)
    return sorted(v for v in env if v.startswith("HOLDFAST_") and v not in known)


def setting_docs() -> list[tuple[str, str, str, str, str]]:
    """Return ``(setting, variables, default, unit, documentation)`` of every setting."""
    rows = []
    defaults = Settings._field_defaults | ServiceSettings._field_defaults
    tables = {_HUB: READINGS, **SERVICE_READINGS, f"{_MODELS}.ID": MODEL_READINGS}
    for table, readings in tables.items():
        for name, reading in readings.items():
            value = None if table.startswith(_MODELS) else defaults[name]
            shown = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            default = "" if value is None else shown
            setting = f"[{table}] {name.removeprefix(f'{table}_')}" if table else name
            if reading.parse is secret:
                setting = ""
            rows.append((setting, ", ".join(reading.variables), default, reading.unit, reading.doc))
    return rows

"""A run's config as users give it: a mapping, an argparse.Namespace, absl's flags, or a YAML file.

Gives: a dict of plain values.  YAML follows 1.2, so `1e-5` is a number; `key: {value: x}`, as W&B writes it, is `x`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from besom.errors import ConfigError, UsageError
from besom.tracking.values import plain

__all__ = ["DEFAULTS_FILE", "as_mapping", "chosen", "from_files"]

DEFAULTS_FILE: Final = "config-defaults.yaml"
"""Read from the working directory; everything else goes over it."""

_FORMS: Final = "write a dict, an argparse.Namespace, absl flags or the path of a YAML file"


def as_mapping(config: Any) -> dict[str, Any]:
    """The config as a dict of plain values.

    Raises:
        UsageError: it has another form, a name is no string, or the file cannot be read.
    """
    if config is None:
        return {}
    if isinstance(config, str | os.PathLike):
        given = _read(Path(config))
    elif isinstance(config, Mapping):
        given = dict(config)
    elif hasattr(config, "flag_values_dict"):  # absl.flags.FLAGS
        given = dict(config.flag_values_dict())
    elif hasattr(config, "__dict__") and not isinstance(config, type):
        given = dict(vars(config))
    else:
        raise UsageError(f"config={config!r} cannot be a run's config; {_FORMS}")
    for key in given:
        if not isinstance(key, str):
            raise UsageError(f"config: the name {key!r} is no string")
    return {key: plain(value, f"config.{key}", objects=True) for key, value in given.items()}


def from_files(paths: Iterable[str] | None) -> dict[str, Any]:
    """What the defaults file here, if there is one, and these files say; later ones win.

    Raises:
        UsageError: a file cannot be read.
    """
    found = as_mapping(DEFAULTS_FILE) if Path(DEFAULTS_FILE).is_file() else {}
    for path in paths or ():
        found |= as_mapping(path)
    return found


def chosen(
    config: dict[str, Any], exclude: Collection[str] | None = None, include: Collection[str] | None = None
) -> dict[str, Any]:
    """The config without the excluded names, or with the included ones only.

    Raises:
        UsageError: both are given.
    """
    if exclude and include:
        raise UsageError("config_exclude_keys and config_include_keys exclude each other; write one of them")
    if include:
        return {key: value for key, value in config.items() if key in include}
    return {key: value for key, value in config.items() if key not in (exclude or ())}


def _read(path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        held = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise ConfigError(f"config={str(path)!r}: the file cannot be read ({reason}); {_FORMS}") from None
    except YAMLError as error:
        raise ConfigError(f"config={str(path)!r} is no YAML: {str(error).splitlines()[0]}") from None
    if held is None:
        return {}
    if not isinstance(held, Mapping):
        raise ConfigError(f"config={str(path)!r} holds a {type(held).__name__}; write `name: value` lines")
    return {
        key: value["value"] if isinstance(value, Mapping) and "value" in value else value for key, value in held.items()
    }

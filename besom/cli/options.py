"""What several commands need of their options: settings, a connection, the Redis URL without a password in `ps`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from besom.errors import ConfigError, UsageError
from besom.settings import Settings, read_settings

if TYPE_CHECKING:
    from besom.broker.connection import Connection

__all__ = ["connection_for", "settings_with"]


def settings_with(redis_url: str | None = None, **overrides: object) -> Settings:
    """The environment's settings with a command's options on top.

    Raises:
        ConfigError, UsageError: a value that cannot be, or a password on the command line.
    """
    return read_settings(redis_url=_redis_url(redis_url), **overrides)


def connection_for(settings: Settings, *, start: bool = False) -> Connection:
    """Redis, for a command that waits a few seconds for it and no longer."""
    from besom.broker.service import connect

    return connect(settings, start=start, patience=10)


def _redis_url(given: str | None) -> str | None:
    if given is None:
        return None
    if given.startswith("@"):
        try:
            return Path(given[1:]).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8"
            raise ConfigError(
                f"--redis {given}: the file cannot be read ({reason}); write @ and the path of a file with the URL"
            ) from None
    try:
        has_password = bool(urlsplit(given).password)
    except ValueError:
        has_password = False
    if has_password:
        raise UsageError(
            "--redis has a password, which every user of this machine can see in `ps`; "
            "put the URL into BESOM_REDIS_URL, or into a file and write --redis @FILE"
        )
    return given

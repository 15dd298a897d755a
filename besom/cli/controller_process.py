"""What `besom controller` is: a controller for a given Redis, or the service with its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack

from besom.broker.connection import redact
from besom.broker.service import Service, connect
from besom.controller.loop import Controller
from besom.controller.service import serve, stop_on_signals
from besom.disk import write_private
from besom.errors import BesomError
from besom.settings import Settings
from besom.tracking.store import Store

__all__ = ["be_controller", "be_service"]


def be_service(settings: Settings) -> None:
    """The detached service; why it cannot start goes into a file that whoever started it reads."""
    try:
        serve(settings, idle=True)
    except BesomError as error:
        write_private(Service(settings).error_file, str(error))
        raise


def be_controller(settings: Settings, http: str | None, say: Callable[[str], None]) -> None:
    """A controller in the foreground."""
    if settings.redis_url is None:
        serve(settings, idle=False, ready=lambda info: say(f"controller ready, Redis {info.redis}; Ctrl-C ends it"))
        return
    connection = connect(settings)
    store = Store.open(settings.store_url)
    stop = threading.Event()
    with ExitStack() as stack:
        stack.callback(store.close)
        stack.callback(connection.close)
        worker = Controller(connection, store, settings)
        stack.enter_context(stop_on_signals(stop))
        say(f"controller for {redact(connection.url)}, store {store.url}; Ctrl-C ends it")
        worker.run(stop)

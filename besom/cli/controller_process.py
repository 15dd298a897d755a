"""What `besom controller` is: a controller for a given Redis, or the service with its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress

from besom.broker.lead import read_leader
from besom.broker.service import Service, connect
from besom.cli.state import check_redis
from besom.controller.loop import Controller
from besom.controller.service import serve, stop_on_signals
from besom.dashboard.server import HttpServer, read_host_port
from besom.disk import write_private
from besom.errors import BesomError, ConfigError, Unreachable
from besom.settings import Settings
from besom.tracking.blobs.ways import RESERVE_BYTES, kept_at
from besom.tracking.store.store import Store

__all__ = ["be_controller", "be_service"]


def be_service(settings: Settings) -> None:
    """The detached service; why it cannot start goes into a file that whoever started it reads."""
    try:
        serve(settings, idle=True)
    except BesomError as error:
        write_private(Service(settings).error_file, str(error))
        raise


def be_controller(settings: Settings, http: str | None, say: Callable[[str], None]) -> None:
    """A controller in the foreground.

    Raises:
        ConfigError: `http` cannot be, or this Redis throws keys away.
        Unreachable, StoreError: Redis, the store or the HTTP address is not to be had.
    """
    where = read_host_port(http) if http is not None else None
    with ExitStack() as stack:

        def info_of(store: Store, leads: Callable[[str], bool] = lambda _: True) -> dict[str, str]:
            if where is None:
                return {}
            server = HttpServer(store, kept_at(settings, reserve=RESERVE_BYTES), *where, leads=leads)
            stack.callback(server.stop)
            say(f"read API at {server.address}")
            return {"http": server.address, "token": server.token}

        if settings.redis_url is None:
            with suppress(Unreachable):  # to be made; what cannot be is told before a Redis is started for it
                Store.open(settings.store_url, create=False).close()
            said = "controller ready, Redis is {}; Ctrl-C ends it"
            serve(settings, idle=False, info_of=info_of, ready=lambda info: say(said.format(info.redis)))
            return
        connection = connect(settings)
        stack.callback(connection.close)
        refusals, warnings = check_redis(connection)
        if refusals:
            raise ConfigError(f"Redis at {connection.shown}: {'; '.join(refusals)}")
        for warning in warnings:
            say(f"warning: {warning}")
        store = Store.open(settings.store_url)
        stack.callback(store.close)
        stop = threading.Event()
        stack.enter_context(stop_on_signals(stop))
        asking = connect(settings, patience=2)  # a request must not wait through an outage
        stack.callback(asking.close)
        info = info_of(store, lambda token: bool(read_leader(asking).info.get("token") == token))
        worker = Controller(connection, store, settings, info)
        say(f"controller for {connection.shown}, store {store.url}; Ctrl-C ends it")
        worker.run(stop)

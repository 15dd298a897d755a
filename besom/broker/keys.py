"""Every key besom has in Redis, in one table, for Python and for Lua.

Only RQ's own keys stand elsewhere (`rq:queue:*`, `rq:job:*`), named after `queue_name`.
"""

from __future__ import annotations

__all__ = ["KEYS", "LUA_KEYS", "Keys"]

KEYS: dict[str, str] = {
    # sweeps and trials
    "sweeps": "sweeps",  # zset: sweep id by creation time (ms); those not removed
    "sweep": "sweep:{}",  # hash: spec (json), state, retries
    "ready": "ready:{}",  # list: numbers of trials that wait, first to go first
    "done": "done:{}",  # bitmap: trials whose end is in the store
    "trials": "trials:{}",  # hash: number to record (lua/common.lua); those whose end is not in the store
    "stops": "stops:{}",  # set: numbers of running trials that a stopping rule ends
    "leases": "leases",  # zset: "sweep:number" by end of lease (ms)
    "reaper": "reaper",  # hash: last, hold (ms): when reap last ran, until when it holds still
    "timing": "timing",  # hash: lease_ms, journal_limit: lengths the controller has set for all
    # agents and runs outside sweeps
    "agents": "agents",  # zset: agent id by the time its beat runs out (ms)
    "agent": "agent:{}",  # hash: what the agent said of itself, its last claim
    "runs": "runs",  # zset: run id by the time its beat runs out (ms)
    # journal
    "journal": "journal",  # stream: what happened and is not in the store
    "journal_state": "journal:state",  # hash: id, total (bytes ever written), read (bytes), last_id (recorded)
    "writers": "writers:{}",  # hash of a run: "sent <writer>", "kept <writer>": last batch in the journal, in the store
    # blobs on their way to the controller, where there is no other way
    "parcels": "parcels",  # stream: pieces of blobs that nobody has taken yet
    "parcel_state": "parcel:state",  # hash: total (bytes ever sent), read (bytes taken)
    "parcel": "parcel:{}",  # string, for minutes: what became of a parcel
    # controller and service
    "controller": "controller",  # hash: holder, epoch, until (ms), info (json)
    "service": "service",  # hash: nonce, down (asked to end), active (ms of the last client)
}


class Keys:
    """The table for one namespace: `keys.trial("abc", 3)` gives the key's name."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def __getattr__(self, name: str) -> KeyMaker:
        try:
            return KeyMaker(f"{self.namespace}:{KEYS[name]}")
        except KeyError:
            raise AttributeError(f"no key is called {name!r}") from None

    def queue_name(self, sweep: str) -> str:
        """Name of a sweep's RQ queue."""
        return f"besom:{self.namespace}:{sweep}"


class KeyMaker:
    """Fills one template of the table."""

    __slots__ = ("_template",)

    def __init__(self, template: str) -> None:
        self._template = template

    def __call__(self, *parts: object) -> str:
        return self._template.format(*parts)


def _lua_keys() -> str:
    lines = ["local key = {}"]
    for name, template in KEYS.items():
        parts = template.split("{}")
        arguments = [f"a{i}" for i in range(len(parts) - 1)]
        text = " .. ".join(
            piece for i, part in enumerate(parts) for piece in ([f"'{part}'"] if part else []) + arguments[i : i + 1]
        )
        lines.append(f"function key.{name}({', '.join(arguments)}) return ARGV[1] .. ':' .. {text} end")
    return "\n".join(lines) + "\n"


LUA_KEYS = _lua_keys()
"""The same table as Lua functions; every script gets the namespace as ARGV[1]."""

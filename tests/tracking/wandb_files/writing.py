"""`.wandb` files as tests need them: records of protocol buffers, in LevelDB's log format."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

BLOCK = 32_768


def varint(number: int) -> bytes:
    out = bytearray()
    number &= (1 << 64) - 1
    while True:
        number, low = number >> 7, number & 0x7F
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def message(fields: Mapping[int, Any]) -> bytes:
    """Fields by number: an int, a float, text, bytes, a message as a dict, or a list of these."""
    out = b""
    for number, given in fields.items():
        for value in given if isinstance(given, list) else [given]:
            if isinstance(value, int):
                out += varint(number << 3) + varint(value)
            elif isinstance(value, float):
                out += varint(number << 3 | 1) + struct.pack("<d", value)
            else:
                content = message(value) if isinstance(value, dict) else value
                content = content.encode() if isinstance(content, str) else content
                out += varint(number << 3 | 2) + varint(len(content)) + content
    return out


def framed(records: Iterable[bytes]) -> bytes:
    """A whole file."""
    out = bytearray(struct.pack("<4sHB", b":W&B", 0xBEE1, 0))
    for record in records:
        first = True
        while True:
            room = BLOCK - len(out) % BLOCK
            if room < 7:
                out += bytes(room)
                continue
            piece, record = record[: room - 7], record[room - 7 :]
            kind = {(True, True): 1, (True, False): 2, (False, False): 3, (False, True): 4}[first, not record]
            out += struct.pack("<IHB", zlib.crc32(piece, zlib.crc32(bytes([kind]))), len(piece), kind) + piece
            first = False
            if not record:
                break
    return bytes(out)


def item(name: str, value: Any) -> dict[int, Any]:
    return {1: name, 16: json.dumps(value)}


def run(run_id: str = "r", at: int = 1000, **more: Any) -> bytes:
    """A run's record; `more` by field number as `f12="…"`."""
    told = {1: run_id, 2: "e", 3: "p", 17: {1: at}} | {int(name[1:]): value for name, value in more.items()}
    return message({17: told})


def row(step: int, at: float = 1001.0, **values: Any) -> bytes:
    items = [item(name, value) for name, value in {**values, "_timestamp": at, "_step": step}.items()]
    return message({2: {1: items, 2: {1: step}}})


def summary(**values: Any) -> bytes:
    return message({3: {1: [item(name, value) for name, value in values.items()]}})


def ended(exit_code: int = 0, runtime: int = 5) -> bytes:
    return message({18: {1: exit_code, 2: runtime}})


def write(folder: Path, records: Iterable[bytes], name: str = "run-r.wandb") -> Path:
    """The file, in a folder as wandb makes it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(framed(records))
    return path

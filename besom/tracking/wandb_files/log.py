"""The frame of a `.wandb` file: LevelDB's log format behind a header of wandb's own.

Seven bytes of header, then blocks of 32 kB. A record lies in one piece or in several, and no piece crosses a block's
end; each piece has a checksum, a length and a type (whole, first, middle, last).
Reads: a file, to its end or to where it was torn.  Gives: the records' bytes.  Knows nothing of what is in them.

Source: LevelDB, doc/log_format.md; unlike LevelDB the checksum is zlib's CRC-32, over type and content.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from besom.errors import BesomError

__all__ = ["LogFile", "NotALog"]

_HEADER: Final = struct.Struct("<4sHB")
_IDENT: Final = b":W&B"
_MAGIC: Final = 0xBEE1
_VERSION: Final = 0
_BLOCK: Final = 32_768
_PIECE: Final = struct.Struct("<IHB")
_DAMAGED, _WHOLE, _FIRST, _MIDDLE, _LAST = range(5)


class NotALog(BesomError):
    """A file that does not begin as a `.wandb` file does."""


class LogFile:
    """One `.wandb` file.

    Args:
        path: The file. It may be growing, torn or damaged.

    Raises:
        NotALog: it is another kind of file, or of a version that is not known.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage: list[str] = []
        """What `records` had to leave out, filled while it runs."""
        self.count = 0
        """Records that it has given."""
        with path.open("rb") as file:
            head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            raise NotALog(f"{path} has {len(head)} bytes; a .wandb file begins with a header of {_HEADER.size}")
        ident, magic, version = _HEADER.unpack(head)
        if (ident, magic) != (_IDENT, _MAGIC):
            raise NotALog(f"{path} is no .wandb file: it begins with {head!r}")
        if version != _VERSION:
            raise NotALog(f"{path} is a .wandb file of version {version}; version {_VERSION} can be read")

    def records(self) -> Iterator[bytes]:
        """The records in order. A damaged block is passed over from the damage on; what is whole after it is given."""
        self.damage, self.count = [], 0
        for content in self._joined():
            self.count += 1
            yield content

    def _joined(self) -> Iterator[bytes]:
        parts: list[bytes] = []
        with self.path.open("rb") as file:
            for kind, content in self._pieces(file):
                if kind == _DAMAGED:
                    parts = []
                    continue
                if kind in (_WHOLE, _FIRST) and parts:
                    self.damage.append("a record without its end")
                if kind == _WHOLE:
                    parts = []
                    yield content
                elif kind == _FIRST:
                    parts = [content]
                elif not parts:
                    self.damage.append("a record without its beginning")
                else:
                    parts.append(content)
                    if kind == _LAST:
                        yield b"".join(parts)
                        parts = []
        if parts:
            self.damage.append("the last record is cut off")

    def _pieces(self, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
        """Type and content; `_DAMAGED` where something is missing, so that nothing is joined over the gap."""
        start = 0
        while block := file.read(_BLOCK):
            at = _HEADER.size if start == 0 else 0
            while at + _PIECE.size <= len(block):
                checksum, length, kind = _PIECE.unpack_from(block, at)
                content = block[at + _PIECE.size : at + _PIECE.size + length]
                if not checksum and not length and not kind and not any(block[at:]):
                    break  # what was set aside and not written yet
                if len(content) < length or not _WHOLE <= kind <= _LAST or _checksum(kind, content) != checksum:
                    self._damaged(start + at, len(content) < length and len(block) < _BLOCK)
                    yield _DAMAGED, b""
                    break
                yield kind, content
                at += _PIECE.size + length
            else:
                if len(block) < _BLOCK and at < len(block):
                    self._damaged(start + at, True)
            start += len(block)

    def _damaged(self, at: int, at_end: bool) -> None:
        what = "the last record is cut off" if at_end else "damaged"
        self.damage.append(f"byte {at}: {what}" + ("" if at_end else f"; the rest of its {_BLOCK} bytes is left out"))


def _checksum(kind: int, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(bytes((kind,))))

"""Private files, and file systems that lie about locks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from besom import disk
from besom.errors import ConfigError, Unreachable

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/export /mnt/team nfs4 rw 0 0
/dev/sdb1 /mnt/team/local xfs rw 0 0
server:/x /mnt/with\\040space nfs rw 0 0
host:/y /mnt/ssh fuse.sshfs rw 0 0
"""


@pytest.fixture
def mounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """/proc/mounts of a machine with network file systems."""
    real = Path.read_text

    def read_text(self: Path, *args: str, **kwargs: str) -> str:
        return MOUNTS if str(self) == "/proc/mounts" else real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(Path, "exists", lambda self: True)


def test_a_private_file_is_whole_and_closed(tmp_path: Path) -> None:
    """Mode 0600 whatever the umask and whatever stood there, and no scratch file is left."""
    path = tmp_path / "secret.json"
    path.write_text("old")
    path.chmod(0o644)
    disk.write_private(path, {"password": "x"})
    assert json.loads(path.read_text()) == {"password": "x"}
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """What cannot be encoded does not damage what is there."""
    path = tmp_path / "kept"
    disk.write_private(path, "old")
    with pytest.raises(UnicodeEncodeError):
        disk.write_private(path, "\ud800")
    assert path.read_text() == "old"


def test_a_folder_that_is_made_is_private(tmp_path: Path) -> None:
    """Mode 0700; one that was there keeps its mode."""
    made = disk.private_folder(tmp_path / "a" / "b")
    assert made.stat().st_mode & 0o777 == 0o700
    made.chmod(0o755)
    assert disk.private_folder(made).stat().st_mode & 0o777 == 0o755


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The message holds the path, the reason and the way out."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Unreachable, match=r"the folder .*file/x cannot be made: Not a directory; set BESOM_HOME"):
        disk.private_folder(tmp_path / "file" / "x")


@pytest.mark.usefixtures("mounts")
@pytest.mark.parametrize("place", ["/mnt/team", "/mnt/team/me/besom", "/mnt/with space/x", "/mnt/ssh/x"])
def test_network_disks_are_refused(place: str) -> None:
    """Each with the path and two ways out."""
    with pytest.raises(ConfigError) as caught:
        disk.refuse_network_disk(Path(place), "the store")
    message = str(caught.value)
    assert place in message
    assert "the store would be damaged" in message
    assert "BESOM_HOME" in message
    assert "BESOM_REDIS_URL" in message


@pytest.mark.usefixtures("mounts")
@pytest.mark.parametrize("place", ["/", "/var/x", "/mnt/team/local/x", "/mnt/teammate"])
def test_local_disks_are_not(place: str) -> None:
    """The longest mount point above the path decides, by whole names."""
    disk.refuse_network_disk(Path(place), "the store")
    assert disk._file_system(Path(place)) in ("ext4", "xfs")


def test_who_and_where_we_are() -> None:
    """A host and a boot have names that stay the same while both live."""
    assert disk.host_id() == disk.host_id() != ""
    assert disk.boot_id() == disk.boot_id()

"""Whether a folder lies on a network file system, where SQLite's write-ahead log would lose data.

The log needs memory that all its processes share, and locks that hold (https://sqlite.org/wal.html): two machines that
write over a network damage the file without an error.
"""

from __future__ import annotations

from pathlib import Path

NETWORK_TYPES = frozenset({
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "glusterfs", "fuse.glusterfs", "lustre", "gpfs",
    "beegfs", "beegfs_nodev", "davfs", "fuse.davfs2", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone",
    "fuse.ceph", "fuse.goofys",
})  # fmt: skip
MOUNTS = Path("/proc/mounts")
"""Linux lists here what is mounted where; other systems have no such file."""


def network_type(folder: Path) -> str | None:
    """The type of the network file system that `folder` lies on; None: it lies on none, or that cannot be told."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    place, deepest, kind = folder.resolve(), -1, ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        # Blanks and the like are octal in this file.
        mount = Path(fields[1].encode("latin-1", "replace").decode("unicode_escape") if "\\" in line else fields[1])
        if (place == mount or mount in place.parents) and len(mount.parts) >= deepest:
            deepest, kind = len(mount.parts), fields[2]  # of two on one place, the later covers the earlier
    return kind if kind in NETWORK_TYPES else None

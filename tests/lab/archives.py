"""Sites as ramdisks: archives of files, given as a dictionary of names and contents."""

import io
import tarfile

MODIFIED = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT


def cpio(files, directories=(), file_mode=0o644):
    """The files, after those directories, as an archive in the newc format."""
    archive = bytearray()

    def add(name, contents, mode):
        fields = [0, mode, 0, 0, 1, MODIFIED, len(contents), 0, 0, 0, 0, len(name) + 1, 0]
        archive.extend(b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0")
        archive.extend(bytes(-len(archive) % 4) + contents)
        archive.extend(bytes(-len(archive) % 4))

    for name in directories:
        add(name, b"", 0o40755)
    for name, contents in files.items():
        add(name, contents, 0o100000 | file_mode)
    add("TRAILER!!!", b"", 0)
    return bytes(archive)


def tar(files):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as out:
        for name, contents in files.items():
            member = tarfile.TarInfo("./" + name)
            member.size = len(contents)
            member.mtime = MODIFIED
            out.addfile(member, io.BytesIO(contents))
    return archive.getvalue()

# Lists archives that come on standard input, each after its length: a line of JSON for each archive, which holds
# an error, or a text and a time for each entry.
import io, json, math, struct, sys, tarfile

KINDS = {tarfile.REGTYPE: "-", tarfile.AREGTYPE: "-", tarfile.CONTTYPE: "-", tarfile.LNKTYPE: "h",
         tarfile.SYMTYPE: "l", tarfile.CHRTYPE: "c", tarfile.BLKTYPE: "b", tarfile.DIRTYPE: "d", tarfile.FIFOTYPE: "p"}


class Member(tarfile.TarInfo):
    """Without what Python alone reads of headers that are not ustar's: a prefix, and devices of v7."""

    @classmethod
    def frombuf(cls, block, *rest):
        member = super().frombuf(block, *rest)
        prefix = tarfile.nts(block[345:500], *rest)
        is_ustar = block.startswith(b"ustar\0", 257)
        if prefix and not is_ustar:
            member.name = member.name.removeprefix(prefix + "/")
        if not is_ustar and not block.startswith(b"ustar  \0", 257):
            member.devmajor = member.devminor = 0
        return member


def shown(name):
    name = name.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if 0x20 < byte < 0x7f and byte != 0x5c else f"\\{byte:03o}" for byte in name)


def entry(member):
    kind = KINDS.get(member.type, "?")
    size = {"-": member.size, "c": f"{member.devmajor},{member.devminor}", "b": f"{member.devmajor},{member.devminor}"}
    link = shown(member.linkname) if kind in "hl" else ""
    path = shown(member.name.rstrip("/"))
    text = f"{kind} {member.mode & 0o7777:04o} {member.uid}/{member.gid} {size.get(kind, 0)} {path} {link}"
    # Python's times with a fraction are less exact than whole ones.
    return [text, math.floor(member.mtime) if abs(member.mtime) < 1 << 53 else None]


def listing(data):
    options = {"tarinfo": Member, "encoding": "utf-8", "errors": "surrogateescape"}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:", **options) as archive:
            entries = [entry(member) for member in archive]
            # Python ends without a word at a header that it cannot read.
            is_end = not data[archive.offset:][:512].strip(b"\0")
            return {"Ok": entries} if is_end else {"Err": "it cannot read a header"}
    except Exception as error:
        return {"Err": str(error)}


while header := sys.stdin.buffer.read(4):
    data = sys.stdin.buffer.read(struct.unpack(">I", header)[0])
    print(json.dumps(listing(data)))

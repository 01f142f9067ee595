"""The guest's kernel and first file system: made once from a Debian kernel package, then kept.

A micro-VM without KVM spends most of its start in decompressing the kernel and in drivers that it
never uses.  So the kernel is unpacked here, on the host, and the guest gets an archive with
BusyBox, ``init.sh`` and the few modules of the lab.  Everything else it reads from the host's own
root, through 9p: there is no disk image to build and to keep up to date.

Run as a program it makes the image: ``python3 -m toolkit.ebpf.image --into FOLDER [--deb FILE]``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_IFDIR, S_IFLNK, S_IFREG
from typing import Self

from toolkit.ebpf.debian import ImageError, download

INIT = Path(__file__).with_name("init.sh")
MODULES = """
    virtio_pci virtio_console 9pnet_virtio 9p overlay veth ifb dummy
    sch_ingress sch_fq sch_codel sch_htb sch_tbf sch_netem sch_prio
    cls_bpf cls_matchall cls_u32 act_bpf act_gact act_police act_mirred
    nf_tables nft_limit nft_ct nft_compat nft_connlimit nft_hash nft_numgen nft_quota nft_objref
    ip_tables iptable_raw iptable_filter ip6_tables ip6table_raw ip6table_filter
    xt_hashlimit xt_limit xt_tcpudp xt_bpf xt_comment xt_length xt_mark crc32c_generic
"""
"""The first five ``init.sh`` loads, the others the kernel asks for; what they need comes with them.

No module says that it needs ``crc32c_generic``: nf_tables asks for the algorithm by name.
"""

APPLETS = "cat chroot ip ln mkdir modprobe mount poweroff sh touch uname usleep"
FOLDERS = "bin sbin dev proc sys host scratch root lib lib/modules"
_PLACES = re.compile(
    r"\./(boot/vmlinuz-(?P<release>.+)|lib/modules/[^/]+/kernel/"
    r"(net|lib|crypto|fs/(9p|fscache|netfs|overlayfs)|drivers/(net|virtio|char))/"
    r"([^/]+/)*(?P<module>[^/]+)\.ko)"
)
"""The files of the package that are read; it has 4000 modules, 400 MB of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What a guest is booted from: an uncompressed kernel and its archive of first files."""

    kernel: Path
    initramfs: Path
    release: str

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Return the image in ``folder``, or None if it has none that this version made."""
        place = folder / "image"
        try:
            facts = json.loads((place / "image.json").read_text())
        except (OSError, ValueError):
            return None
        if facts.get("recipe") != recipe():
            return None
        return cls(
            kernel=place / "vmlinux",
            initramfs=place / "initramfs.cpio",
            release=facts["release"],
        )


def headers(release: str) -> dict[str, Path]:
    """Return where Debian puts a kernel's headers, by the names that /lib/modules has for them."""
    common = f"{release.rpartition('-')[0]}-common"
    return {
        "build": Path(f"/usr/src/linux-headers-{release}"),
        "source": Path(f"/usr/src/linux-headers-{common}"),
    }


def recipe() -> str:
    """Return a short hash of all that an image is made of, so that an old one is not taken."""
    return hashlib.sha256(f"{INIT.read_text()}{MODULES}{APPLETS}".encode()).hexdigest()[:16]


def cache_folders() -> list[Path]:
    """Return where an image may be, the first that counts first."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    folders = [home / "goodput-lab", Path("/var/cache/goodput-lab")]
    named = os.environ.get("GOODPUT_LAB_IMAGE")
    return [Path(named), *folders] if named else folders


def find() -> Image | None:
    """Return the first image there is; a folder named by ``GOODPUT_LAB_IMAGE`` is the only one."""
    folders = cache_folders()
    if os.environ.get("GOODPUT_LAB_IMAGE"):
        folders = folders[:1]
    return next((image for image in map(Image.read, folders) if image), None)


# --- out of the package ---


def unpack(deb: Path) -> tuple[str, bytes, dict[str, bytes]]:
    """Return the release, the compressed kernel and the modules (by name) of a kernel package."""
    command = ["dpkg-deb", "--fsys-tarfile", str(deb)]
    release, kernel, modules = "", b"", {}
    try:
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,  # noqa: S603
            tarfile.open(fileobj=process.stdout, mode="r|") as archive,
        ):
            for kind, name, content in _files(archive):
                if kind == "module":
                    modules[name.replace("-", "_")] = content
                else:
                    release, kernel = name, content
    except tarfile.TarError as error:
        raise ImageError(f"{deb}: not a whole Debian package ({error})") from error
    if process.returncode:
        raise ImageError(f"{deb}: not a whole Debian package (dpkg-deb: {process.returncode})")
    if not release:
        raise ImageError(f"{deb}: holds no kernel; a linux-image-…-amd64 package is needed")
    return release, kernel, modules


def _files(archive: tarfile.TarFile) -> Iterator[tuple[str, str, bytes]]:
    """Yield kernel and modules as they come by: which of the two, its name, its content."""
    for member in archive:
        place = _PLACES.fullmatch(member.name)
        file = archive.extractfile(member) if place and member.isreg() else None
        if place and file:
            kind = "module" if place["module"] else "release"
            yield kind, place[kind], file.read()


def decompress(kernel: bytes) -> bytes:
    """Return the ELF file inside a bzImage: 1 s here, 3 s in a guest without KVM, at every boot.

    Where it is, the boot header says: ``payload_offset`` and ``payload_length`` at 0x248, counted
    from the end of the real-mode part, ``setup_sects`` + 1 sectors of 512 bytes
    (Linux, Documentation/x86/boot.rst).
    """
    if len(kernel) < 0x250 or kernel[0x202:0x206] != b"HdrS":
        raise ImageError("not a Linux kernel for x86: the boot header has no mark HdrS")
    offset, length = struct.unpack_from("<II", kernel, 0x248)
    start = (kernel[0x1F1] + 1) * 512 + offset
    payload = kernel[start : start + length]
    if not payload.startswith(b"\xfd7zXZ\x00"):
        raise ImageError("the kernel is not compressed with xz, as Debian's plain amd64 one is")
    try:
        elf = lzma.LZMADecompressor().decompress(payload)
    except lzma.LZMAError as error:
        raise ImageError(f"the kernel is damaged: {error}") from error
    if not elf.startswith(b"\x7fELF"):
        raise ImageError("the kernel is damaged: no ELF file inside")
    return elf


def modinfo(module: bytes, key: str) -> list[str]:
    r"""Return the values of one key of a module's .modinfo section, where strings end with a zero.

    >>> modinfo(b"ELF...\0license=GPL\0alias=fs-9p\0depends=9pnet,netfs\0", "alias")
    ['fs-9p']
    """
    pattern = rb"(?<=\0)" + key.encode() + rb"=([\x20-\x7e]*)\0"
    return [value.decode() for value in re.findall(pattern, module)]


def depends(module: bytes) -> list[str]:
    """Return the modules that one needs, as the kernel's build noted them."""
    names = ",".join(modinfo(module, "depends")).replace("-", "_").split(",")
    return [name for name in names if name]


def closure(wanted: Iterable[str], modules: Mapping[str, bytes]) -> dict[str, list[str]]:
    """Return the wanted modules and all they need, each with everything to be loaded before it."""
    needs: dict[str, list[str]] = {}

    def visit(name: str) -> list[str]:
        if name not in modules:
            raise ImageError(f"the package has no module {name}; is it a cloud kernel?")
        if name not in needs:
            below = [one for first in depends(modules[name]) for one in [*visit(first), first]]
            needs[name] = list(dict.fromkeys(below))
        return needs[name]

    for name in wanted:
        visit(name)
    return needs


# --- into the archive ---


def cpio(entries: Iterable[tuple[str, int, bytes]]) -> bytes:
    """Return an archive in the kernel's format (newc) of names, modes and contents.

    A symbolic link's content is where it points.  Format: Linux,
    Documentation/driver-api/early-userspace/buffer-format.rst.
    """
    parts = []
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], start=1):
        path = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + path
        parts += [head, bytes(-len(head) % 4), content, bytes(-len(content) % 4)]
    return b"".join(parts)


def initramfs(release: str, modules: Mapping[str, bytes], busybox: bytes) -> bytes:
    """Return the archive with which the guest begins: BusyBox, ``init.sh``, modules."""
    needs = closure(MODULES.split(), modules)
    home = f"lib/modules/{release}"
    order, aliases = [], []
    for name, below in needs.items():  # in these files the last needed is the first loaded
        order.append(" ".join([f"{name}.ko:", *(f"{one}.ko" for one in reversed(below))]))
        aliases += [f"alias {alias} {name}" for alias in modinfo(modules[name], "alias")]
    files = {
        "init": INIT.read_bytes(),
        "bin/busybox": busybox,
        f"{home}/modules.dep": "\n".join([*order, ""]).encode(),
        f"{home}/modules.alias": "\n".join([*aliases, ""]).encode(),
        **{f"{home}/{name}.ko": modules[name] for name in needs},
    }
    links = {f"bin/{name}": "busybox" for name in APPLETS.split()} | {
        "sbin/modprobe": "../bin/busybox"
    }
    links |= {f"{home}/{name}": str(path) for name, path in headers(release).items()}
    return cpio(
        [
            *((name, S_IFDIR | 0o755, b"") for name in [*FOLDERS.split(), home]),
            *((name, S_IFREG | 0o755, content) for name, content in files.items()),
            *((name, S_IFLNK | 0o777, target.encode()) for name, target in links.items()),
        ]
    )


def static_busybox() -> bytes:
    """Return the program that is all of the guest's own user space; it must need no library."""
    path = shutil.which("busybox")
    content = Path(path).read_bytes() if path else b""
    if not content or b"/ld-linux" in content[:4096]:
        raise ImageError("a static BusyBox is missing: apt-get install busybox-static")
    return content


def build(deb: Path, folder: Path) -> Image:
    """Make the image of a kernel package in ``folder``; an older one there is replaced at the end."""
    release, kernel, modules = unpack(deb)
    content = {
        "vmlinux": decompress(kernel),
        "initramfs.cpio": initramfs(release, modules, static_busybox()),
        "image.json": json.dumps({"release": release, "recipe": recipe()}).encode(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="making-", dir=folder) as making:
        new, place = Path(making, "new"), folder / "image"
        new.mkdir()
        for name, data in content.items():
            (new / name).write_bytes(data)
        if place.exists():
            place.rename(Path(making, "old"))
        new.rename(place)
    image = Image.read(folder)
    assert image, "what was written a moment ago can be read"
    return image


def main(arguments: list[str] | None = None) -> int:
    """Make the image; return 1 after one line on what is wrong."""
    parser = argparse.ArgumentParser(prog="python3 -m toolkit.ebpf.image")
    parser.add_argument("--deb", type=Path, help="a kernel package (default: fetch Debian's)")
    # as root for everybody who may read it, otherwise for oneself
    place = cache_folders()[-1 if os.geteuid() == 0 else 0]
    parser.add_argument("--into", type=Path, default=place, help="%(default)s")
    parser.add_argument("--if-missing", action="store_true", help="keep one that is there")
    options = parser.parse_args(arguments)
    if options.if_missing and find():
        return 0
    try:
        with tempfile.TemporaryDirectory(prefix="goodput-lab-") as scratch:
            image = build(options.deb or download(Path(scratch)), options.into)
    except (ImageError, OSError) as error:
        sys.stderr.write(f"image: {error}\n")
        return 1
    sys.stdout.write(f"{image.kernel.parent}: Linux {image.release}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

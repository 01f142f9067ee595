"""The guest's image: what is read from a kernel package, and what is refused."""

import lzma
import os
import shutil
import struct
import subprocess
from pathlib import Path
from stat import S_IFDIR, S_IFLNK, S_IFREG

import pytest

from toolkit.ebpf import image

BUSYBOX = shutil.which("busybox")
DEBS = [
    deb
    for folder in (Path("/var/cache/apt/archives"), *image.cache_folders())
    for deb in sorted(folder.glob("linux-image-6.1.0-*-amd64_*.deb"))
    if "cloud" not in deb.name
]
"""Kernel packages that happen to be here; the tests fetch none."""


def bzimage(payload, *, mark=b"HdrS"):
    """Make what looks like a kernel: two sectors of set-up, then a payload 16 bytes into the rest."""
    head = bytearray(1024)
    head[0x1F1], head[0x202:0x206] = 1, mark
    struct.pack_into("<II", head, 0x248, 16, len(payload))
    return bytes(head) + bytes(16) + payload + b"the checksum and what follows"


def module(name, needs="", *aliases):
    words = [f"alias={alias}" for alias in aliases]
    words += ["license=GPL", f"depends={needs}", f"name={name}", ""]
    return b"\x7fELF of a module\0" + "\0".join(words).encode()


# --- the archive ---


@pytest.mark.skipif(not BUSYBOX, reason="apt-get install busybox-static")
def test_busybox_reads_our_archives(tmp_path):
    """Another implementation of the format; names and contents of every length modulo four."""
    files = {f"folder/{'n' * size}": b"c" * size for size in range(1, 9)}
    archive = image.cpio(
        [
            ("folder", S_IFDIR | 0o755, b""),
            *((name, S_IFREG | 0o644, content) for name, content in files.items()),
            ("link", S_IFLNK | 0o777, b"folder/n"),
        ]
    )
    subprocess.run([BUSYBOX, "cpio", "-i"], input=archive, cwd=tmp_path, check=True, stderr=-3)

    assert {name: (tmp_path / name).read_bytes() for name in files} == files
    assert (tmp_path / "link").readlink() == Path("folder/n")
    listing = subprocess.run(
        [BUSYBOX, "cpio", "-t"], input=archive, check=True, capture_output=True
    )
    assert listing.stdout.decode().split() == ["folder", *files, "link"]


# --- modules ---


def test_dependencies_and_aliases_are_read_from_the_module():
    found = module("veth", "x-tables,nf_tables", "rtnl-link-veth", "second")

    assert image.depends(found) == ["x_tables", "nf_tables"]
    assert image.depends(module("alone")) == []
    assert image.modinfo(found, "alias") == ["rtnl-link-veth", "second"]


def test_what_a_module_needs_is_loaded_before_it():
    modules = {"a": module("a", "b,c"), "b": module("b", "c"), "c": module("c"), "d": module("d")}

    assert image.closure(["a"], modules) == {"c": [], "b": ["c"], "a": ["c", "b"]}


def test_a_module_that_is_not_in_the_package_is_named():
    with pytest.raises(image.ImageError, match="no module 9p; is it a cloud kernel"):
        image.closure(["9p"], {})


# --- the kernel ---


def test_the_kernel_is_found_by_its_boot_header():
    elf = b"\x7fELF" + bytes(1000)

    assert image.decompress(bzimage(lzma.compress(elf, check=lzma.CHECK_CRC32))) == elf


@pytest.mark.parametrize(
    ("kernel", "why"),
    [
        (b"", "no mark HdrS"),
        (bzimage(b"", mark=b"nope"), "no mark HdrS"),
        (bzimage(b"\x28\xb5\x2f\xfd zstd, as Ubuntu has it"), "not compressed with xz"),
        (bzimage(b"\xfd7zXZ\x00" + b"rubbish" * 9), "damaged"),
        (bzimage(lzma.compress(b"a text")), "no ELF file inside"),
        (bzimage(lzma.compress(os.urandom(9000))[:4000]), "damaged"),
    ],
    ids=["empty", "no kernel", "zstd", "rubbish", "text", "cut"],
)
def test_a_kernel_that_cannot_be_unpacked_is_refused_in_one_line(kernel, why):
    with pytest.raises(image.ImageError, match=why) as refusal:
        image.decompress(kernel)

    assert "\n" not in str(refusal.value)


# --- the package ---


@pytest.fixture
def make_deb(tmp_path):
    """Return a function that packs files into a small .deb."""
    if not shutil.which("dpkg-deb"):
        pytest.skip("dpkg-deb is missing")

    def pack(files):
        root = tmp_path / "root"
        control = "Package: k\nVersion: 1\nArchitecture: all\nMaintainer: t\nDescription: t\n"
        for name, content in {"DEBIAN/control": control.encode(), **files}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        deb = tmp_path / "kernel.deb"
        subprocess.run(["dpkg-deb", "--build", root, deb], check=True, stdout=subprocess.DEVNULL)
        return deb

    return pack


@pytest.fixture
def small_deb(make_deb):
    """Return a package with all that is read from a real one, in a few kilobytes."""
    where = "lib/modules/6.1.0-0-amd64/kernel"
    modules = {f"{where}/net/{name}.ko": module(name) for name in image.MODULES.split()}
    kernel = {"boot/vmlinuz-6.1.0-0-amd64": bzimage(lzma.compress(b"\x7fELF and more"))}
    return make_deb({**modules, **kernel})


@pytest.mark.skipif(not BUSYBOX, reason="apt-get install busybox-static")
def test_an_image_is_made_from_a_package_and_found_again(small_deb, tmp_path, monkeypatch):
    made = image.build(small_deb, tmp_path / "cache")
    monkeypatch.setenv("GOODPUT_LAB_IMAGE", str(tmp_path / "cache"))

    assert image.find() == made
    assert made.release == "6.1.0-0-amd64"
    assert made.kernel.read_bytes() == b"\x7fELF and more"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["image"]


@pytest.mark.skipif(not BUSYBOX, reason="apt-get install busybox-static")
def test_an_image_made_by_another_version_is_not_taken(small_deb, tmp_path, monkeypatch):
    """The archive holds ``init.sh``, so a changed one is not in an old image."""
    image.build(small_deb, tmp_path)
    monkeypatch.setattr(image, "MODULES", "others")

    assert image.Image.read(tmp_path) is None


@pytest.mark.skipif(not BUSYBOX, reason="apt-get install busybox-static")
def test_an_older_image_stays_when_the_new_one_cannot_be_made(small_deb, tmp_path):
    made = image.build(small_deb, tmp_path / "cache")
    (tmp_path / "cut.deb").write_bytes(small_deb.read_bytes()[:-500])

    with pytest.raises(image.ImageError):
        image.build(tmp_path / "cut.deb", tmp_path / "cache")
    assert image.Image.read(tmp_path / "cache") == made


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9])
def test_a_truncated_package_is_refused_in_one_line(small_deb, tmp_path, capsys, share):
    whole = small_deb.read_bytes()
    cut = tmp_path / "cut.deb"
    cut.write_bytes(whole[: int(len(whole) * share)])

    assert image.main(["--deb", str(cut), "--into", str(tmp_path / "cache")]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "not a whole Debian package" in said


def test_a_package_without_a_kernel_is_refused(make_deb):
    with pytest.raises(image.ImageError, match="holds no kernel"):
        image.unpack(make_deb({"usr/share/doc/k/README": b"no kernel"}))


@pytest.mark.slow
@pytest.mark.skipif(not DEBS, reason="no linux-image-6.1.0-*-amd64 package in apt's cache or ours")
def test_debians_own_package_makes_an_image(tmp_path):
    """Every module that the lab names is there, and the kernel is an ELF file."""
    made = image.build(DEBS[-1], tmp_path)

    assert made.release in DEBS[-1].name
    assert made.kernel.read_bytes()[:4] == b"\x7fELF"

"""Every loader against a slow, obvious reader, over folders that hypothesis makes: names, nesting, counts, kinds, cuts.

The reader knows the formats from their published descriptions and the rule of `harness/data/trees.py`, and shares no
code with the loaders. Both read a folder, or both refuse it; never is a sample left out, added, or given another label.
`WALK=1000` in the environment walks so many folders for each loader (30 otherwise).
"""

# ruff: noqa: PTH112, PTH208

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import struct
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from harness.data import fingerprint, idx, pickles, splits, trees
from harness.data.base import Samples
from harness.data.sets import imagenet, nmnist
from harness.errors import UserError

CASES = int(os.environ.get("WALK", "30"))
walk = settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
Found = Counter[tuple[int, bytes]]
"""(label, raw bytes) of all samples."""


class Refused(Exception):
    """By the reader."""


def both(loader: Callable[[], Found], reader: Callable[[], Found]) -> None:
    """One result, or one refusal in one line."""
    try:
        wanted: Found | None = reader()
    except Refused:
        wanted = None
    try:
        found: Found | None = loader()
    except UserError as error:
        found = None
        assert "\n" not in str(error) and error.where, error
    assert found == wanted


def counted(samples: Samples) -> Found:
    return Counter((int(label), image.tobytes()) for image, label in zip(samples.images, samples.labels, strict=True))


# --- Trees ------------------------------------------------------------------------------------------------------------

HIDDEN = (".ipynb_checkpoints", "._x.png", ".DS_Store", "__MACOSX", "@eaDir", "Thumbs.db", "desktop.ini")
RARE = ("deep/a.png", "r.gif")
classes_ = st.sampled_from(["cat", "Dog", "10", "9", "09", "0", "Ärger", "b c", "n01", ".git", "__MACOSX", "x.png"])
files_ = st.sampled_from(
    ["a.png", "b.PNG", "c.jpg", "1.webp", "2.bmp", "3.png", "é.png", "n.txt", "m.csv", "p.npz", "q", *RARE, *HIDDEN]
)  # fmt: skip
tree_ = st.dictionaries(classes_, st.dictionaries(files_, st.integers(0, 255), max_size=5), min_size=1, max_size=4)
beside_ = st.lists(st.sampled_from(["lone.png", "note.txt", ".hidden.png", "other.tar"]), max_size=2)
SUFFIXES = ("png", "jpg", "jpeg", "webp", "bmp", "ppm", "pgm", "tif", "tiff")
NOTES = ("txt", "md", "rst", "csv", "tsv", "json", "xml", "yaml", "yml", "html", "pdf", "log")


def picture(value: int, suffix: str) -> bytes:
    stream = io.BytesIO()
    kind = {"jpg": "JPEG", "webp": "WEBP", "bmp": "BMP", "gif": "GIF"}.get(suffix.lower(), "PNG")
    Image.new("RGB", (4, 4), (value, 255 - value, 7)).save(
        stream, kind, **({"lossless": True} if kind == "WEBP" else {})
    )
    return stream.getvalue()


def write(place: Path, tree: dict[str, dict[str, int]], beside: list[str]) -> None:
    for name, files in tree.items():
        (place / name).mkdir(parents=True)
        for file, value in files.items():
            (place / name / file).parent.mkdir(exist_ok=True)
            (place / name / file).write_bytes(picture(value, file.rpartition(".")[2]))
    for name in beside:
        (place / name).write_bytes(picture(1, "png"))


def passed_over(name: str) -> bool:
    return name[0] == "." or name in ("__MACOSX", "@eaDir", "Thumbs.db", "desktop.ini")


def read_tree(place: Path) -> Found:
    """As a person would go through it."""
    names = []
    for name in os.listdir(place):
        if passed_over(name):
            continue
        if os.path.isdir(place / name):
            names.append(name)
        elif name.rpartition(".")[2].lower() in SUFFIXES:
            raise Refused
    numbers = all(set(name) <= set("0123456789") for name in names)
    if numbers and len({int(name) for name in names}) < len(names):
        raise Refused
    found: Found = Counter()
    for label, name in enumerate(sorted(names, key=(lambda n: int(n)) if numbers else None)):
        count = 0
        for file in os.listdir(place / name):
            if passed_over(file):
                continue
            suffix = file.rpartition(".")[2].lower() if "." in file else ""
            if os.path.isdir(place / name / file) or suffix not in SUFFIXES + NOTES:
                raise Refused
            if suffix in SUFFIXES:
                with Image.open(place / name / file) as image:
                    found[label, np.asarray(image.convert("RGB")).transpose(2, 0, 1).tobytes()] += 1
                count += 1
        if not count:
            raise Refused
    return found


@given(tree=tree_, beside=beside_)
@walk
def test_trees(tree: dict[str, dict[str, int]], beside: list[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        write(Path(place), tree, beside)

        def load() -> Found:
            listing = trees.list_classes(Path(place), trees.IMAGES)
            return counted(trees._read(listing, (3, 4, 4))) if listing else Counter()

        both(load, lambda: read_tree(Path(place)))


@given(tree=tree_)
@walk
def test_imagenets_folders(tree: dict[str, dict[str, int]]) -> None:
    """By what it reads when training: the bytes of each file."""
    with tempfile.TemporaryDirectory() as place:
        write(Path(place) / "train", tree, [])

        def load() -> Found:
            store = imagenet._store(Path(place), "train")
            base = Path(place) / "train"
            return Counter((s.label, pixels(base / s.file)) for s in store.read())

        def pixels(file: Path) -> bytes:
            with Image.open(file) as image:
                return np.asarray(image.convert("RGB")).transpose(2, 0, 1).tobytes()

        def read() -> Found:
            found = read_tree(Path(place) / "train")
            if not found:
                raise Refused  # no class folder at all
            return found

        both(load, read)


# --- Archives and shards ----------------------------------------------------------------------------------------------

member_ = st.tuples(
    st.sampled_from(["", "./", "a/", "b/", "a/b/", ".x/"]),
    st.sampled_from(["0", "1", "2", "._0", "k.l"]),
    st.sampled_from(["jpg", "cls", "cls", "JPG", "png", "json", "txt", ""]),
)
members_ = st.lists(st.tuples(member_, st.sampled_from([b"0", b"1", b" 2\n", b"-1", b"x", b""])), max_size=12)


def write_tar(file: Path, members: list[tuple[str, bytes]]) -> None:
    with tarfile.open(file, "w") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def headers(content: bytes) -> list[tuple[str, bytes]]:
    """Names and contents by the format's description (POSIX.1-1988): blocks of 512 bytes, an end of zeros."""
    at, found = 0, []
    while True:
        header = content[at : at + 512]
        if len(header) < 512:
            raise Refused
        if not header.strip(b"\0"):
            if content[at:].strip(b"\0"):
                raise Refused
            return found
        try:
            size, total = int(header[124:136].strip(b"\0 "), 8), int(header[148:156].strip(b"\0 "), 8)
        except ValueError:
            raise Refused from None
        if total != sum(header[:148]) + sum(header[156:]) + 8 * 32:
            raise Refused
        name = header[:100].rstrip(b"\0").decode()
        if at + 512 + size > len(content):
            raise Refused
        found.append((name, content[at + 512 : at + 512 + size]))
        at += 512 + -(-size // 512) * 512


def read_shard(content: bytes) -> Found:
    images: dict[str, bytes] = {}
    labels: dict[str, int] = {}
    for name, held in headers(content):
        parts = name.split("/")
        if any(part != "." and (part.startswith(".") or part == "__MACOSX") for part in parts):
            continue
        base, _, kind = parts[-1].partition(".")
        key = "/".join([*parts[:-1], base])
        if kind.lower() in ("jpg", "png"):
            if key in images:
                raise Refused
            images[key] = held
        elif kind == "cls":
            if key in labels or held.strip() not in (b"0", b"1", b"2"):
                raise Refused
            labels[key] = int(held)
    if not images or images.keys() != labels.keys():
        raise Refused
    return Counter((labels[key], held) for key, held in images.items())


@given(members=members_, cut=st.one_of(st.none(), st.integers(0, 12_000)), seed=st.integers(0, 9))
@walk
def test_shards(members: list[tuple[tuple[str, str, str], bytes]], cut: int | None, seed: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        named = []
        for number, ((where, key, kind), label) in enumerate(members):
            name = f"{where}{key}.{kind}" if kind else where + key
            named.append((name, label if kind == "cls" else bytes((number, seed)) * (1 + 300 * (number % 3))))
        file = Path(place) / "0.tar"
        write_tar(file, named)
        content = file.read_bytes()[:cut]
        file.write_bytes(content)

        def load() -> Found:
            found: Found = Counter()
            for sample in imagenet._shards([file]):
                found[sample.label, content[sample.offset : sample.offset + sample.size]] += 1
            return found

        both(load, lambda: read_shard(content))


# --- Pickles ----------------------------------------------------------------------------------------------------------

arrays_ = st.sampled_from(["u1", "i8", "u2", "f4", "f8", "?"])
shapes_ = st.sampled_from([(3072,), (3, 32, 32), (32, 32, 3), (3071,), ()])
labels_ = st.lists(st.one_of(st.integers(-2, 400), st.floats(0, 9)), max_size=4)


@given(
    dtype=arrays_, shape=shapes_, count=st.integers(0, 3), top=st.sampled_from([1, 255, 256]), labels=labels_,
    key=st.sampled_from(["labels", b"labels", "fine_labels"]), protocol=st.integers(0, 5),
    cut=st.one_of(st.none(), st.floats(0, 1)), numpy=st.booleans(),
)  # fmt: skip
@walk
def test_batches(dtype, shape, count, top, labels, key, protocol, cut, numpy) -> None:
    data = (np.arange(count * int(np.prod(shape))).reshape(count, *shape) % (top + 1)).astype(dtype)
    held = [np.asarray(label)[()] for label in labels] if numpy else labels
    content = pickle.dumps({"data" if isinstance(key, str) else b"data": data, key: held}, protocol=protocol)
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "batch"
        file.write_bytes(content if cut is None else content[: int(cut * (len(content) - 1))])

        def read() -> Found:
            whole = all(isinstance(label, int) for label in labels) and labels != []
            if cut is not None or key == "fine_labels" or len(labels) != count or not whole:
                raise Refused
            if dtype in ("f4", "f8", "?") or shape not in ((3072,), (3, 32, 32)) or data.max() > 255:
                raise Refused
            return Counter((label, image.astype(np.uint8).tobytes()) for image, label in zip(data, labels, strict=True))

        both(lambda: counted(pickles._read_batch(file, "labels")), read)


# --- IDX --------------------------------------------------------------------------------------------------------------


@given(
    shape=st.lists(st.integers(0, 4), min_size=1, max_size=4), magic=st.sampled_from([8, 8, 8, 9, 13]),
    told=st.one_of(st.none(), st.integers(1, 4)), cut=st.integers(-3, 3), packed=st.booleans(),
    broken=st.one_of(st.none(), st.integers(0, 40)),
)  # fmt: skip
@walk
def test_idx_files(shape, magic, told, cut, packed, broken) -> None:
    body = bytes(n % 251 for n in range(int(np.prod(shape))))
    content = bytes((0, 0, magic, told or len(shape))) + struct.pack(f">{len(shape)}I", *shape) + body
    content = content[:cut] if cut < 0 else content + b"z" * cut
    stored = gzip.compress(content) if packed else content
    if broken is not None and packed:
        stored = stored[: max(0, len(stored) - 1 - broken)]
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / ("x.gz" if packed else "x")
        file.write_bytes(stored)

        def read() -> Found:
            if packed and broken is not None:
                raise Refused
            if content[:4] != b"\0\0\x08\x03" or len(content) < 16:
                raise Refused
            count, height, width = struct.unpack(">3I", content[4:16])
            if len(content) != 16 + count * height * width:
                raise Refused
            size = height * width
            return Counter((0, content[16 + n * size : 16 + (n + 1) * size]) for n in range(count))

        both(lambda: Counter((0, image.tobytes()) for image in idx.read_idx(file, 3)), read)


# --- Recordings -------------------------------------------------------------------------------------------------------


@given(
    events=st.lists(
        st.tuples(st.integers(0, 36), st.integers(0, 36), st.integers(0, 1), st.integers(0, 2**18)), max_size=6
    ),
    cut=st.integers(0, 4),
)
@walk
def test_nmnists_events(events: list[tuple[int, int, int, int]], cut: int) -> None:
    content = b"".join(bytes((x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255)) for x, y, p, t in events)
    content = content[: max(0, len(content) - cut)]
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "x.bin"
        file.write_bytes(content)

        def read() -> Found:
            if not content or len(content) % 5:
                raise Refused
            rows = [content[at : at + 5] for at in range(0, len(content), 5)]
            return Counter(
                (0, np.array((b[2] >> 7, b[0], b[1], (b[2] & 127) << 16 | b[3] << 8 | b[4]), "<i8").tobytes())
                for b in rows
            )

        def load() -> Found:
            found = nmnist.read_events(file)
            return Counter((0, np.array((e["p"], e["x"], e["y"], e["t"]), "<i8").tobytes()) for e in found)

        both(load, read)


published_ = st.lists(st.integers(2, 30), min_size=1, max_size=4)


@given(counts=published_, rule=st.sampled_from([*splits.RULES, "random-0", "random-5"]), data=st.data())
@walk
def test_splits_of_what_is_there(counts: list[int], rule: str, data: st.DataObject) -> None:
    published = [[f"c{label}_{number}" for number in range(count)] for label, count in enumerate(counts)]
    there = [data.draw(st.lists(st.sampled_from(names), unique=True)) for names in published]
    tests = {
        name
        for names, decided in zip(published, splits.listed(rule, published), strict=True)
        for name, test in zip(names, decided, strict=True)
        if test
    }
    written = f"{rule}:{splits.hashed(splits.listed(rule, published))}"

    def loaded(ending: str) -> Found:
        decided = splits.of_files(written + ending, published, there, "here")
        pairs = ((n, d) for names, each in zip(there, decided, strict=True) for n, d in zip(names, each, strict=True))
        return Counter((int(test), name.encode()) for name, test in pairs)

    def wanted(incomplete: bool) -> Found:
        everything = [name for names in there for name in names]
        known = {name in tests for name in everything}
        if len(known) < 2 or (not incomplete and len(everything) < sum(counts)):
            raise Refused
        return Counter((int(name in tests), name.encode()) for name in everything)

    both(lambda: loaded(":incomplete"), lambda: wanted(True))
    both(lambda: loaded(""), lambda: wanted(False))


@given(labels=st.lists(st.integers(0, 70_000), min_size=1, max_size=6), size=st.integers(1, 4), seed=st.integers(0, 99))
@walk
def test_fingerprints(labels: list[int], size: int, seed: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (len(labels), 1, size, size), dtype=np.uint8)
    each = []
    for image, label in zip(images, labels, strict=True):
        prefix = (
            bytes((label,))
            if label < 256
            else struct.pack(">H", label)
            if label < 65_536
            else struct.pack(">I", label)[1:]
        )
        each.append(hashlib.sha256(prefix + image.tobytes()).digest())
    wanted = hashlib.sha256(b"".join(sorted(each))).hexdigest()
    assert fingerprint.combine(fingerprint.digests(images, np.array(labels))) == wanted

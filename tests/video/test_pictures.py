"""Pictures as tools write them: every kind, every page, at the pace that browsers give to moving ones."""

import io
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lavida.errors import InputError
from lavida.exposure.datasets.reading import read_rgb
from lavida.video import pixels
from lavida.video.decode import open_source

from . import make
from .looking import levels, read, times_of
from .tiff import tiff


def test_a_folder_takes_every_kind_of_picture_and_tells_what_it_leaves_out(tmp_path: Path):
    for index, suffix in enumerate(["png", "webp", "bmp", "jpg", "tif", "ppm", "jp2", "gif", "qoi"]):
        if suffix == "qoi":
            suffix = "tga"
        Image.new("RGB", (64, 48), (20 * index,) * 3).save(tmp_path / f"{index}.{suffix}")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "labels.xml").write_text("x")
    (tmp_path / "more").mkdir()
    (tmp_path / ".hidden").write_text("x")
    source = open_source(tmp_path)
    assert levels(read(source)) == pytest.approx([20 * index for index in range(9)], abs=2)
    assert source.notes == [f"1 .txt, 1 .xml, 1 folder left out: {tmp_path}; no pictures by their names"] or all(
        part in source.notes[0] for part in ("1 .txt", "1 .xml", "1 folder")
    )


@pytest.mark.parametrize("name", ["stack.tif", "moving.png", "moving.webp", "moving.gif"])
def test_every_page_of_a_file_is_a_frame(tmp_path: Path, name):
    shown = [Image.new("RGB", (64, 48), (20 * index,) * 3) for index in range(6)]
    pace = {} if name.endswith("tif") else {"duration": [100, 200, 100, 100, 100, 100], "loop": 0}
    pace |= {"lossless": True} if name.endswith("webp") else {}
    shown[0].save(tmp_path / name, save_all=True, append_images=shown[1:], **pace)
    alone, folder = open_source(tmp_path / name), open_source(tmp_path)
    for source in (alone, folder):
        assert levels(read(source)) == pytest.approx([20 * index for index in range(6)], abs=2)
    assert times_of(folder) == pytest.approx(np.arange(6) / 25)
    assert times_of(alone) == pytest.approx([0, 0.1, 0.3, 0.4, 0.5, 0.6] if pace else np.arange(6) / 25)
    back = alone.read(stride=2, pair_size=(24, 32))
    assert all(frame.pair.before is not None for frame in back if frame.image is not None)


def test_frames_of_a_gif_that_last_no_time_last_a_tenth_of_a_second_as_in_browsers(tmp_path: Path):
    shown = [Image.new("RGB", (64, 48), (20 * index,) * 3) for index in range(6)]
    shown[0].save(tmp_path / "fast.gif", save_all=True, append_images=shown[1:], duration=0)
    source = open_source(tmp_path / "fast.gif")
    assert source.info.fps == pytest.approx(10) and times_of(source) == pytest.approx(np.arange(6) / 10)


def test_previews_inside_a_file_are_no_frames(tmp_path: Path):
    large, small = Image.new("RGB", (64, 48), (90,) * 3), Image.new("RGB", (32, 24))
    preview = Image.new("RGB", (32, 24))
    large.save(tmp_path / "page.tif", save_all=True, append_images=[preview], tiffinfo={254: 0})
    data = bytearray((tmp_path / "page.tif").read_bytes())
    entry = data.rindex(b"\xfe\x00\x04\x00")  # the second page's kind: a smaller version of another
    data[entry + 8] = 1
    (tmp_path / "page.tif").write_bytes(data)
    large.save(tmp_path / "stereo.jpg", "MPO", save_all=True, append_images=[small])
    assert len(read(open_source(tmp_path))) == 2


def test_a_stack_of_image_j_is_all_its_pictures(tmp_path: Path):
    """One page that says `images=5`, and the pixels of all five one after the other."""
    first = Image.fromarray(np.full((48, 64), 100, np.uint16))
    first.save(tmp_path / "stack.tif", tiffinfo={270: "ImageJ=1.54f\nimages=5\nslices=5"})
    with (tmp_path / "stack.tif").open("ab") as file:
        data = (tmp_path / "stack.tif").read_bytes()
        pixels = data.index(np.full(48 * 64, 100, "<u2").tobytes())
        assert pixels + 48 * 64 * 2 == len(data)  # they lie at the end
        for level in (200, 300, 400, 500):
            file.write(np.full((48, 64), level, "<u2").tobytes())
    for path in (tmp_path, tmp_path / "stack.tif"):
        assert levels(read(open_source(path))) == pytest.approx([0, 64, 128, 191, 255], abs=1)


def test_a_tiff_in_which_zero_is_white_is_turned_round(tmp_path: Path):
    values = np.full((48, 64), 1000, np.uint16)
    values[:24, :32] = 60_000
    Image.fromarray(values).save(tmp_path / "0.tif", tiffinfo={262: 0})
    data = bytearray((tmp_path / "0.tif").read_bytes())
    entry = data.index(b"\x06\x01\x03\x00")  # its photometric interpretation, which Pillow writes as it likes
    data[entry + 8] = 0
    (tmp_path / "0.tif").write_bytes(data)
    image = read(open_source(tmp_path))[0].image
    assert image[10, 10, 0] < 30 and image[-1, -1, 0] > 240


def test_a_broken_picture_keeps_its_place_whatever_breaks_in_it(tmp_path: Path):

    for index in range(4):
        Image.new("RGB", (64, 48), (20 * index,) * 3).save(tmp_path / f"{index}.png")
    data, info = BytesIO(), PngInfo()
    info.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="1"/>')
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(data, "PNG", pnginfo=info)
    (tmp_path / "4.png").write_bytes(data.getvalue()[: len(data.getvalue()) // 2])
    source = open_source(tmp_path)
    frames = read(source)
    assert [frame.index for frame in frames if frame.image is None] == [4] and "4.png" in source.warnings[0]


def test_pages_of_different_sizes_are_refused_not_passed_over(tmp_path: Path):
    large, small = Image.new("RGB", (64, 48)), Image.new("RGB", (32, 24))
    large.save(tmp_path / "mixed.tif", save_all=True, append_images=[small, large])
    with pytest.raises(InputError, match="different sizes"):
        open_source(tmp_path / "mixed.tif")


def test_the_picture_for_those_who_do_not_know_apng_is_no_frame(tmp_path: Path):
    shown = [Image.new("RGB", (64, 48), (level,) * 3) for level in (9, 50, 100, 150)]
    shown[0].save(tmp_path / "a.png", save_all=True, append_images=shown[1:], default_image=True, duration=100)
    assert levels(read(open_source(tmp_path / "a.png"))) == [50, 100, 150]


# --- how much is read


class Counted(io.FileIO):
    """A file that counts the bytes that are read of it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.bytes = 0

    def readinto(self, buffer) -> int:
        count = super().readinto(buffer)
        self.bytes += count
        return count


@pytest.fixture
def opens(monkeypatch) -> list[Counted]:
    """The picture files that are opened from now on."""
    seen: list[Counted] = []

    def opened(path: Path, mode: str) -> io.BufferedReader:
        assert mode == "rb"
        seen.append(Counted(path))
        return io.BufferedReader(seen[-1], 1024)

    monkeypatch.setattr(Path, "open", opened)
    return seen


@pytest.mark.parametrize("stride", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("name", ["fast.gif", "fast.png", "fast.webp", "fast.tif"])
def test_moving_pictures_are_opened_once_whatever_is_paired(tmp_path: Path, name, stride, opens):
    """At 50 frames a second the other frame of a pair lies two behind."""
    shown = [Image.new("RGB", (64, 48), (10 * index,) * 3) for index in range(20)]
    pace = {} if name.endswith("tif") else {"duration": 20}
    shown[0].save(tmp_path / name, save_all=True, append_images=shown[1:], **pace)
    source = open_source(tmp_path / name, fps=50)
    opens.clear()
    frames = [f for f in source.read(stride=stride, pair_size=(24, 32)) if f.image is not None]
    assert len(opens) == 1
    for frame in frames[1:]:
        assert frame.pair.seconds == pytest.approx(0.02 * min(frame.index, 2))
        assert frame.pair.now.mean() - frame.pair.before.mean() == pytest.approx(10 * min(frame.index, 2), abs=2)
    assert frames[0].pair.seconds == pytest.approx(-0.02) and levels(frames)[1] == pytest.approx(10 * stride, abs=2)


def test_each_picture_of_a_folder_is_read_once(tmp_path: Path, opens):
    make.folder(tmp_path / "cam", {f"{index}.png": make.plain(10 * index) for index in range(12)})
    source = open_source(tmp_path / "cam", fps=50)
    opens.clear()
    assert len(list(source.read(stride=1, pair_size=(3, 4)))) == len(opens) == 12


def sixteen_bit_stack(path: Path, pages: int, *, compression: int = 1) -> None:
    """Page i has the red value 1000 i, on a noise of little."""
    noise = np.random.default_rng(0).integers(0, 9, (pages, 48, 64, 3)).astype(np.uint16)
    noise[..., 2] += 1000 * np.arange(pages, dtype=np.uint16)[:, None, None]  # blue, green, red
    cv2.imwritemulti(str(path), list(noise), [cv2.IMWRITE_TIFF_COMPRESSION, compression])


@pytest.mark.parametrize("compression", [1, 5, 8])  # none, LZW, Deflate
def test_of_many_pages_of_sixteen_bit_colours_each_is_read_alone(tmp_path: Path, compression, opens):
    sixteen_bit_stack(tmp_path / "stack.tif", 30, compression=compression)
    source = open_source(tmp_path / "stack.tif")
    opens.clear()
    frames = read(source)
    assert [frame.image[..., 0].mean() for frame in frames] == pytest.approx(np.linspace(0, 255, 30), abs=2)
    assert len(opens) == 1 and opens[0].bytes < 2 * (tmp_path / "stack.tif").stat().st_size


def test_sixteen_bit_colours_of_any_order_of_bytes_in_strips_or_planes(tmp_path: Path):
    """As scanners write them: most significant byte first, a row a strip, one colour after the other."""
    values = np.random.default_rng(0).integers(0, 65535, (3, 48, 64)).astype(">u2")
    tags = {256: [64], 257: [48], 258: [16] * 3, 259: [1], 262: [2], 277: [3], 278: [1], 284: [2]}
    tags |= {273: [1000 + 128 * row for row in range(144)], 279: [128] * 144}
    entries, arrays = b"", b""
    for tag, numbers in sorted(tags.items()):
        packed = struct.pack(f">{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            arrays, packed = arrays + packed, struct.pack(">I", 2000 + 144 * 128 + len(arrays))
        entries += struct.pack(">HHI", tag, 4, len(numbers)) + packed
    head = struct.pack(">2sHIH", b"MM", 42, 8, len(tags)) + entries + bytes(4)
    data = head.ljust(1000, b"\0") + values.tobytes() + bytes(1000) + arrays
    (tmp_path / "scan.tif").write_bytes(data)
    image = read(open_source(tmp_path / "scan.tif"))[0].image
    np.testing.assert_array_equal(image, np.round(values.transpose(1, 2, 0) / 257.0).astype(np.uint8))


@pytest.mark.parametrize("masks", [(0xF800, 0x7E0, 0x1F), (0x7C00, 0x3E0, 0x1F)])  # 5, 6 and 5 bits; 5 of each
def test_a_bmp_of_sixteen_bits_a_pixel_has_eight_bit_colours(tmp_path: Path, masks):
    lowest, levels = [mask & -mask for mask in masks], [mask // (mask & -mask) for mask in masks]
    red, blue = masks[0], 12 * lowest[2]
    pixels = np.full((48, 64), red, "<u2")
    pixels[24:] = blue  # rows are stored from the bottom up
    head = struct.pack("<IiiHHIIiiII3I", 52, 64, 48, 1, 16, 3, pixels.nbytes, 2835, 2835, 0, 0, *masks)
    head = struct.pack("<2sIHHI", b"BM", 14 + len(head) + pixels.nbytes, 0, 0, 14 + len(head)) + head
    (tmp_path / "packed.bmp").write_bytes(head + pixels.tobytes())
    source = open_source(tmp_path / "packed.bmp")
    image = read(source)[0].image
    assert image[40, 30].tolist() == [255, 0, 0] and source.info.contrast is None
    assert image[5, 30].tolist() == [0, 0, 12 * 255 // levels[2]]


@pytest.mark.parametrize(
    ("kind", "colours", "said"),
    [
        ("<f2", 1, "floating-point pixels have no fixed range"),
        (">f2", 3, "floating-point pixels have no fixed range"),
        ("<f4", 1, "floating-point pixels have no fixed range"),
        ("<f8", 1, "floating-point pixels have no fixed range"),
        ("<i2", 3, "signed pixels have no fixed range"),
        ("i1", 3, "signed pixels have no fixed range"),
        ("i1", 1, "values from -100 to 91 do not fit 8 bits"),
        ("<i2", 1, "values from -100 to 91 do not fit 16 bits"),
    ],
)
def test_numbers_without_a_known_range_are_refused(tmp_path: Path, kind, colours, said):
    values = (np.arange(48 * 64 * colours) % 192 - 100).reshape(48, 64, -1).squeeze().astype(kind)
    (tmp_path / "folder").mkdir()
    path = tiff(tmp_path / "folder" / "odd.tif", values)
    for given in (path, path.parent):
        with pytest.raises(InputError, match=f"odd.tif: {said}") as refused:
            read(open_source(given))
        assert "<_io" not in str(refused.value)


def test_signed_numbers_of_eight_bits_without_a_sign_are_read(tmp_path: Path):
    path = tiff(tmp_path / "plain.tif", np.full((48, 64), 90, np.int8))
    assert levels(read(open_source(path))) == [90]


def test_a_picture_of_numbers_without_a_range_keeps_its_place(tmp_path: Path):
    for name, value in (("1", 40), ("3", 80)):
        Image.new("L", (64, 48), value).save(tmp_path / f"{name}.png")
    tiff(tmp_path / "2.tif", np.ones((48, 64), np.float16))
    frames = read(open_source(tmp_path))
    assert levels(frames) == [40, 80] and [frame.index for frame in frames if frame.image is not None] == [0, 2]


# --- large, odd and damaged pictures


HEIC = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + bytes(200)


def test_what_is_no_picture_is_named_in_plain_words(tmp_path: Path, monkeypatch):
    """Not as Python shows an open file."""
    monkeypatch.setattr(pixels, "find_spec", lambda name: None)
    contents = {"text.png": b"no picture", "empty.jpg": b"", "phone.heic": HEIC, "cut.tif": b"II*\0\x08\0\0\0"}
    said = {
        "text.png": "text.png: it is no picture of a known format",
        "empty.jpg": "empty.jpg: the file is empty",
        "phone.heic": "phone.heic: HEIF is read by pillow-heif, which is not installed: pip install pillow-heif",
        "cut.tif": "cut.tif: it is no picture of a known format",
    }
    for name, content in contents.items():
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        (folder / name).write_bytes(content)
        with pytest.raises(InputError) as refused:
            open_source(folder)
        assert str(refused.value) == f"no image can be decoded: {folder}; {said[name]}; replace the images"
        with pytest.raises(InputError) as refused:
            read_rgb(folder / name)
        where = f"{folder / name} ({said[name].removeprefix(name + ': ')})"
        assert str(refused.value) == f"cannot read image: {where}; restore the data set"


def test_pages_of_different_sizes_are_named(tmp_path: Path):
    shown = [Image.new("L", size) for size in ((64, 48), (64, 48), (32, 24))]
    shown[0].save(tmp_path / "pages.tif", save_all=True, append_images=shown[1:])
    named = "page 3 of .*pages.tif is 32x24, but page 1 is 64x48; save the file with pages of one size"
    with pytest.raises(InputError, match=named):
        open_source(tmp_path / "pages.tif")
    shown[2].save(tmp_path / "first.png")
    with pytest.raises(InputError, match="/pages.tif is 64x48, but first.png is 32x24; resize it or move it"):
        open_source(tmp_path)


def test_no_library_talks_of_large_odd_and_damaged_pictures(tmp_path: Path):
    """On stderr: Pillow of the first three, OpenCV and its libpng of the others."""
    noise = np.random.default_rng(0).integers(0, 65535, (48, 64, 3)).astype(np.uint16)
    eight_bit = Image.fromarray((noise >> 8).astype(np.uint8))
    Image.new("L", (12_000, 9_000), 90).save(tmp_path / "megapixels.png", compress_level=1)
    eight_bit.quantize(8).save(tmp_path / "palette.png", transparency=bytes(range(8)))
    eight_bit.save(tmp_path / "exif.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0\x01\0\0\0\x06\0")
    for suffix in ("png", "tif"):
        cv2.imwrite(str(tmp_path / f"deep.{suffix}"), noise)
    png, tif = (tmp_path / "deep.png").read_bytes(), (tmp_path / "deep.tif").read_bytes()
    profile = b"iCCP" + b"name\0\0" + zlib.compress(b"no profile")
    profile = struct.pack(">I", len(profile) - 4) + profile + struct.pack(">I", zlib.crc32(profile))
    (tmp_path / "profile.png").write_bytes(png[:33] + profile + png[33:])
    (tmp_path / "cut.png").write_bytes(png[: len(png) // 2])
    (tmp_path / "damaged.tif").write_bytes(tif[:500] + bytes(8000) + tif[8500:])
    ran = subprocess.run([sys.executable, "-c", READ_ALL, tmp_path], capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    read = dict(line.split(" ", 1) for line in ran.stdout.splitlines())
    assert "truncated or damaged" in read.pop("cut.png") and "16 bits" in read.pop("damaged.tif")
    assert len(read) == 6 and set(read.values()) == {"1"}


READ_ALL = """
import pathlib, sys
from lavida.errors import InputError
from lavida.video.decode import open_source
for path in pathlib.Path(sys.argv[1]).iterdir():
    try:
        print(path.name, len(list(open_source(path).read(size=(48, 64)))))
    except InputError as error:
        print(path.name, error)
"""


def test_an_absurd_picture_is_one_line(tmp_path: Path):
    data = BytesIO()
    Image.new("L", (64, 48)).save(data, "PNG")
    head = bytearray(data.getvalue())
    head[16:24] = struct.pack(">2I", 300_000, 300_000)
    head[29:33] = struct.pack(">I", zlib.crc32(head[12:29]))
    (tmp_path / "absurd.png").write_bytes(head)
    for path in (tmp_path / "absurd.png", tmp_path):
        with pytest.raises(InputError, match=r"90000000000 pixels.*absurd|absurd.*90000000000 pixels"):
            open_source(path)

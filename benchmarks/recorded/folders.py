"""Folders of pictures, stacks, animated pictures and the formats of laboratories."""

import io
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image

from recorded.checking import Recording, Right, steady
from recorded.numbered import SIZE, deep, gray, picture, pictures
from recorded.writing import avi, jpeg

DEPTH_SIZE = (48, 32)
STRETCHED = ["stretch|range|contrast|gray level|levels"]


def unpadded(path: Path) -> None:
    path.mkdir()
    for i in range(12):
        Image.fromarray(picture(i)).save(path / f"frame_{i + 1}.PNG")


def bag(path: Path) -> None:
    """Names are nanoseconds; every fifth message is missing."""
    path.mkdir()
    stamps = [1_403_636_579_763_555_584 + i * 50_000_000 for i in range(15) if i % 5 != 3]
    for i, stamp in enumerate(stamps):
        Image.fromarray(gray(i)).save(path / f"{stamp}.png")
    (path / "data.csv").write_text("#timestamp [ns],filename\n" + "".join(f"{stamp},{stamp}.png\n" for stamp in stamps))


def from_mac(path: Path) -> None:
    """A card that was opened on a Mac and on Windows: resource forks beside the pictures, and their indexes."""
    path.mkdir()
    for i in range(8):
        (path / f"{i:04d}.jpg").write_bytes(jpeg(picture(i)))
        (path / f"._{i:04d}.jpg").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        " + b"\0" * 100)
    (path / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (path / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")


def mixed_modes(path: Path) -> None:
    """Colours, palette, gray with transparency, transparency and CMYK, as several programs saved them."""
    path.mkdir()
    for i, mode in enumerate(("RGB", "P", "LA", "RGBA", "CMYK", "L")):
        image = Image.fromarray(picture(i))
        if mode == "P":
            image.quantize(64).save(path / f"{i}.png")
        elif mode == "CMYK":
            image.convert(mode).save(path / f"{i}.jpeg", quality=95)
        else:
            image.convert(mode).save(path / f"{i}.png")


def big_tiff(path: Path) -> None:
    """A BigTIFF with a page for each picture."""
    pages = [Image.fromarray(gray(i)) for i in range(10)]
    path.mkdir()
    pages[0].save(path / "stack.tif", save_all=True, append_images=pages[1:], big_tiff=True)


def image_j_stack(path: Path) -> None:
    """One page whose description tells of six pictures that follow each other, as ImageJ writes large stacks."""
    path.mkdir()
    width, height = SIZE
    description = b"ImageJ=1.53t\nimages=6\nslices=6\nloop=false\n\0"
    planes = b"".join(gray(i).tobytes() for i in range(6))
    at = 8 + 2 + 9 * 12 + 4
    tags = (
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (270, 2, len(description), at),
        (273, 4, 1, at + len(description)),
        (278, 4, 1, height),
        (279, 4, 1, width * height),
    )
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    file = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    (path / "stack.tif").write_bytes(file + description + planes)


def white_is_zero(path: Path) -> None:
    """16 bits, full range, stored as a negative: zero is white."""
    path.mkdir()
    for i in range(6):
        values = 65535 - deep(i, low=0, high=65535)
        (path / f"{i:03d}.tif").write_bytes(tiff16(values, photometric=0))


def tiff16(values: np.ndarray, *, photometric: int) -> bytes:
    """A little-endian TIFF with one uncompressed strip of 16 bits a pixel."""
    height, width = values.shape
    tags = (
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 16),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
        (273, 4, 1, 8 + 2 + 8 * 12 + 4),
        (278, 4, 1, height),
        (279, 4, 1, values.size * 2),
    )
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0) + values.astype("<u2").tobytes()


def deep_colours(path: Path) -> None:
    """RGB of 16 bits from a camera of 12: the values end at 4095."""
    path.mkdir()
    for i in range(8):
        values = np.round(picture(i).astype(np.float64) / 255 * 4095).astype(np.uint16)
        cv2.imwrite(str(path / f"plant_{i:02d}.tif"), values[..., ::-1])


def radiometric(path: Path) -> None:
    """JPEGs with the sensor's 16-bit values as a PNG in their application segments."""
    path.mkdir()
    for i in range(6):
        raw = io.BytesIO()
        Image.fromarray(deep(200, low=12_000, high=14_000, size=(48, 32))).save(raw, "PNG")
        segment = b"FLIR\0\1\0\0" + b"FFF\0" + raw.getvalue()
        data = jpeg(picture(i))
        (path / f"FLIR{i:04d}.jpg").write_bytes(
            data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
        )


def deep_video(path: Path) -> None:
    """Lossless 16-bit gray video of a 12-bit camera."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "gray16le"
        for i in range(10):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(deep(i, low=100, high=4095), format="gray16le")))
        out.mux(stream.encode())


def palette_avi(path: Path) -> None:
    """Uncompressed 8 bits with a gray palette, bottom row first."""
    palette = b"".join(bytes((i, i, i, 0)) for i in range(256))
    frames = [gray(i)[::-1].tobytes() for i in range(8)]
    path.write_bytes(avi(frames, tag=b"\0\0\0\0", rate=15, bits=8, palette=palette))


def bottom_up(path: Path) -> None:
    """Uncompressed 24 bits, bottom row first, rows filled up to four bytes."""
    size = (90, 64)
    frames = []
    for image in pictures(6, size=size):
        rows = image[::-1, :, ::-1].reshape(size[1], -1)
        frames.append(np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4))).tobytes())
    path.write_bytes(avi(frames, tag=b"\0\0\0\0", rate=30, size=size))


def ser(path: Path) -> None:
    """The uncompressed format of planetary cameras; its header has no rate."""
    width, height = SIZE
    head = b"LUCAM-RECORDER" + struct.pack("<7I", 0, 0, 0, width, height, 8, 10) + b"\0" * 136
    path.write_bytes(head + b"".join(gray(i).tobytes() for i in range(10)))


def depth_camera(path: Path) -> None:
    """Colour as MJPEG, then depth and infrared of 16 bits, as Azure Kinect records them."""
    with av.open(str(path), "w", format="matroska", options={"allow_raw_vfw": "1"}) as out:
        colour = out.add_stream("mjpeg", rate=30)
        colour.width, colour.height, colour.pix_fmt = *SIZE, "yuvj420p"
        others = [out.add_stream("rawvideo", rate=30) for _ in range(2)]
        for stream in others:
            stream.width, stream.height, stream.pix_fmt = *DEPTH_SIZE, "gray16be"
        for i in range(10):
            packet = av.Packet(jpeg(picture(i)))
            packet.pts = packet.dts = i
            packet.time_base, packet.stream = Fraction(1, 30), colour
            out.mux(packet)
            for stream in others:
                frame = av.VideoFrame.from_ndarray(deep(200, low=400, high=4000, size=DEPTH_SIZE), format="gray16be")
                frame.pts, frame.time_base = i, Fraction(1, 30)
                out.mux(stream.encode(frame))
    width, height = DEPTH_SIZE
    written = struct.pack("<IiiHHI", 40, width, -height, 1, 16, 0)  # FFmpeg takes it for RGB: b16g is meant
    path.write_bytes(path.read_bytes().replace(written, struct.pack("<IiiHH4s", 40, width, height, 1, 16, b"b16g")))


def animated(path: Path, format: str, durations: Sequence[int], **more) -> None:
    images = [Image.fromarray(image) for image in pictures(len(durations))]
    images[0].save(path, format, save_all=True, append_images=images[1:], duration=list(durations), loop=0, **more)


def partial_gif(path: Path) -> None:
    """Each picture holds only what has changed; the rest is transparent and stays."""
    animated(path, "GIF", GIF, optimize=True, disposal=1)


GIF = [100, 100, 250, 40, 40, 500, 100, 100]
APNG = [1000, 4000, 500, 500, 100, 100]
WEBP = [80, 80, 300, 80, 1000, 80]


def starts(durations: Sequence[int]) -> list[float]:
    """When each picture is shown, in seconds."""
    return [sum(durations[:i]) / 1000 for i in range(len(durations))]


HUB = "https://github.com/"
# fmt: off
RECORDINGS = (
    Recording(
        name="annotation_frames", maker="annotation tool", fed="frame_1.PNG to frame_12.PNG",
        source=f"{HUB}cvat-ai/cvat/issues/3270", suffix="", make=unpadded, right=steady(12, 25),
    ),
    Recording(
        name="bag_export", maker="ROS bag export", fed="gray PNG named by nanoseconds, a table beside them",
        source=f"{HUB}VSLAM-LAB/VSLAM-LAB/issues/115", suffix="", make=bag,
        right=steady(12, 25, colours=None, notes=[r"\b1\b"]),
    ),
    Recording(
        name="memory_card", maker="file manager", fed="JPEGs with resource forks, .DS_Store and Thumbs.db",
        source=f"{HUB}OpenNeuroOrg/openneuro/issues/2520", suffix="", make=from_mac,
        right=steady(8, 25, notes=["passed over|left out|not pictures|not read|skipped"]),
    ),
    Recording(
        name="mixed_modes", maker="drawing program", fed="RGB, palette, gray, transparency and CMYK in one folder",
        source=f"{HUB}dmMaze/BallonsTranslator/pull/1205", suffix="", make=mixed_modes,
        right=steady(6, 25, colours=None),
    ),
    Recording(
        name="big_tiff", maker="synchrotron detector", fed="a BigTIFF of 10 pages",
        source=f"{HUB}silx-kit/fabio/pull/493", suffix="", make=big_tiff, right=steady(10, 25, colours=None),
    ),
    Recording(
        name="image_j_stack", maker="microscope program", fed="an ImageJ stack of 6 pictures on one TIFF page",
        source=f"{HUB}scalableminds/webknossos-libs/pull/575", suffix="", make=image_j_stack,
        right=steady(6, 25, colours=None),
    ),
    Recording(
        name="white_is_zero", maker="microscope program", fed="16-bit TIFF in which zero is white",
        source=f"{HUB}opencv/opencv/issues/9550", suffix="", make=white_is_zero, right=steady(6, 25, colours=None),
    ),
    Recording(
        name="deep_colours", maker="plant camera", fed="TIFF of 16-bit RGB that ends at 4095",
        source=f"{HUB}danforthcenter/plantcv/issues/1804", suffix="", make=deep_colours,
        right=steady(8, 25, colours=None, notes=STRETCHED),
    ),
    Recording(
        name="thermal_jpeg", maker="thermal camera", fed="JPEGs with the 16-bit values in application segments",
        source=f"{HUB}OSGeo/gdal/pull/12547", suffix="", make=radiometric, right=steady(6, 25),
    ),
    Recording(
        name="industrial_gray16", maker="industrial camera", fed="FFV1 of 16 bits that ends at 4095",
        source=f"{HUB}imageio/imageio/issues/1107", suffix=".avi", make=deep_video,
        right=steady(10, 30, colours=None, notes=STRETCHED),
    ),
    Recording(
        name="astronomy_palette", maker="astronomy camera", fed="uncompressed AVI of 8 bits with a palette",
        source=f"{HUB}FFMS/ffms2/issues/148", suffix=".avi", make=palette_avi, right=steady(8, 15, colours=None),
    ),
    Recording(
        name="astronomy_ser", maker="astronomy camera", fed="SER, whose header has no rate",
        source=f"{HUB}Rolf-Hempel/PlanetarySystemStacker/issues/25", suffix=".ser", make=ser,
        right=steady(10, 25, colours=None, warnings=["25"]),
    ),
    Recording(
        name="bottom_up", maker="screen capture library", fed="uncompressed AVI, bottom row first, 90 pixels wide",
        source=f"{HUB}baSSiLL/SharpAvi/issues/9", suffix=".avi", make=bottom_up, right=steady(6, 30, size=(90, 64)),
    ),
    Recording(
        name="depth_camera", maker="depth camera", fed="Matroska with colour, depth and infrared",
        source=f"{HUB}isl-org/Open3D/issues/1378", suffix=".mkv", make=depth_camera,
        right=steady(10, 30, notes=["stream"]),
    ),
    Recording(
        name="partial_gif", maker="animated picture", fed="GIF with partial pictures, shown for 40 to 500 ms",
        source=f"{HUB}python-pillow/Pillow/issues/3433", suffix=".gif", make=partial_gif,
        right=Right(numbers=range(8), times=starts(GIF), colours=24),
    ),
    Recording(
        name="animated_png", maker="animated picture", fed="APNG, shown for 0.1 to 4 s",
        source=f"{HUB}python-pillow/Pillow/issues/8102", suffix=".png", make=lambda path: animated(path, "PNG", APNG),
        right=Right(numbers=range(6), times=starts(APNG), colours=2),
    ),
    Recording(
        name="animated_webp", maker="animated picture", fed="WebP, shown for 80 ms to 1 s",
        source=f"{HUB}hydrusnetwork/hydrus/issues/1694", suffix=".webp",
        make=lambda path: animated(path, "WEBP", WEBP, lossless=True),
        right=Right(numbers=range(6), times=starts(WEBP), colours=2),
    ),
)
# fmt: on

"""Videos with a bar code of each frame's number, as recorders, phones and cameras write them."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BITS, BAR, HEIGHT = 8, 16, 96
WIDTH = BITS * BAR
FPS, FRAMES = 25, 100
BRIGHT = range(30, 50)  # an event

# the number that is drawn into what an element shows; -1 where there is no picture
NUMBER = """element => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [128, 96];
  const pen = canvas.getContext("2d");
  if (!(element.videoWidth || element.naturalWidth)) return -1;
  pen.drawImage(element, 0, 0, 128, 96);
  let number = 0;
  for (let bit = 0; bit < 8; bit++) number = 2 * number + (pen.getImageData(16 * bit + 8, 24, 1, 1).data[0] > 127);
  return number;
}"""


def picture(number: int) -> np.ndarray:
    """Bars above, the highest bit first; below bright where there is an event. uint8 `[96, 128, 3]`."""
    image = np.full((HEIGHT, WIDTH), 230 if number in BRIGHT else 20, np.uint8)
    for bit in range(BITS):
        image[: HEIGHT // 2, BAR * bit : BAR * (bit + 1)] = 235 * (number >> (BITS - 1 - bit) & 1)
    return np.repeat(image[:, :, None], 3, axis=2)


def read_number(image: np.ndarray) -> int:
    """What `picture` drew."""
    bars = image[HEIGHT // 4, BAR // 2 :: BAR, 0]
    return int("".join("1" if level > 127 else "0" for level in bars), 2)


def encoded(codec: str, *, turned: bool = False, stamps: Sequence[int] | None = None) -> list[bytes]:
    """The packets of a raw stream."""
    return [bytes(packet) for packet in _packets(codec, turned=turned, stamps=stamps, options={"bf": "0"})]


def _packets(codec: str, *, turned: bool, stamps: Sequence[int] | None, options: dict[str, str]):
    context = av.CodecContext.create(codec, "w")
    context.width, context.height = (HEIGHT, WIDTH) if turned else (WIDTH, HEIGHT)
    context.pix_fmt, context.framerate, context.gop_size = "yuv420p", Fraction(FPS), 10
    context.time_base, context.options = Fraction(1, FPS), options
    for number in range(FRAMES):
        frame = av.VideoFrame.from_ndarray(_as_stored(number, turned), format="rgb24")
        frame.pts = number if stamps is None else stamps[number]
        frame.time_base = Fraction(1, FPS)
        yield from context.encode(frame)
    yield from context.encode(None)


def _as_stored(number: int, turned: bool) -> np.ndarray:
    image = picture(number)
    return np.ascontiguousarray(np.rot90(image) if turned else image)  # a quarter to the left; shown one to the right


def written(path: Path, codec: str, *, turned: bool = False, stamps: Sequence[int] | None = None) -> Path:
    """A video of 100 frames at 25 a second, or at `stamps[i]` / 25 seconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=FPS)
        stream.width, stream.height = (HEIGHT, WIDTH) if turned else (WIDTH, HEIGHT)
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base, stream.codec_context.gop_size = Fraction(1, FPS), 10
        if codec == "libx265":
            stream.codec_context.options = {"x265-params": "log-level=none"}
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(_as_stored(number, turned), format="rgb24")
            frame.pts = number if stamps is None else stamps[number]
            frame.time_base = Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def avi(folder: Path) -> Path:
    return written(folder / "recorder.avi", "mjpeg")


def hevc(folder: Path) -> Path:
    return written(folder / "camera.mp4", "libx265")


def varying(folder: Path) -> Path:
    return written(folder / "screen.mp4", "libx264", stamps=[*range(50), *range(52, 152, 2)])


def turned(folder: Path) -> Path:
    """An MP4 whose track header turns the picture a quarter to the right, as phones write it."""
    path = written(folder / "phone.mp4", "libx264", turned=True)
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 44  # ISO 14496-12, version 0: the matrix
    struct.pack_into(">9i", data, start, 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def dav(folder: Path) -> Path:
    """What Dahua's recorders write: each frame of H.264 between a header with the time and a trailer."""
    whole = bytearray()
    for number, packet in enumerate(encoded("libx264")):
        second, millisecond = divmod(1000 * number // FPS, 1000)
        more = bytes([0x82, 0, 0, 0, *struct.pack("<HH", WIDTH, HEIGHT), 0x81, 0, 0x02, FPS])
        length = 24 + len(more) + len(packet) + 8
        date = second | 30 << 6 | 12 << 12 | 1 << 17 | 5 << 22 | 25 << 26  # 2025-05-01 12:30
        kind = 0xFD if number % 10 == 0 else 0xFC
        head = struct.pack("<4s4BIIIHBB", b"DHAV", kind, 0, 0, 0, number, length, date, millisecond, len(more), 0)
        whole += head + more + packet + struct.pack("<4sI", b"dhav", length)
    path = folder / "gate.dav"
    path.write_bytes(whole)
    return path


MADE = {"avi": avi, "hevc": hevc, "dav": dav, "turned": turned, "varying": varying}

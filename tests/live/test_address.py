import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import pytest

from lavida.errors import InputError
from lavida.live.address import masked, parse, parse_all
from live.web import Web


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://admin:pa55@cam/1", "rtsp://***@cam/1"),
        ("rtsp://admin:p@ss:w0rd@cam:554/1", "rtsp://***@cam:554/1"),
        ("rtsp://admin:p/ss@cam/1", "rtsp://***@cam/1"),
        ("rtsp://cam/1", "rtsp://cam/1"),
        ("http://cam/video?user=me&password=secret&size=2", "http://cam/video?user=me&password=***&size=2"),
        ("http://cam/video?access_token=abc#x", "http://cam/video?access_token=***#x"),
        ("http://cam/video?ApiKey=abc;Auth=def", "http://cam/video?ApiKey=***;Auth=***"),
        ("no answer: 'rtsp://a:b@c/d' and 'https://e:f@g/h'", "no answer: 'rtsp://***@c/d' and 'https://***@g/h'"),
        ("a@b of street.mp4", "a@b of street.mp4"),
        ("http://cam/live.cgi?loginuse=me&loginpas=abc", "http://cam/live.cgi?loginuse=me&loginpas=***"),
        ("http://cam/v?u=me&p=abc&psw=abc", "http://cam/v?u=me&p=***&psw=***"),
        ("http://cam/v#token=abc", "http://cam/v#token=***"),
        ("rtsp://cam/user=me&password=abc&channel=1", "rtsp://cam/user=me&password=***&channel=1"),
        ("rtsp://cam/user=me_password=abc_channel=1.sdp?real", "rtsp://cam/user=me_password=***"),
        ("rtsp://me:secret/1", "rtsp://me:***/1"),
        ("tried http://cam:8080, then http://cam:80/x and 'http://[::1]:8080/x'",) * 2,
    ],
)
def test_passwords_are_masked_wherever_they_stand(text, shown):
    assert masked(text) == shown


def test_an_address_never_shows_its_password():
    address = parse("rtsp://admin:geheim@camera.local:554/stream/1")
    assert address.kind == "network"
    assert address.url.startswith("rtsp://admin:geheim@")
    assert "geheim" not in repr(address) + str(address) + address.shown + address.name
    assert address.name == "camera.local-stream-1"


@pytest.mark.parametrize("password", ["ge heim", "ge'heim", 'ge"heim', "ge@heim", "ge:heim", "ge%20heim", "ge$heim"])
def test_no_letter_ends_a_password_before_its_host(password):
    address = parse(f"rtsp://me:{password}@cam:554/a b")
    assert (address.shown, address.name) == ("rtsp://***@cam:554/a%20b", "cam-a-20b")
    assert address.url == f"rtsp://me:{password}@cam:554/a b"
    assert parse(f"http://cam/v?token={password}").shown == "http://cam/v?token=***"


def test_the_name_of_a_stream_holds_no_password_and_is_that_of_a_folder():
    assert parse("rtsp://cam/user=me&password=geheim&channel=1").name == "cam-user-me-password-channel-1"
    assert parse("rtsp://cam/user=me_password=geheim_channel=1").name == "cam-user-me_password-"
    assert len(parse(f"http://cam/{300 * 'x'}").name) == 100
    assert parse("http://../").name == "stream"


def test_the_scheme_is_given_to_ffmpeg_in_small_letters():
    assert parse("RTSP://Me:Geheim@cam/1").url == "rtsp://Me:Geheim@cam/1"


@pytest.mark.parametrize("text", ["/dev/video0", "v4l2:/dev/video0", "v4l2:///dev/video0"])
def test_a_webcam_is_read_by_its_device(text):
    address = parse(text)
    assert (address.kind, address.url, address.format, address.name) == ("camera", "/dev/video0", "v4l2", "video0")


def test_a_file_is_one_with_a_path_or_as_a_url(tmp_path):
    path = tmp_path / "street.mp4"
    path.touch()
    assert {parse(str(path)).url, parse(f"file://{path}").url} == {str(path)}
    assert parse(str(path)).name == "street"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ftp://me:geheim@host/a.mp4", "unknown scheme ftp of ftp://\\*\\*\\*@host/a.mp4: choose rtsp, rtsps, http"),
        ("no.mp4", "no such file: no.mp4"),
        ("", "no such file: the path is empty"),
        ("rtsp://:geheim@/1", "no host: rtsp://\\*\\*\\*@/1"),
        ("rtsp://me:geheim@host:port/1", "not an address: rtsp://\\*\\*\\*@host:port/1"),
        ("v4l2:0", "no device: v4l2:0; give its path"),
        ("me:geheim@host/1", "no such file: \\*\\*\\*@host/1"),
        ("rtsp:/me:geheim@host/1", "no such file: \\*\\*\\*@host/1"),
        ("rtsp//me:ge heim@host/1", "no such file: \\*\\*\\*@host/1"),
        ("rtsp://me:geheim", "not an address: rtsp://me:\\*\\*\\*; check its host"),
        ("rtsp://me:geheim/1", "not an address: rtsp://me:\\*\\*\\*/1; check its host"),
        ("rtsp://me:geheim@host:0/1", "not an address: rtsp://\\*\\*\\*@host:0/1"),
        ("rtsp://me:geheim@host/1\r\nX: y", "a control character in an address: rtsp://\\*\\*\\*@host/1%0D%0AX:%20y"),
        ("rtsp://me:ge\0heim@host/1", "a control character in an address: rtsp://\\*\\*\\*@host/1"),
    ],
)
def test_what_no_retry_mends_is_refused(text, said):
    with pytest.raises(InputError, match=said) as error:
        parse(text)
    assert "geheim" not in str(error.value)


def test_streams_have_names_of_their_own():
    assert list(parse_all(["rtsp://a/1", "rtsp://a/1", "http://b/"])) == ["a-1", "a-1-2", "b"]


class Elsewhere:
    """A server that leads to another one, and counts who comes there."""

    def __init__(self) -> None:
        self.came: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.came.append(self.path)
                target = f"http://127.0.0.1:{outer.server.server_port}/there.ts"
                self.send_response(302 if self.path == "/redirect" else 200)
                self.send_header("Location", target)
                self.end_headers()
                if self.path == "/list.m3u8":
                    self.wfile.write(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n".encode())

            def log_message(self, *args) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{path}"


@pytest.mark.parametrize(
    ("path", "only_host"),
    [
        ("redirect", True),
        ("redirect", False),
        ("list.m3u8", True),
        pytest.param("list.m3u8", False, marks=pytest.mark.slow),  # FFmpeg tries each piece again and again
    ],
)
def test_an_address_that_may_not_leave_its_host_is_not_led_elsewhere(path, only_host):
    other = Elsewhere()
    address = parse(other.url(path), only_host=only_host)
    try:
        with pytest.raises((av.error.FFmpegError, ValueError)):
            av.open(address.url, options=address.options, timeout=(5, 2))
    finally:
        other.server.shutdown()
        other.server.server_close()
    assert ("/there.ts" in other.came) != only_host  # without it, FFmpeg goes there
    assert f"/{path}" in other.came


def test_what_may_not_leave_its_host_is_read_as_any_other():
    web = Web()
    try:
        address = parse(web.url("cam.mjpeg"), only_host=True)
        with av.open(address.url, options=address.options, timeout=(5, 5)) as stream:
            assert next(stream.decode(video=0)).width == 128
    finally:
        web.close()

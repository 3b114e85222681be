"""`lavida serve`: a page and an API; `lavida serve token`: who may use it."""

from __future__ import annotations

import logging
import re
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lavida.cli.options import DeviceOption, ModelOption, ProfileOption
from lavida.errors import InputError, reason, writing_to
from lavida.terminal import print_message, print_result

if TYPE_CHECKING:
    from lavida.serve.settings import ServeSettings

DATA = Path("lavida-serve")
_DEVICE = re.compile(r"auto|(cpu|cuda|mps)(:\d+)?")  # PyTorch, which knows more of them, takes seconds to import
PACKAGES = ("fastapi", "uvicorn", "python_multipart")  # imported later: the model is loaded meanwhile
KEEP_ALIVE_S = 75  # longer than clients pause between two requests, one of which would meet a closed connection
TokenFile = Annotated[Path | None, typer.Option(help="Who may use it: a file that lavida serve token writes.")]

serve = typer.Typer(help="A page and an API: drop a video, type words, see when and where.", add_completion=False)


@serve.callback(invoke_without_command=True)
def serve_pages(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(help="Address to listen at; others than this machine's need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Its port.", min=1, max=65535)] = 8000,
    data: Annotated[Path, typer.Option(help="Folder for videos, results and the queue.")] = DATA,
    folder: Annotated[Path | None, typer.Option(help="Videos below it can be chosen, too.")] = None,
    streams: Annotated[
        Path | None, typer.Option(help="Configuration of a lavida watch that the page may change and start.")
    ] = None,
    allow_streams: Annotated[
        list[str] | None,
        typer.Option("--allow-streams", help="Host of streams that the page may add: HOST or HOST:PORT; repeat."),
    ] = None,
    token_file: TokenFile = None,
    database: Annotated[str | None, typer.Option(help="URL of a database instead of SQLite in --data.")] = None,
    profile: ProfileOption = None,
    model: ModelOption = "nano",
    device: DeviceOption = "auto",
) -> None:
    """Serve a page and an API on which videos are looked at."""
    if context.invoked_subcommand is not None:
        return
    if not all(find_spec(package) for package in PACKAGES):
        raise InputError("FastAPI, uvicorn or python-multipart is missing: pip install 'lavida[serve]'")
    from lavida.live.profile import Profile
    from lavida.serve.settings import ServeSettings
    from lavida.serve.tokens import read_tokens

    settings = ServeSettings(
        data=data.resolve(),
        folder=folder,
        host=host,
        port=port,
        database=database,
        model=model,
        device=device,
        streams=streams,
        allow_streams=tuple(allow_streams or ()),
        profile=None if profile is None else Profile.load(profile),
    )
    tokens = None if token_file is None else read_tokens(token_file)
    if tokens is None and not settings.is_local:
        raise InputError(f"whoever reaches {host} could use it: give --token-file (lavida serve token makes one)")
    if folder is not None and not folder.is_dir():
        raise InputError(f"no such folder: {folder}; give one with videos")
    _check_streams(streams, allow_streams or [])
    if not _DEVICE.fullmatch(device):
        raise InputError(f"unknown device {device}: choose auto, cpu, cuda, cuda:1, mps")
    if model != "nano":
        from lavida.loading import model_folder

        model_folder(model)  # refused here rather than in the log of another process
    _run(settings, tokens)


def _run(settings: ServeSettings, tokens: tuple[str, ...] | None) -> None:
    from lavida.files import locked
    from lavida.serve.keeper import Keeper
    from lavida.serve.places import PARTIAL
    from lavida.serve.processes import processes
    from lavida.serve.store import Store
    from lavida.serve.worker import load_detector

    host, port, data = settings.host, settings.port, settings.data
    partial_folder = data / PARTIAL
    processes()  # its socket is to lie where temporary files lie now
    with writing_to(data):
        partial_folder.mkdir(parents=True, exist_ok=True)
    with _temporary_files_in(partial_folder), locked(data / "serve.lock", wait=False) as alone:
        if not alone:
            raise InputError(f"another lavida serve works in {data}; stop it, or give another --data")
        listening = _listening(host, port)
        store = Store(data, database=settings.database)
        keeper = Keeper(settings, store, partial(load_detector, settings.model, settings.device, settings.profile))
        keeper.start()  # the model is loaded while this process imports the rest
        try:
            import uvicorn

            from lavida.serve.app import create_app

            app = create_app(settings, store, tokens=tokens, keeper=keeper)
            shown = f"[{host}]" if ":" in host else host
            print_message(f"open http://{shown}:{port}/ (Ctrl-C ends it)")
            config = uvicorn.Config(
                app,
                log_config=None,  # the default closes all handlers of other libraries, and what they write to
                log_level="warning",
                timeout_graceful_shutdown=3,
                timeout_keep_alive=KEEP_ALIVE_S,
                server_header=False,
            )
            # Ctrl-C while it starts: uvicorn logs how the rest of the start was taken back
            logging.getLogger("uvicorn.error").addFilter(lambda record: "CancelledError" not in record.getMessage())
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            keeper.stop()


def _check_streams(streams: Path | None, allowed: list[str]) -> None:
    if streams is None:
        if allowed:
            raise InputError("--allow-streams belongs to --streams FILE: give that, too")
        return
    from lavida.serve.watchfile import WatchConfig

    if not streams.parent.is_dir():
        raise InputError(f"no such folder: {streams.parent}; --streams names a file in one")
    WatchConfig(streams, allowed=allowed).entries()


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Uploads in the making lie on the disk that they are meant for, while the block runs."""
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def _listening(host: str, port: int) -> socket.socket:
    """The socket, opened before anything else is started: a port that is taken is one line."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()  # whoever comes early waits a moment
    except OSError as error:
        listening.close()
        raise InputError(f"cannot listen at {host}, port {port} ({reason(error)}); choose another --port") from error
    return listening


@serve.command()
def token(
    token_file: Annotated[Path, typer.Option(help="The file that --token-file of lavida serve reads.")] = Path(
        "lavida-tokens.txt"
    ),
    name: Annotated[str, typer.Option(help="Whose it is, for those who read the file.")] = "",
) -> None:
    """Make a token: print it once, and add its SHA-256 to the file."""
    from lavida.serve.tokens import make_token

    print_result(make_token(token_file, name=name))
    print_message(f"its hash is in {token_file}; remove that line to take it back; start again to have it known")

"""The program: its commands, and how it ends. Heavy imports wait until a command needs them."""

import atexit
import errno
import os
import sys
import threading
from contextlib import suppress
from io import TextIOWrapper
from typing import Annotated, Any, NoReturn

import typer

from lavida.cli.ablate import ablate, ablate_trained
from lavida.cli.data import data
from lavida.cli.detect import demo_clip, detect, events
from lavida.cli.evaluate import evaluate, heldout, report
from lavida.cli.export import export, import_labels
from lavida.cli.figure import figure
from lavida.cli.models import models
from lavida.cli.scan import scan
from lavida.cli.serve import serve
from lavida.cli.train import train
from lavida.cli.watch import calibrate, watch
from lavida.errors import InputError, disk_error, missing_package, reason
from lavida.terminal import print_message, print_result, said_deprecations, said_log, settle_stdout

DONE, USER_ERROR, INTERRUPTED = 0, 2, 130
_FORBIDDEN, _UNWRITABLE = {errno.EACCES, errno.EPERM}, {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
# click's UsageError, reached through typer because newer typers carry a click of their own
_UsageError: Any = typer.BadParameter.__base__

app = typer.Typer(name="lavida", add_completion=False, pretty_exceptions_enable=False)
app.command()(detect)
app.command()(events)
app.command()(export)
app.command("import")(import_labels)
app.command()(scan)
app.command()(watch)
app.command()(calibrate)
app.command()(train)
app.command("eval")(evaluate)
app.command()(heldout)
app.command()(ablate)
app.command("ablate-trained")(ablate_trained)
app.command()(figure)
app.command()(report)
app.command("demo-clip", hidden=True)(demo_clip)
app.add_typer(data, name="data")
app.add_typer(models, name="models")
app.add_typer(serve, name="serve")


@app.callback(invoke_without_command=True)
def lavida(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> int:
    """Describe in plain words what counts as abnormal; get when and where it happens in a video."""
    if version:
        from lavida import __version__

        print_result(f"lavida {__version__}")
    elif context.invoked_subcommand is None:
        print_result(context.get_help())
    return DONE


def main() -> None:
    """Run the command line; every error that the user can mend becomes one line on stderr."""
    if isinstance(sys.stdout, TextIOWrapper):  # not closed by whoever started us
        # a file name that is no text in the terminal's encoding is still printed
        sys.stdout.reconfigure(errors="backslashreplace")
    # OpenVINO imports its converter, if it can: 70 ms and 17 MB for what this program never asks
    sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]
    _leave(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run with these arguments and return the exit code: 0 done, 2 the user can mend it, 130 Ctrl-C."""
    try:
        with said_log("lavida", print_message), said_deprecations():
            code = app(arguments, prog_name="lavida", standalone_mode=False) or DONE
        settle_stdout()
    except InputError as error:
        code = _ended_by(error)
        if code == USER_ERROR:
            print_message(str(error))
    except _UsageError as error:
        code = USER_ERROR
        command = error.ctx.command_path if error.ctx else "lavida"
        print_message(f"{error.format_message().rstrip('.')}; see {command} --help")
    except ModuleNotFoundError as error:
        if (message := missing_package(error)) is None:
            raise
        code = USER_ERROR
        print_message(str(message))
    except OSError as error:
        if (refused := _refused(error)) is None:
            raise
        code = USER_ERROR
        print_message(str(refused))
        with suppress(InputError):
            settle_stdout()
    except SystemExit:  # how rich and typer take it that the reader of stdout has gone
        code = DONE
    except (KeyboardInterrupt, typer.Abort) as error:
        if isinstance(error.__cause__, EOFError):  # typer takes one, whatever raised it, for Ctrl-D at a prompt
            raise error.__cause__ from error.__cause__.__cause__
        code = INTERRUPTED
    if code == INTERRUPTED:  # newer typers return it instead of raising
        print_message("stopped")
    return code


def _leave(code: int) -> NoReturn:
    """End the process as `sys.exit` does, but for taking apart what it holds: graphs and modules, a tenth of a second.

    Threads are waited for, and what is to be done at the end of a program is done.
    """
    try:
        for place, name in ((threading, "_shutdown"), (atexit, "_run_exitfuncs")):  # neither has a public name
            getattr(place, name, lambda: None)()
    except KeyboardInterrupt:
        code = INTERRUPTED
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError, ValueError):  # nobody reads it any more, or it was closed
                stream.flush()
    os._exit(code)


def _refused(error: OSError) -> InputError | None:
    """What a disk says where nobody nearer to it has; None: it is a defect of the program."""
    if error.errno == errno.ENOENT and not error.filename and _is_nowhere():
        return InputError("the current folder has been removed; go to another one")
    if error.errno in _FORBIDDEN and error.filename:  # it does not tell what for
        mend = "check your access to it, or choose another place"
        return InputError(f"cannot read or write: {error.filename} ({reason(error)}); {mend}")
    return disk_error(error, error.filename or "stdout") if error.errno in _FORBIDDEN | _UNWRITABLE else None


def _is_nowhere() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _ended_by(error: BaseException) -> int:
    """The exit code: a library that is interrupted while it is imported may say that it is broken."""
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, KeyboardInterrupt | SystemExit):
            return INTERRUPTED if isinstance(behind, KeyboardInterrupt) else DONE
        behind = behind.__cause__ or behind.__context__
    return USER_ERROR

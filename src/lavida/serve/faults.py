"""Whatever goes wrong becomes one line of JSON, `{"message": ...}`, and never a traceback."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from lavida.errors import InputError, one_line, reason
from lavida.serve.guard import Refused
from lavida.serve.schemas import Fault

log = logging.getLogger(__name__)
_MEANING = {
    400: "The request cannot be read.",
    401: "A token is needed, or is wrong.",
    403: "Another page asks.",
    404: "There is no such thing.",
    409: "Not yet.",
    413: "Too much is sent.",
    415: "Another kind of body is needed.",
    421: "The server is not called so.",
    422: "What is wrong with what was given.",
    429: "Too much at once.",
    503: "The database does not answer.",
    507: "The disk is full.",
}
FAULTS: dict[int | str, dict[str, Any]] = {
    status: {"model": Fault, "description": meaning} for status, meaning in _MEANING.items()
}


def said(errors: Sequence[Mapping[str, Any]], *, asked: bool = False) -> str:
    """What pydantic found, as one line: the first of it, and where; of an asked route, places begin with its part."""
    first = errors[0]
    place = ".".join(str(part) for part in (first["loc"][1:] if asked else first["loc"]))
    message = str(first["msg"]).removeprefix("Value error, ")
    return one_line(f"{place}: {message}" if place else message)[:500]


def add_faults(app: FastAPI, *, data: Path) -> None:
    """Have the application answer so.

    Args:
        app: the application.
        data: the folder of the server, where it lies is not told.
    """

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return error.answer()

    @app.exception_handler(InputError)
    async def mendable(request: Request, error: InputError) -> Response:
        return JSONResponse({"message": str(error).replace(f"{data}{os.sep}", "")}, 422)

    @app.exception_handler(DBAPIError)
    @app.exception_handler(NoConnection)
    async def away(request: Request, error: DBAPIError | NoConnection) -> Response:
        log.error("the database: %s", reason(getattr(error, "orig", None) or error))
        return Refused(503, "the database does not answer; try again in a moment", retry_after=10).answer()

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return JSONResponse({"message": said(error.errors(), asked=True)}, 422)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return JSONResponse({"message": one_line(error.detail)}, error.status_code, error.headers)

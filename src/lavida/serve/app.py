"""The application: API, page, OpenAPI document, and what stands before them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from lavida.serve import jobs, results, streams
from lavida.serve.decoder import Decoder
from lavida.serve.faults import FAULTS, add_faults
from lavida.serve.guard import COOKIE, Door, Guard
from lavida.serve.keeper import Keeper
from lavida.serve.schemas import Health, Session
from lavida.serve.service import Service
from lavida.serve.settings import ServeSettings
from lavida.serve.store import Store
from lavida.serve.watcher import Watcher

STATIC = Path(__file__).parent / "static"
YEAR_S = 365 * 24 * 3600
FREE: dict[str, Any] = {"security": []}  # of a route that needs no token


def create_app(
    settings: ServeSettings,
    store: Store,
    *,
    tokens: tuple[str, ...] | None = None,
    keeper: Keeper | None = None,
    decoder: type[Decoder] = Decoder,
    watcher: Watcher | None = None,
) -> FastAPI:
    """The application of a server; it ends its processes when it is shut down.

    Args:
        settings: of the server.
        store: its jobs.
        tokens: hashes of tokens; None: none is needed.
        keeper: of the worker; None: jobs are worked on elsewhere.
        decoder: makes what decodes.
        watcher: starts the watch; None: as a process of `lavida watch`.
    """
    service = Service(settings, store, keeper=keeper, decoder=decoder, watcher=watcher)
    door = Door(tokens, tries=settings.limits.wrong_tokens)

    @asynccontextmanager
    async def lifetime(app: FastAPI) -> AsyncIterator[None]:
        service.tidy()
        if keeper is None:
            store.start_again(tries=settings.limits.tries)
        else:  # it does so by itself
            keeper.start()
            service.looks.warm_up()
            service.frames.warm_up()
        try:
            yield
        finally:
            service.close()

    app = FastAPI(
        title="lavida",
        version=version("lavida"),
        description="Describe in plain words what counts as abnormal; get when and where it happens in a video.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # would point to whatever host the request names
        lifespan=lifetime,
        responses=FAULTS,
    )
    add_faults(app, data=settings.data)
    app.include_router(jobs.routes(service))
    app.include_router(results.routes(service))
    app.include_router(streams.routes(service))
    _add_pages(app, service, door)
    app.add_middleware(Guard, settings=settings, door=door)
    _say_tokens(app, needed=tokens is not None)
    app.state.service = service
    return app


def _add_pages(app: FastAPI, service: Service, door: Door) -> None:
    @app.get("/api/health", openapi_extra=FREE)
    def health() -> Health:
        """Whether the server answers; needs no token."""
        state = "ready" if service.keeper is None else service.keeper.state
        return Health(version=version("lavida"), worker=state, needs_token=not door.is_open)

    @app.post("/api/session", status_code=204, openapi_extra=FREE)
    def begin_session(session: Session, request: Request) -> Response:
        """Keep a token in the browser, where no script can read it."""
        answer = Response(status_code=204)
        if not door.is_open:
            door.check(session.token, request.scope)
            answer.set_cookie(
                COOKIE,
                session.token,
                max_age=YEAR_S,
                httponly=True,
                samesite="strict",
                secure=request.url.scheme == "https",
            )
        return answer

    @app.delete("/api/session", status_code=204, openapi_extra=FREE)
    def end_session() -> Response:
        """Have the browser forget its token."""
        answer = Response(status_code=204)
        answer.delete_cookie(COOKIE)
        return answer

    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/", include_in_schema=False)
    def page() -> Response:
        return FileResponse(STATIC / "index.html")

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        return FileResponse(STATIC / "docs.html")


def _say_tokens(app: FastAPI, *, needed: bool) -> None:
    """Have the OpenAPI document say that a token is needed."""
    if not needed:
        return
    plain = app.openapi

    def document() -> dict[str, object]:
        found = plain()
        found.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
        return found

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's own way to change it

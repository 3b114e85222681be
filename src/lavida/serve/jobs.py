"""The routes of jobs: made of an upload or of a video below the folder, listed, cancelled, removed."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from lavida.errors import InputError, disk_error
from lavida.serve.faults import FAULTS, said
from lavida.serve.guard import Refused
from lavida.serve.places import listed, shown_name, upload_place, within
from lavida.serve.schemas import Folder, JobAnswer, JobRequest, Jobs, JobSettings, Video
from lavida.serve.service import Service
from lavida.serve.store import Job

MOST_FIELDS = 210
_FORM = {
    "type": "object",
    "required": ["file", "anomalies"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "The video."},
        "anomalies": {"type": "array", "items": {"type": "string"}, "description": "Repeat for more."},
        "threshold": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1, "default": 0.5},
        "stride": {"type": "integer", "minimum": 1},
        "priority": {"type": "integer", "minimum": -10, "maximum": 10, "default": 0},
    },
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _FORM},
            "application/json": {"schema": JobRequest.model_json_schema()},
        },
    }
}


def routes(service: Service) -> APIRouter:
    """The routes below `/api/jobs` and `/api/folder`."""
    router = APIRouter(prefix="/api", responses=FAULTS)

    @router.post("/jobs", status_code=201, openapi_extra=_BODY)
    async def create_job(request: Request) -> JobAnswer:
        """Put a video into the queue: an upload, a path below the folder (`source`), or another job's (`same_as`)."""
        size = int(request.headers.get("content-length", 0))
        await run_in_threadpool(service.check_room, size)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            async with _form(request) as form:
                job = await _uploaded(service, form)
        elif kind == "application/json":
            job = await _of_known(service, await request.body())
        else:
            raise Refused(415, "send multipart/form-data with a file, or application/json with a source")
        return await run_in_threadpool(service.told, job)

    @router.get("/jobs")
    def list_jobs() -> Jobs:
        """All jobs, the newest first."""
        return Jobs(jobs=[service.told(job) for job in service.store.jobs()])

    @router.get("/jobs/{id}")
    def get_job(id: str) -> JobAnswer:
        """One job, with how far it is."""
        return service.told(service.job(id))

    @router.post("/jobs/{id}/cancel")
    def cancel_job(id: str) -> JobAnswer:
        """Take a job out of the queue, or end it while it runs; one that has ended stays as it is."""
        service.store.cancel(service.job(id).id)
        return service.told(service.job(id))

    @router.delete("/jobs/{id}", status_code=204)
    def delete_job(id: str) -> None:
        """Remove a job with its result, and its video if it was uploaded and no other job is about it."""
        service.remove(service.job(id))

    @router.get("/folder")
    def list_folder() -> Folder:
        """The videos below the folder of the server."""
        folder = service.settings.folder
        found = [] if folder is None else listed(folder)
        return Folder(open=folder is not None, videos=[Video(path=path, bytes=size) for path, size in found])

    return router


@asynccontextmanager
async def _form(request: Request) -> AsyncIterator[FormData]:
    """What is sent; an upload is written to the disk as it comes."""
    try:
        form = await request.form(max_files=1, max_fields=MOST_FIELDS)
    except OSError as error:
        raise _unwritable(error) from error
    try:
        yield form
    finally:
        await form.close()


def _unwritable(error: OSError) -> Refused:
    return Refused(507, str(disk_error(error, "the server's folder")), retry_after=60)


async def _uploaded(service: Service, form: FormData) -> Job:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise Refused(422, "file: give the video")
    unknown = set(form) - set(_FORM["properties"])
    if unknown:
        raise Refused(422, f"{shown_name(min(unknown))}: no such field")
    fields: dict[str, Any] = {name: form[name] for name in ("threshold", "stride", "priority") if form.get(name)}
    try:
        asked = JobSettings(anomalies=[text for text in form.getlist("anomalies") if isinstance(text, str)], **fields)
    except ValidationError as error:
        raise Refused(422, said(error.errors())) from error
    id, name = uuid.uuid4().hex, shown_name(file.filename or "")
    place = upload_place(service.settings.data, id, name)
    await run_in_threadpool(service.store.may_be_left, place)
    await run_in_threadpool(_keep, file.file, place)
    try:
        return await _queued(service, asked, id=id, path=place, name=name, uploaded=True)
    except BaseException:
        place.unlink(missing_ok=True)
        raise


def _keep(file: BinaryIO, place: Path) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as target:
            shutil.copyfileobj(file, target, 2**20)
    except OSError as error:
        place.unlink(missing_ok=True)
        raise _unwritable(error) from error


async def _of_known(service: Service, body: bytes) -> Job:
    try:
        asked = JobRequest.model_validate_json(body)
    except ValidationError as error:
        raise Refused(422, said(error.errors())) from error
    if (asked.source is None) == (asked.same_as is None):
        raise Refused(422, "give either source or same_as")
    id = uuid.uuid4().hex
    if asked.same_as is not None:
        other = service.job(asked.same_as)
        path, name, uploaded = Path(other.path), other.name, other.uploaded
    else:
        path, uploaded = await run_in_threadpool(within, service.settings.folder, asked.source or ""), False
        name = shown_name(path.name)
    return await _queued(service, asked, id=id, path=path, name=name, uploaded=uploaded)


async def _queued(service: Service, asked: JobSettings, *, id: str, path: Path, name: str, uploaded: bool) -> Job:
    if not path.is_file():
        raise InputError(f"the video is gone: {name}; upload it again")
    if service.settings.profile is not None:
        service.settings.profile.chosen(asked.anomalies)
    from lavida.serve import films  # decoders are slow to import, and the page waits for the server

    seen = await service.looks.ask(films.look, str(path), name, service.settings.limits)
    job = Job(
        id=id,
        name=name,
        path=str(path),
        uploaded=uploaded,
        plays=seen.plays,
        width=seen.width,
        height=seen.height,
        fps=seen.fps,
        expected=seen.expected,
        anomalies=tuple(asked.anomalies),
        threshold=asked.threshold,
        stride=asked.stride,
        priority=asked.priority,
    )
    return await run_in_threadpool(service.store.add, job)

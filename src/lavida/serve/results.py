"""The routes of what was found: scores, events, masks, frames, films, files, labels."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response

from lavida.detection import Detection, Mask, shortest
from lavida.export.labels import EventLabel, check_within, read_labels, write_labels
from lavida.export.names import EVENTS, MASKS, OVERLAY, RUN, TIMELINE
from lavida.serve.faults import FAULTS
from lavida.serve.guard import Refused
from lavida.serve.places import result_folder
from lavida.serve.schemas import (
    EventAnswer,
    EventsAnswer,
    Label,
    Labels,
    MaskAnswer,
    MasksAnswer,
    Result,
    ScoresAnswer,
    Seconds,
    Segmentation,
    Share,
)
from lavida.serve.service import SOON_S, Service
from lavida.serve.store import Job

if TYPE_CHECKING:
    from lavida.video.source import SourceInfo

FileName = Literal["frames.parquet", "run.json", "timeline.png", "labels.json", "events.json", "masks.json"]
Kind = Literal["coco", "cvat", "label-studio", "csv", "vtt"]
SUFFIXES = {"cvat": "xml", "csv": "csv", "vtt": "vtt"}
MOST_MASKS = 3000  # of one answer
WAIT_S = 20.0  # for a copy, before the client is asked to come again


def picture(kind: str, said: str) -> dict[int | str, dict[str, Any]]:
    """What the OpenAPI document says of an answer that is no JSON."""
    return {200: {"content": {kind: {}}, "description": said}}


_JPEG = picture("image/jpeg", "The frame.")
_PNG = picture("image/png", "The masks, the rest transparent.")
_MP4 = picture("video/mp4", "The film, or the range of it that was asked for.")
_FILE = picture("application/octet-stream", "The file.")

Threshold = Annotated[Share | None, Query(description="Instead of that of the job.")]
Number = Annotated[int | None, Query(ge=0, le=2**40, description="Of the frame, from 0.")]
Moment = Annotated[Seconds | None, Query(description="The frame that is shown at this time.")]


def routes(service: Service) -> APIRouter:
    """The routes below `/api/jobs/{id}`."""
    router = APIRouter(prefix="/api/jobs/{id}", responses=FAULTS)
    _add_found(router, service)
    _add_labels(router, service)
    _add_pictures(router, service)
    _add_files(router, service)
    return router


def _add_found(router: APIRouter, service: Service) -> None:
    @router.get("/scores")
    def get_scores(id: str, after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0) -> ScoresAnswer:
        """The scores so far; they grow while the job runs."""
        job = service.job(id)
        clips = service.store.scores(id, after=after)
        columns = {name: [each for clip in clips for each in clip[name]] for name in ("frames", "times", "scores")}
        rows = [row for clip in clips for row in clip["category_scores"]]
        return ScoresAnswer(state=job.state, category_scores=rows, next=after + len(clips), **columns)

    @router.get("/events")
    def get_events(id: str, threshold: Threshold = None) -> EventsAnswer:
        """The events at any threshold, without a new run; while the job runs those so far."""
        job = service.job(id)
        found = service.so_far(job)
        level = threshold or job.threshold
        events, masks = _events(found, level), len(found.masks_over(level))
        done = job.state == "done"
        return EventsAnswer(threshold=level, complete=done, end_s=found.end_s, events=events, masks=masks)

    @router.get("/masks")
    def get_masks(
        id: str,
        from_s: Seconds = 0.0,
        to_s: Seconds = 10.0**7,
        threshold: Annotated[Share | None, Query(description="From 0.2 on; instead of that of the job.")] = None,
        form: Annotated[Literal["rings", "rle"], Query(alias="as")] = "rings",
    ) -> MasksAnswer:
        """The masks of the analysed frames of a stretch, at any threshold from 0.2 on; while the job runs, so far."""
        job = service.job(id)
        found = service.so_far(job)
        low, high = np.searchsorted(found.times, [from_s, to_s])
        masks = [mask for mask in found.masks_over(threshold or job.threshold) if low <= mask.frame < high]
        if len(masks) > MOST_MASKS:
            raise Refused(422, f"{len(masks)} masks; at most {MOST_MASKS} are told at once: ask for a shorter stretch")
        scores = dict(zip(found.sampled.tolist(), found.sampled_scores.tolist(), strict=True))
        return MasksAnswer(masks=[_mask(mask, found, scores[mask.frame], form) for mask in masks])

    @router.get("/result")
    def get_result(id: str, threshold: Threshold = None) -> Result:
        """What was found, in short."""
        job = service.job(id)
        found = service.detection(job)
        folder = result_folder(service.settings.data, id)
        return Result(
            source=job.name,
            frames=len(found.times),
            analysed_frames=len(found.sampled),
            duration_s=found.end_s,
            max_score=shortest(found.scores.max()),
            categories=list(found.categories),
            threshold=threshold or job.threshold,
            events=_events(found, threshold),
            files=sorted([*(file.name for file in folder.iterdir()), OVERLAY]),
        )


def _add_labels(router: APIRouter, service: Service) -> None:
    @router.get("/labels")
    def get_labels(id: str) -> Labels:
        """What a person has said of the events."""
        service.detection(service.job(id))
        return _told(read_labels(result_folder(service.settings.data, id)))

    @router.put("/labels")
    def put_labels(id: str, labels: Labels) -> Labels:
        """Replace all labels; they stand in `labels.json`."""
        found = service.detection(service.job(id))
        most = service.settings.limits.labels
        if len(labels.labels) > most:
            raise Refused(422, f"labels: at most {most} are kept")
        kept = [EventLabel(**label.model_dump()) for label in labels.labels]
        check_within(kept, found.end_s)
        write_labels(kept, result_folder(service.settings.data, id))
        return _told(kept)


def _told(labels: list[EventLabel]) -> Labels:
    # not checked again: longer words than the page takes may have come from another tool
    return Labels.model_construct(labels=[Label.model_construct(**asdict(label)) for label in labels])


def _add_pictures(router: APIRouter, service: Service) -> None:
    @router.get("/frame", response_class=Response, responses=_JPEG)
    async def get_frame(
        id: str,
        frame: Number = None,
        time_s: Moment = None,
        width: Annotated[int | None, Query(ge=16, le=4096)] = None,
    ) -> Response:
        """One frame of the video as a JPEG; while the job runs, one that has been analysed."""
        job = await run_in_threadpool(service.job, id)
        number, moment = await run_in_threadpool(service.moment, job, frame=frame, time_s=time_s)
        data = await service.picture(job, number, moment, width)
        kept = {"Cache-Control": "private, max-age=3600", "X-Frame-Number": str(number)}
        return Response(data, media_type="image/jpeg", headers=kept)

    @router.get("/mask.png", response_class=Response, responses=_PNG)
    def get_mask_picture(id: str, frame: Number = None, time_s: Moment = None, threshold: Threshold = None) -> Response:
        """The masks of a frame, those of the last analysed one up to it, as a transparent PNG of the video's size."""
        job = service.job(id)
        found = service.so_far(job)
        number, _ = service.moment(job, frame=frame, time_s=time_s)
        analysed = int(found.sampled[max(int(np.searchsorted(found.sampled, number, side="right")) - 1, 0)])
        masks = [mask for mask in found.masks_over(threshold or job.threshold) if mask.frame == analysed]
        return Response(_painted(masks, found), media_type="image/png")

    @router.get("/video", response_class=Response, responses=_MP4)
    async def get_video(id: str) -> Response:
        """The video as browsers play it: itself, or a copy of it, whose frames have the times of the scores."""
        job = await run_in_threadpool(service.job, id)
        if job.plays:
            kind = "video/webm" if job.path.endswith(".webm") else "video/mp4"
            _existing(Path(job.path))
            return FileResponse(await run_in_threadpool(service.there, job), media_type=kind)
        try:
            path = await asyncio.wait_for(service.copied(job), WAIT_S)
        except TimeoutError as error:
            raise Refused(409, "a copy that browsers play is being made", retry_after=SOON_S) from error
        return FileResponse(_existing(path), media_type="video/mp4")


def _add_files(router: APIRouter, service: Service) -> None:
    @router.get("/overlay.mp4", response_class=Response, responses=_MP4)
    async def get_overlay(id: str, threshold: Threshold = None) -> Response:
        """The video with masks and scores drawn on it; made when it is first asked for, which takes a while."""
        job = await run_in_threadpool(service.job, id)
        path = await service.overlaid(job, threshold)
        return FileResponse(_existing(path), media_type="video/mp4", filename=f"{Path(job.name).stem}-{OVERLAY}")

    @router.get("/export/{kind}", response_class=Response, responses=_FILE)
    def get_export(id: str, kind: Kind, threshold: Threshold = None) -> Response:
        """The result in the format of another tool, with the labels, as `lavida export` writes it."""
        from lavida.export.formats import FORMATS  # decoders are slow to import, and the page waits for the server

        job = service.job(id)
        found = service.at(job, threshold)
        labels = read_labels(result_folder(service.settings.data, id), end_s=found.end_s)
        text = FORMATS[kind](replace(found, info=_named(found, job)), labels)
        download = _ascii(f"{Path(job.name).stem}-{kind}.{SUFFIXES.get(kind, 'json')}")
        headers = {"Content-Disposition": f'attachment; filename="{download}"'}
        return Response(text, media_type="application/octet-stream", headers=headers)

    @router.get("/files/{name}", response_class=Response, responses=_FILE)
    def get_file(id: str, name: FileName, threshold: Threshold = None) -> Response:
        """A file of the result; events, masks and the timeline at any threshold."""
        job = service.job(id)
        found = service.at(job, threshold)
        download = f"{Path(job.name).stem}-{name}"
        headers = {"Content-Disposition": f'attachment; filename="{_ascii(download)}"'}
        if name == EVENTS:
            events = [event.to_json() for event in found.events()]
            return Response(
                json.dumps(events, allow_nan=False, indent=1), media_type="application/json", headers=headers
            )
        if name == MASKS:
            from lavida.export.result import mask_rows

            return Response(mask_rows(found.masks), media_type="application/json", headers=headers)
        path = _existing(result_folder(service.settings.data, id) / name)
        if name == RUN:  # says where the video lies
            run = json.loads(path.read_text(encoding="utf-8")) | {"source": job.name}
            return Response(json.dumps(run, indent=2), media_type="application/json", headers=headers)
        if name == TIMELINE:  # has the video's name for its title
            return Response(_timeline(replace(found, info=_named(found, job))), media_type="image/png", headers=headers)
        return FileResponse(path, filename=download)


def _named(found: Detection, job: Job) -> SourceInfo:
    # below what has nothing below it: formats look whether the path is a folder of pictures
    return replace(found.info, path=Path(os.devnull, job.name), stem=Path(job.name).stem)


def _timeline(found: Detection) -> bytes:
    from lavida.export.timeline import draw_timeline

    written = BytesIO()
    draw_timeline(found).save(written, format="PNG")
    return written.getvalue()


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise Refused(404, f"there is no {path.name}")
    return path


def _ascii(name: str) -> str:
    return "".join(letter if letter.isascii() and letter not in '"\\' else "_" for letter in name)


def _events(found: Detection, threshold: float | None) -> list[EventAnswer]:
    events = found.events(threshold)
    peaks = np.searchsorted(found.times, [event.peak_s for event in events]).tolist()
    return [EventAnswer(**event.to_json(), peak_frame=peak) for event, peak in zip(events, peaks, strict=True)]


def _mask(mask: Mask, found: Detection, frame_score: float, form: Literal["rings", "rle"]) -> MaskAnswer:
    told = MaskAnswer(
        frame=mask.frame,
        time_s=float(found.times[mask.frame]),
        frame_score=shortest(frame_score),
        category=mask.category,
        score=mask.score,
    )
    if form == "rle":
        told.segmentation = Segmentation(**mask.rle)
    else:
        import cv2

        borders, _ = cv2.findContours(mask.pixels.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        told.rings = [[int(side) for side in border.reshape(-1)] for border in borders if len(border) > 2]
    return told


def _painted(masks: list[Mask], found: Detection) -> bytes:
    import cv2

    from lavida.export.drawing import colours

    palette = colours(found.categories)
    canvas = np.zeros((found.info.height, found.info.width, 4), np.uint8)
    for mask in sorted(masks, key=lambda mask: mask.score):
        canvas[mask.pixels] = (*palette[mask.category][::-1], 255)  # OpenCV's order: blue first
    done, data = cv2.imencode(".png", canvas)
    assert done
    return data.tobytes()

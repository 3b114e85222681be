"""What the API takes and gives, as it stands in its OpenAPI document."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from lavida.serve.store import Job, State

Seconds = Annotated[float, Field(ge=0, le=10**7, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


def _visible(text: str) -> str:
    """On one line; the worker, who has the model, looks closer."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    if not line:
        raise ValueError("describe in words what counts as abnormal")
    return line


Corner = Annotated[list[Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]], Field(min_length=2, max_length=2)]
Polygon = Annotated[list[Corner], Field(min_length=3, max_length=200)]  # x, y as shares of width and height
Words = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_visible)]


def _each_once(words: list[str]) -> list[str]:
    return list(dict.fromkeys(words))


class Fault(BaseModel):
    """What is wrong, where, and how to mend it, in one line."""

    message: str


class Health(BaseModel):
    """How the server is; needs no token."""

    status: Literal["ok"] = "ok"
    version: str
    worker: Literal["starting", "ready", "down"]
    needs_token: bool


class JobSettings(BaseModel):
    """What a job is asked for, beside its video."""

    model_config = ConfigDict(extra="forbid")

    anomalies: Annotated[list[Words], Field(min_length=1, max_length=200), AfterValidator(_each_once)]
    threshold: Share = 0.5
    stride: Annotated[int, Field(ge=1, le=10**6)] | None = None
    priority: Annotated[int, Field(ge=-10, le=10)] = 0


class JobRequest(JobSettings):
    """A job about a video that is here already: one below the server's folder, or that of another job."""

    source: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    same_as: Annotated[str, Field(pattern="^[0-9a-f]{32}$")] | None = None


class JobAnswer(BaseModel):
    """A job; times `..._at` are seconds since 1970; `video_id` is the same for all jobs about one video."""

    id: str
    name: str
    video_id: str
    anomalies: list[str]
    threshold: float
    stride: int | None
    priority: int
    state: State
    message: str | None
    ahead: int
    frames: int
    expected_frames: int | None
    progress: float | None
    width: int
    height: int
    fps: float
    video: Literal["ready", "made", "failed", "wanted"]
    created_at: float
    started_at: float | None
    finished_at: float | None

    @classmethod
    def of(cls, job: Job, *, ahead: int, video: Literal["ready", "made", "failed", "wanted"]) -> JobAnswer:
        """What is told of a job; where its file lies is not."""
        share = job.frames / job.expected if job.expected else None
        done = 1.0 if job.state == "done" else (None if share is None else min(share, 0.99))
        return cls(
            id=job.id,
            name=job.name,
            video_id=hashlib.sha256(job.path.encode()).hexdigest()[:16],
            anomalies=list(job.anomalies),
            threshold=job.threshold,
            stride=job.stride,
            priority=job.priority,
            state=job.state,
            message=job.message,
            ahead=ahead,
            frames=job.frames,
            expected_frames=job.expected,
            progress=done,
            width=job.width,
            height=job.height,
            fps=job.fps,
            video=video,
            created_at=job.created,
            started_at=job.started,
            finished_at=job.finished,
        )


class Jobs(BaseModel):
    """All jobs, the newest first."""

    jobs: list[JobAnswer]


class ScoresAnswer(BaseModel):
    """Scores of analysed frames: all of the clips from `after` on. Ask again with `after` set to `next`."""

    state: State
    frames: list[int]
    times: list[float]
    scores: list[float]
    category_scores: list[list[float]]
    next: int


class EventAnswer(BaseModel):
    """An event, as in `events.json`."""

    start_s: float
    end_s: float
    peak_s: float
    peak_frame: int
    peak_score: float
    category: str
    box: list[float] | None


class EventsAnswer(BaseModel):
    """The events of a job at a threshold, and how many masks there are; `complete` once the job is done.

    `end_s`: of the video, or of what has been looked at of it.
    """

    threshold: float
    complete: bool
    end_s: float
    masks: int
    events: list[EventAnswer]


class Segmentation(BaseModel):
    """COCO's compressed run lengths; `size` is height, width in displayed pixels."""

    size: list[int]
    counts: str


class MaskAnswer(BaseModel):
    """A mask of one analysed frame: as rings of x, y in displayed pixels (even-odd), or as run lengths."""

    frame: int
    time_s: float
    frame_score: float
    category: str
    score: float
    rings: list[list[int]] | None = None
    segmentation: Segmentation | None = None


class MasksAnswer(BaseModel):
    """The masks of a stretch of the video."""

    masks: list[MaskAnswer]


class Label(BaseModel):
    """What a person says of an event: it is one, is none, or was missed."""

    model_config = ConfigDict(extra="forbid")

    start_s: Seconds
    end_s: Seconds
    category: Words
    verdict: Literal["true", "false", "missed"]
    threshold: Share | None = None
    peak_score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None


class Labels(BaseModel):
    """All labels of a job, as they stand in `labels.json`."""

    model_config = ConfigDict(extra="forbid")

    labels: list[Label]


class Video(BaseModel):
    """A video below the server's folder."""

    path: str
    bytes: int


class Folder(BaseModel):
    """The videos that can be chosen; `open` is false where the server has no folder."""

    open: bool
    videos: list[Video]


class Result(BaseModel):
    """What was found; more of it is in the files."""

    source: str
    frames: int
    analysed_frames: int
    duration_s: float
    max_score: float
    categories: list[str]
    threshold: float
    events: list[EventAnswer]
    files: list[str]


class StreamEvent(BaseModel):
    """An event of a stream that is watched; `..._wall` is the clock on the wall, UTC; `picture` below `pictures/`."""

    id: str
    stream: str
    going_on: bool
    category: str
    peak_score: float
    start_wall: str
    end_wall: str | None
    picture: str | None


class StreamEntry(BaseModel):
    """A stream as it stands in the configuration; `url` without passwords; null: that of the file, or the default."""

    url: str
    active: bool
    words: list[str]
    threshold: float | None
    regions: list[Polygon]
    ignore: list[Polygon]


class StreamNow(BaseModel):
    """A stream: what is looked for, how it is, and its entry in the configuration, if the server may change that.

    `state` is that of `lavida watch`, `stopped` or `not watched`; `score` the newest one; `rate` frames
    analysed a second; `dropped` and `thinned` frames left out; `held_back` events; `..._at` seconds since 1970;
    `events` how many it has had.
    """

    name: str
    words: list[str]
    threshold: float | None
    regions: list[Polygon]
    ignore: list[Polygon]
    state: str
    message: str
    score: float | None = None
    rate: float | None = None
    share: float | None = None
    dropped: int = 0
    thinned: int = 0
    held_back: int = 0
    health_at: float | None = None
    picture_at: float | None = None
    events: int = 0
    entry: StreamEntry | None = None


class WatchAnswer(BaseModel):
    """The watch: its configuration's name, null where the server has none; whether it was started by this server.

    `allowed`: hosts of addresses that may be set; `fault`: why the configuration cannot be read.
    """

    file: str | None
    state: Literal["running", "starting", "none"]
    ours: bool
    message: str
    allowed: list[str]
    fault: str | None


class StreamsAnswer(BaseModel):
    """How many events each stream has had, how many are going on, and the newest ones, the latest first."""

    watch: WatchAnswer
    now: list[StreamNow]
    streams: dict[str, int]
    going_on: int
    events: list[StreamEvent]


class StreamScores(BaseModel):
    """Scores of one stream; `times` in seconds since 1970, `category_scores` in the order of its words now."""

    times: list[float]
    scores: list[float]
    category_scores: list[list[float | None]]


class NewScores(BaseModel):
    """The scores from behind `after` on. Ask again with `after` set to `next`; if that is smaller, begin with 0."""

    next: int
    streams: dict[str, StreamScores]


class StreamRequest(BaseModel):
    """What a stream is to be; what is left out stays as it is, null is what the file says for all."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    active: bool | None = None
    words: Annotated[list[Words], Field(min_length=1, max_length=50), AfterValidator(_each_once)] | None = None
    threshold: Share | None = None
    regions: Annotated[list[Polygon], Field(max_length=50)] | None = None
    ignore: Annotated[list[Polygon], Field(max_length=50)] | None = None


class Session(BaseModel):
    """A token, to be kept in the browser's cookie."""

    model_config = ConfigDict(extra="forbid")

    token: Annotated[str, Field(min_length=1, max_length=500)]

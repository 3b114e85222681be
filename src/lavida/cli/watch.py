"""`lavida watch`: streams in, JSON lines out; `lavida calibrate`: a camera's thresholds from normal footage."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from lavida.cli.options import (
    AnomalyOption,
    DeviceOption,
    ModelOption,
    ProfileOption,
    RayOption,
    RuntimeOption,
    ThresholdOption,
    WorkersOption,
)
from lavida.errors import InputError, need
from lavida.terminal import print_message, print_result, progress_bars

if TYPE_CHECKING:
    from lavida.detection import Detection
    from lavida.detector import Detector
    from lavida.live.config import WatchFile
    from lavida.live.keeping import Keeping
    from lavida.live.plan import Plan, WatchRequest
    from lavida.live.records import Record, Tell
    from lavida.live.watch import Watching

DATA = Path("lavida-live")
PATIENCE_S = 20.0


def watch(
    sources: Annotated[
        list[str] | None, typer.Argument(help="Addresses (rtsp, http, v4l2:/dev/video0) or files.")
    ] = None,
    anomalies: Annotated[
        list[str] | None, typer.Option("--anomaly", "-a", help="What counts as abnormal, in words; repeat for more.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A file with streams, words and settings.")] = None,
    model: ModelOption = "nano",
    threshold: ThresholdOption = None,
    profile: ProfileOption = None,
    data: Annotated[Path | None, typer.Option(help="Keep events and pictures here; default: lavida-live.")] = None,
    metrics: Annotated[str | None, typer.Option(help="HOST:PORT to serve Prometheus metrics at.")] = None,
    device: DeviceOption = "auto",
    runtime: RuntimeOption = "auto",
    workers: WorkersOption = None,
    ray: RayOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only read the file and open each stream once; exit code 2 if one fails.")
    ] = False,
    until_stdin_ends: Annotated[bool, typer.Option("--until-stdin-ends", hidden=True)] = False,
) -> int:
    """Watch streams and print scores, events and the streams' health as JSON lines."""
    from lavida.live.plan import WatchRequest
    from lavida.parallel import check_workers

    asked = WatchRequest(sources or [], anomalies or [], threshold, profile, config)
    check_workers(workers)
    given = asked.read()
    if check:
        return _check(asked, given)
    plan = asked.plan(given)
    if not plan:
        raise InputError(f"every stream of {config} is stopped: leave out its active: false")
    on_ray = ray is not None or (workers or 1) > 1
    if on_ray:
        need("ray", "streams are spread with it")
    with ExitStack() as stack:
        stop = stack.enter_context(_stopped_by_signals())
        tellers = _tellers(metrics, stack)
        from lavida.live.reload import Reload
        from lavida.live.watch import go_on

        keeping = _keeping(data, given, on_ray=on_ray)
        if keeping is not None:
            stack.callback(keeping.close)
            tellers.append(keeping.tell)
        reload = Reload(asked, given, say=print_message)

        def tell(record: Record) -> None:
            for each in tellers:
                each(record)

        def replan() -> Plan | None:
            changed = reload()
            if changed is not None and keeping is not None:
                keeping.follow(changed)
            return changed

        asked_model = _Model(model, device, runtime)
        watching: Watching
        if on_ray:
            watching = stack.enter_context(_spread(asked_model, plan, keeping, tell, ray or "local", workers))
        else:
            watching = _alone(asked_model, plan, keeping, tell)
        stop.listen()  # Ray listens to signals, too, and has done so by now
        if until_stdin_ends:
            _stop_with_stdin(stop.asked)
        go_on(watching, plan, replan=replan, stopped=stop.asked)
    return 0


class _Model(NamedTuple):
    name: str
    device: str
    runtime: str


def _kept(keeping: Keeping | None, plan: Plan) -> dict[str, Any]:
    """What a watch is told of those who keep its events."""
    return {} if keeping is None else {"seen": keeping.seen, "earlier": keeping.start(plan)}


def _alone(model: _Model, plan: Plan, keeping: Keeping | None, tell: Tell) -> Watching:
    """All streams in this process."""
    from lavida.live.scorer import StartScorer
    from lavida.live.watch import Watch, unlooked, untaped

    _say_loading(model, plan)
    scorer = StartScorer(*model, _words(plan))()
    tapes = untaped if keeping is None else keeping.tape
    look = unlooked if keeping is None else keeping.look
    return Watch(scorer, tell=tell, tapes=tapes, look=look, **_kept(keeping, plan))


@contextmanager
def _spread(
    model: _Model, plan: Plan, keeping: Keeping | None, tell: Tell, address: str, workers: int | None
) -> Iterator[Watching]:
    """The streams over Ray actors."""
    from lavida.live.spread import for_workers, spread

    name, device, runtime = model
    start, gpu = for_workers(name, device=device, runtime=runtime, words=_words(plan))
    _say_loading(model, plan)
    kept = _kept(keeping, plan)
    with spread(start, address=address, workers=workers, streams=len(plan), gpu=gpu, tell=tell, **kept) as watching:
        yield watching


def _words(plan: Plan) -> tuple[str, ...]:
    return next(iter(plan.values())).settings.categories


def _say_loading(model: _Model, plan: Plan) -> None:
    print_message(f"loading {model.name} for {len(plan)} {'stream' if len(plan) == 1 else 'streams'}; Ctrl-C ends")


def _tellers(metrics: str | None, stack: ExitStack) -> list[Tell]:
    """What takes every record: stdout, stderr where frames are left out, and metrics where they are wanted."""
    from lavida.live.behind import Behind

    out = sys.stdout  # Ray gets another one, as it prints what happens to its processes

    def printed(record: Record) -> None:
        print_result(json.dumps(record, ensure_ascii=False, allow_nan=False), to=out)

    tellers: list[Tell] = [printed, Behind(print_message).tell]
    if metrics is not None:
        from lavida.live.metrics import Metrics

        served = Metrics(metrics)
        stack.callback(served.close)
        tellers.append(served.tell)
    return tellers


def _keeping(data: Path | None, given: WatchFile, *, on_ray: bool) -> Keeping | None:
    """What keeps events; None where nothing is asked to be kept and what it takes is not installed."""
    from lavida.live.keeping import Keeping

    if on_ray and given.clips is not None:
        print_message("no clips are made with --ray: what a camera sends stays with the worker that watches it")
        given = replace(given, clips=None)
    try:
        return Keeping(data or DATA, given, say=print_message)
    except InputError as error:
        if data is not None or given.sends or importlib.util.find_spec("sqlalchemy") is not None:
            raise
        print_message(f"events are printed and not kept: {error}")
        return None


def _check(asked: WatchRequest, given: WatchFile) -> int:
    from lavida.live.check import check_streams
    from lavida.live.receivers import receivers_of

    if asked.config is not None:
        receivers_of(given, DATA)
        asked.plan(given)
    addresses = asked.addresses(given)
    faults = check_streams(addresses)
    for name, fault in faults.items():
        print_result(
            json.dumps({"stream": name, "source": addresses[name].shown, "ok": fault is None, "message": fault})
        )
        if fault is not None:
            print_message(f"stream {name}: {fault}: {addresses[name].shown}; check the address and that it sends")
    return 2 if any(fault is not None for fault in faults.values()) else 0


class _Stop:
    """What happens when the system asks the process to end (SIGTERM).

    Attributes:
        asked: is set then, so that open events are closed; until `listen` there are none, and the process ends at once.
    """

    def __init__(self) -> None:
        self.asked, self._watching = threading.Event(), False

    def __call__(self, number: int, frame: object) -> None:
        self.asked.set()
        if not self._watching:
            raise SystemExit(0)

    def listen(self) -> None:
        """From now on only `asked` is set."""
        self._watching = True
        with suppress(ValueError):  # not the main thread
            signal.signal(signal.SIGTERM, self)


@contextmanager
def _stopped_by_signals() -> Iterator[_Stop]:
    """Until all is closed, as what closes events should not be ended either."""
    stop = _Stop()
    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread
        yield stop
        return
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop_with_stdin(stopped: threading.Event) -> None:
    """Stop when stdin ends: the process that started this one has closed it, or has died, however it did."""

    def wait() -> None:
        with suppress(OSError):
            while os.read(0, 4096):  # not sys.stdin, whose lock would be missed at the end
                pass
        stopped.set()
        time.sleep(PATIENCE_S)
        os._exit(1)  # it hangs, and nobody is left to end it

    threading.Thread(target=wait, name="lavida-stdin", daemon=True).start()


def calibrate(
    normal: Annotated[list[str], typer.Argument(help="Videos of this camera without anything abnormal.")],
    anomalies: AnomalyOption,
    false_alarms_per_hour: Annotated[float, typer.Option(help="How many all words together may give.")],
    out: Annotated[Path, typer.Option(help="File for the profile.")],
    background: Annotated[
        bool, typer.Option("--background", help="Learn what is always there, too: only what is new counts then.")
    ] = False,
    model: ModelOption = "nano",
    device: DeviceOption = "auto",
    runtime: RuntimeOption = "auto",
) -> None:
    """Learn a threshold and a zero point for each word from normal footage of one camera."""
    from lavida.detector import check_categories
    from lavida.live.background import foreground_scores, learnt_from
    from lavida.live.calibration import CONFIDENCE, COOL_DOWN_S, Footage, calibrate_words, check_wish
    from lavida.loading import load

    categories = check_categories(anomalies)
    check_wish(false_alarms_per_hour)
    _check_footage(normal, out)
    detector = load(model, device=device, runtime=runtime)
    found = [_looked_at(detector, path, categories) for path in normal]
    always = learnt_from(found) if background else {}
    footage = []
    for each in found:
        scores = foreground_scores(each, always) if background else each.sampled_category_scores
        footage.append([Footage(each.times[each.sampled], column, each.end_s) for column in scores.T])
    profile = calibrate_words(
        categories,
        footage,
        per_hour=false_alarms_per_hour,
        confidence=CONFIDENCE,
        cool_down_s=COOL_DOWN_S,
        model=model,
    )
    profile = replace(profile, words=tuple(replace(word, background=always.get(word.text)) for word in profile.words))
    profile.save(out)
    for word in profile.words:
        there = "; leaves out where it always is" if word.background is not None else ""
        print_result(f"{word.text}: zero {word.zero:.3f}, threshold {word.threshold:.3f}{there}")
    print_result(
        f"{out}: at most {profile.bound_per_hour:.3g} false alarms an hour with {profile.confidence:.0%} confidence, "
        f"from {profile.hours:.2f} hours of normal footage"
    )


def _check_footage(normal: Sequence[str], out: Path) -> None:
    """Raises InputError for what would be found only after all has been looked at, or never."""
    from lavida.files import check_file_target
    from lavida.live.address import masked

    places: set[Path] = set()
    for path in normal:
        if "://" in path:
            raise InputError(f"not a video: {masked(path)}; record the camera first, and give the file")
        place = Path(path).resolve()
        if place in places:  # a promise would rest on hours that nobody has seen
            raise InputError(f"the footage stands twice: {path}; give each video once")
        places.add(place)
    if out.resolve() in places:
        raise InputError(f"the profile would replace the footage: {out}; choose another --out")
    check_file_target(out)


def _looked_at(detector: Detector, path: str, categories: Sequence[str]) -> Detection:
    from lavida.video.decode import decoded_ahead

    # watch smooths within clips only, which may be short: what is promised holds for it, too
    detector.smoothing = False
    with decoded_ahead(path) as source, progress_bars() as tell:
        name, expected = source.info.path.name, source.info.frames_hint
        return detector.detect(
            source, categories, threshold=0.99, progress=lambda done: tell(f"{name}: looking", done, expected)
        )

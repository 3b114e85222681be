"""`lavida watch`: streams in, JSON lines out; `lavida calibrate`: a camera's thresholds from normal footage."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lavida.cli.options import AnomalyOption, DeviceOption, ModelOption, ProfileOption, ThresholdOption
from lavida.errors import InputError
from lavida.terminal import print_message, print_result, progress_bars

if TYPE_CHECKING:
    from lavida.detector import Detector
    from lavida.live.address import Address
    from lavida.live.calibration import Footage
    from lavida.live.config import WatchFile
    from lavida.live.records import Record
    from lavida.live.watch import Moment, Seen, WatchSettings


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
    data: Annotated[
        Path | None, typer.Option(help="Keep events and snapshots here; with webhooks by default lavida-live.")
    ] = None,
    metrics: Annotated[str | None, typer.Option(help="HOST:PORT to serve Prometheus metrics at.")] = None,
    device: DeviceOption = "auto",
    check: Annotated[
        bool, typer.Option("--check", help="Only open each stream once; exit code 2 if one fails.")
    ] = False,
) -> int:
    """Watch streams and print scores, events and the streams' health as JSON lines."""
    from lavida.live.config import WatchFile, read_config

    given = WatchFile() if config is None else read_config(config)
    addresses = _addresses(sources or [], given)
    if check:
        return _check(addresses)
    settings = _settings(given, anomalies or given.anomalies, threshold, profile)
    with ExitStack() as stack:
        tellers = [lambda record: print_result(json.dumps(record, ensure_ascii=False, allow_nan=False))]
        if metrics is not None:
            from lavida.live.metrics import Metrics

            served = Metrics(metrics)
            stack.callback(served.close)
            tellers.append(served.tell)
        from lavida.live.watch import unseen

        seen = unseen if data is None and not given.webhooks else _kept(data or Path("lavida-live"), given, stack)
        from lavida.live.scorer import DetectorScorer
        from lavida.live.watch import watch as watch_streams
        from lavida.loading import load

        scorer = DetectorScorer(load(model, device=device))
        scorer.warm_up(settings.categories)

        def tell(record: Record) -> None:
            for each in tellers:
                each(record)

        with _stopped_by_signals() as stopped:
            watch_streams(addresses, scorer, settings, tell=tell, seen=seen, stopped=stopped)
    return 0


def _kept(folder: Path, given: WatchFile, stack: ExitStack) -> Seen:
    """What keeps events in a folder and sends them on; a full disk costs what would be kept there, not the watch."""
    from lavida.live.store import Store
    from lavida.live.webhook import Courier, Receiver

    receivers = [Receiver.of(each) for each in given.webhooks]
    store = Store(folder, receivers={receiver.name: receiver.phases for receiver in receivers})
    stack.callback(store.close)
    for receiver in receivers:
        courier = Courier(store, receiver)
        courier.start()
        stack.callback(courier.stop)

    def keep(record: Record, moment: Moment | None) -> None:
        try:
            store.keep(record, moment)
        except InputError as error:
            print_message(f"event {record['id']} of stream {record['stream']} is not kept: {error}")

    return keep


def _addresses(sources: Sequence[str], given: WatchFile) -> dict[str, Address]:
    from lavida.live.address import parse, parse_all

    addresses = {name: parse(text) for name, text in given.streams.items()} | parse_all(sources)
    if not addresses:
        raise InputError("no stream: give an address or a file, or streams in --config")
    return addresses


def _check(addresses: dict[str, Address]) -> int:
    from lavida.live.check import check_streams

    faults = check_streams(addresses)
    for name, fault in faults.items():
        print_result(
            json.dumps({"stream": name, "source": addresses[name].shown, "ok": fault is None, "message": fault})
        )
        if fault is not None:
            print_message(f"stream {name}: {fault}: {addresses[name].shown}; check the address and that it sends")
    return 2 if any(fault is not None for fault in faults.values()) else 0


def _settings(
    given: WatchFile, anomalies: Sequence[str], threshold: float | None, profile: Path | None
) -> WatchSettings:
    from lavida.detector import DEFAULT_THRESHOLD, check_categories
    from lavida.events import EventSettings
    from lavida.live.profile import Profile
    from lavida.live.watch import WatchSettings

    place = profile or (None if given.profile is None else Path(given.profile))
    learnt = None if place is None else Profile.load(place)
    words = anomalies or ([] if learnt is None else [word.text for word in learnt.words])
    categories = check_categories(words)
    if learnt is not None:
        learnt.chosen(categories)
    chosen = threshold if threshold is not None else given.threshold
    cool_down_s = given.cool_down_s
    if cool_down_s is None:
        cool_down_s = 0.0 if learnt is None else learnt.cool_down_s
    events = EventSettings(
        threshold=DEFAULT_THRESHOLD if chosen is None else chosen,
        min_length_s=given.min_length_s,
        merge_gap_s=given.merge_gap_s,
        cool_down_s=cool_down_s,
    )
    return WatchSettings(
        categories=categories, events=events, profile=learnt, update_s=given.update_s, health_s=given.health_s
    )


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """An event that is set when the system asks the process to end (SIGTERM): open events are then closed."""
    stopped = threading.Event()
    with suppress(ValueError):  # not the main thread
        before = signal.signal(signal.SIGTERM, lambda number, frame: stopped.set())
    try:
        yield stopped
    finally:
        with suppress(ValueError, UnboundLocalError):
            signal.signal(signal.SIGTERM, before)


def calibrate(
    normal: Annotated[list[str], typer.Argument(help="Videos of this camera without anything abnormal.")],
    anomalies: AnomalyOption,
    false_alarms_per_hour: Annotated[float, typer.Option(help="How many all words together may give.")],
    out: Annotated[Path, typer.Option(help="File for the profile.")],
    model: ModelOption = "nano",
    device: DeviceOption = "auto",
) -> None:
    """Learn a threshold and a zero point for each word from normal footage of one camera."""
    from lavida.detector import check_categories
    from lavida.live.calibration import CONFIDENCE, COOL_DOWN_S, calibrate_words, check_wish
    from lavida.loading import load

    categories = check_categories(anomalies)
    check_wish(false_alarms_per_hour)
    detector = load(model, device=device)
    footage = [_footage(detector, path, categories) for path in normal]
    profile = calibrate_words(
        categories,
        footage,
        per_hour=false_alarms_per_hour,
        confidence=CONFIDENCE,
        cool_down_s=COOL_DOWN_S,
        model=model,
    )
    profile.save(out)
    for word in profile.words:
        print_result(f"{word.text}: zero {word.zero:.3f}, threshold {word.threshold:.3f}")
    print_result(
        f"{out}: at most {profile.bound_per_hour:.3g} false alarms an hour with {profile.confidence:.0%} confidence, "
        f"from {profile.hours:.2f} hours of normal footage"
    )


def _footage(detector: Detector, path: str, categories: Sequence[str]) -> list[Footage]:
    """One for each word."""
    from lavida.live.calibration import Footage
    from lavida.video.decode import decoded_ahead

    with decoded_ahead(path) as source, progress_bars() as tell:
        name, expected = source.info.path.name, source.info.frames_hint
        found = detector.detect(
            source, categories, threshold=0.99, progress=lambda done: tell(f"{name}: looking", done, expected)
        )
    times, columns = found.times[found.sampled], found.sampled_category_scores.T
    return [Footage(times, scores, found.end_s) for scores in columns]

"""What is watched and how: from the command line and `watch.yaml` to an address and settings for each stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lavida.errors import InputError
from lavida.events import RELEASE_SHARE, EventSettings
from lavida.live.address import Address, parse, parse_all
from lavida.live.config import StreamEntry, WatchFile, read_config
from lavida.live.profile import Profile
from lavida.live.regions import Regions, Size, within
from lavida.live.schedule import Schedule
from lavida.live.scorer import ClipScores


@dataclass(frozen=True, kw_only=True)
class WatchSettings:
    """What is looked for in a stream, and how often is told.

    Attributes:
        categories: K texts.
        events: how events are cut.
        profile: what `lavida calibrate` has learnt; None: scores as the model gives them.
        regions: where events count.
        schedule: when events are told.
        blur: words whose masks no picture shows.
        update_s: how often an event that goes on is told of.
        health_s: how often a stream tells how it is, beside every change.
    """

    categories: tuple[str, ...]
    events: EventSettings
    profile: Profile | None = None
    regions: Regions = field(default_factory=Regions)
    schedule: Schedule = field(default_factory=Schedule)
    blur: tuple[str, ...] = ()
    update_s: float = 5.0
    health_s: float = 10.0

    @property
    def places(self) -> bool:
        """Whether it matters where in the picture something is."""
        return bool(self.regions) or (self.profile is not None and self.profile.backgrounds)

    @property
    def _least(self) -> float:
        """The score from which masks matter: where places do, from the one on at which events end."""
        return (RELEASE_SHARE if self.places else 1.0) * self.events.threshold

    @property
    def floor(self) -> float:
        """The same on the scale of the model."""
        return self._least if self.profile is None else self.profile.floor(self.categories, score=self._least)

    def applied(self, scores: ClipScores, size: Size) -> ClipScores:
        """What the scores of a clip are with the profile and in the regions; `size` is that of the masks."""
        if self.profile is not None:
            scores = self.profile.applied(scores, self.categories, threshold=self._least)
            if self.profile.backgrounds:
                scores = within(scores, self.categories, self.profile.foreground, size=size, floor=self._least)
        if self.regions:
            scores = within(scores, self.categories, lambda text: self.regions.area, size=size, floor=self._least)
        return scores


@dataclass(frozen=True)
class Planned:
    """A stream that is to be watched."""

    address: Address
    settings: WatchSettings


Plan = Mapping[str, Planned]  # by the names of the streams


@dataclass(frozen=True)
class WatchRequest:
    """What stands on the command line; it comes before what stands in the file.

    Attributes:
        sources: addresses, beside those of the file.
        anomalies: words, beside those of the file.
        threshold: instead of those of the file.
        profile: instead of those of the file.
        config: the file.
    """

    sources: Sequence[str] = ()
    anomalies: Sequence[str] = ()
    threshold: float | None = None
    profile: Path | None = None
    config: Path | None = None

    def read(self) -> WatchFile:
        """What stands in the file; nothing if there is none. Raises InputError as `read_config`."""
        return WatchFile() if self.config is None else read_config(self.config)

    def addresses(self, given: WatchFile) -> dict[str, Address]:
        """All streams by their names, without their settings; none where all are stopped.

        Raises:
            InputError: for what no retry mends.
        """
        active = {name: entry for name, entry in given.streams.items() if entry.active}
        addresses = {name: parse(entry.url, only_host=entry.only_host) for name, entry in active.items()}
        for name, address in parse_all(self.sources).items():
            free, number = name, 2
            while free in addresses:
                free, number = f"{name}-{number}", number + 1
            addresses[free] = address
        if not addresses and not given.streams:
            raise InputError("no stream: give an address or a file, or streams in --config")
        return addresses

    def plan(self, given: WatchFile) -> Plan:
        """What is watched. Raises InputError for what no retry mends."""
        profiles: dict[Path, Profile] = {}
        return {
            name: Planned(address, self._settings(given, given.streams.get(name) or StreamEntry(), profiles))
            for name, address in self.addresses(given).items()
        }

    def _settings(self, given: WatchFile, entry: StreamEntry, profiles: dict[Path, Profile]) -> WatchSettings:
        from lavida.detector import DEFAULT_THRESHOLD, check_categories

        place = self.profile or next((Path(each) for each in (entry.profile, given.profile) if each), None)
        if place is not None and place not in profiles:
            profiles[place] = Profile.load(place)
        learnt = None if place is None else profiles[place]
        words = [*self.anomalies, *(given.anomalies if entry.anomalies is None else entry.anomalies)]
        if not words and learnt is not None:
            words = [word.text for word in learnt.words]
        categories = check_categories(words)
        if learnt is not None:
            learnt.chosen(categories)

        def first(*values: float | None) -> float | None:
            return next((each for each in values if each is not None), None)

        cool_down_s = first(entry.cool_down_s, given.cool_down_s, None if learnt is None else learnt.cool_down_s)
        threshold = first(self.threshold, entry.threshold, given.threshold)
        return WatchSettings(
            categories=categories,
            events=EventSettings(
                threshold=DEFAULT_THRESHOLD if threshold is None else threshold,
                min_length_s=first(entry.min_length_s, given.min_length_s),
                merge_gap_s=given.merge_gap_s if entry.merge_gap_s is None else entry.merge_gap_s,
                cool_down_s=cool_down_s or 0.0,
            ),
            profile=learnt,
            regions=Regions.of(entry.regions, entry.ignore, beside=self.config),
            schedule=Schedule(tuple(given.schedule if entry.schedule is None else entry.schedule)),
            blur=check_categories(blur) if (blur := given.blur if entry.blur is None else entry.blur) else (),
            update_s=given.update_s,
            health_s=given.health_s,
        )

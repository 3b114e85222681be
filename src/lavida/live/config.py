"""`watch.yaml`: streams, words and settings in a file instead of on the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lavida.errors import InputError, first_line, reason, unknown
from lavida.events import MERGE_GAP_S
from lavida.settings import check_settings, setting


@dataclass
class WatchFile:
    """What may stand in `watch.yaml`; see `docs/watch.md`.

    Attributes:
        streams: addresses by the names of their streams, or a list of addresses.
        anomalies: what counts as abnormal.
        webhooks: where events are sent; see `lavida.live.webhook.Receiver`.
    """

    streams: dict[str, str] = field(default_factory=dict)
    anomalies: list[str] = field(default_factory=list)
    threshold: float | None = setting(None, least=0, most=1)
    min_length_s: float | None = setting(None, least=0)
    merge_gap_s: float = setting(MERGE_GAP_S, least=0)
    cool_down_s: float | None = setting(None, least=0)
    update_s: float = setting(5.0, least=0)
    health_s: float = setting(10.0, least=0.1)
    profile: str | None = None
    webhooks: list[dict[str, Any]] = field(default_factory=list)


def read_config(path: Path) -> WatchFile:
    """The settings in a file. Raises InputError for a file that cannot be read, or a setting that means nothing."""
    from omegaconf import OmegaConf

    try:
        # environment variables, so that no password has to stand in the file: ${oc.env:CAMERA_PASSWORD}
        content: Any = OmegaConf.to_container(OmegaConf.create(path.read_text(encoding="utf-8")), resolve=True)
    except OSError as error:
        raise InputError(f"the configuration cannot be read: {path}; {reason(error)}; check its path") from error
    except Exception as error:  # of YAML; only its first line, as the others show what stands in the file
        raise InputError(f"broken configuration: {path}; {first_line(error)}; mend it") from error
    if not isinstance(content, dict):
        raise InputError(f"broken configuration: {path}; give settings as key: value")
    known = WatchFile.__dataclass_fields__
    for key in content:
        if key not in known:
            raise unknown("setting", f"{key} in {path}", known)
    streams = content.pop("streams", None) or {}
    settings = WatchFile(**content)
    settings.streams = _named(streams, path)
    _check_lists(settings, path)
    check_settings(settings, where=f"{path}: ")
    return settings


def _named(streams: Any, path: Path) -> dict[str, str]:
    if isinstance(streams, list) and all(isinstance(each, str) for each in streams):
        from lavida.live.address import parse_all

        return {name: address.url for name, address in parse_all(streams).items()}
    if isinstance(streams, dict) and all(isinstance(each, str) for pair in streams.items() for each in pair):
        for name in streams:
            if not re.fullmatch(r"[\w.-]{1,100}", name):
                raise InputError(f"{path}: streams: '{name}' is no name; give letters, digits, dots and hyphens")
        return dict(streams)
    raise InputError(f"{path}: streams: give name: address for each")


def _check_lists(settings: WatchFile, path: Path) -> None:
    if not isinstance(settings.anomalies, list) or not all(isinstance(text, str) for text in settings.anomalies):
        raise InputError(f"{path}: anomalies: give a list of texts")
    if not isinstance(settings.webhooks, list) or not all(isinstance(each, dict) for each in settings.webhooks):
        raise InputError(f"{path}: webhooks: give a list of receivers, each with a url")

"""A street that is lit for a second, the model that sees it, and what a command tells of it."""

import json

import pytest
from bright import bright_detector

from live.streams import clip

LEVELS = [20] * 25 + [250] * 25 + [20] * 25


@pytest.fixture
def street(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where lavida-live is made
    monkeypatch.setattr("lavida.loading.load", lambda *model, **place: bright_detector())
    return clip(tmp_path / "street.mp4", LEVELS)


def records(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

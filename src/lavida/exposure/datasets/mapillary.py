"""Mapillary Vistas 2.0: street scenes of the whole world with 124 classes (Neuhold et al. 2017)."""

import json
from collections.abc import Mapping

from lavida.errors import InputError
from lavida.exposure.datasets.label_images import IGNORE, LabelImageDataset, Legend
from lavida.exposure.datasets.reading import read_text

CONFIG = "config_v2.0.json"
# Official names are paths such as object--support--utility-pole. The last step, with spaces, is the word, but for:
WORDS = {
    "animal--ground-animal": "animal", "construction--barrier--ambiguous": "barrier",
    "construction--barrier--other-barrier": "barrier", "construction--barrier--road-side": "roadside edge",
    "construction--barrier--separator": "lane separator", "construction--barrier--temporary": "temporary barrier",
    "construction--flat--crosswalk-plain": "crosswalk", "construction--flat--parking": "parking lot",
    "human--person--individual": "pedestrian", "human--person--person-group": "group of people",
    "human--rider--other-rider": "rider", "marking--continuous--dashed": "dashed line",
    "marking--continuous--solid": "solid line", "marking--continuous--zigzag": "zigzag line",
    "marking--discrete--ambiguous": "road marking", "marking--discrete--arrow--left": "left turn arrow",
    "marking--discrete--arrow--other": "road arrow", "marking--discrete--arrow--right": "right turn arrow",
    "marking--discrete--arrow--split-left-or-straight": "left or straight arrow",
    "marking--discrete--arrow--split-right-or-straight": "right or straight arrow",
    "marking--discrete--arrow--straight": "straight arrow", "marking--discrete--crosswalk-zebra": "zebra crossing",
    "marking--discrete--give-way-row": "give way line", "marking--discrete--give-way-single": "give way triangle",
    "marking--discrete--hatched--chevron": "chevron marking", "marking--discrete--hatched--diagonal": "hatched marking",
    "marking--discrete--other-marking": "road marking", "marking--discrete--symbol--bicycle": "bicycle symbol",
    "marking--discrete--symbol--other": "road symbol", "marking--discrete--text": "text on the road",
    "object--catch-basin": "storm drain", "object--cctv-camera": "security camera",
    "object--sign--advertisement": "billboard", "object--sign--ambiguous": "sign", "object--sign--back": "sign",
    "object--sign--information": "information sign", "object--sign--other": "sign", "object--sign--store": "store sign",
    "object--support--pole-group": "pole", "object--traffic-light--cyclists": "bicycle traffic light",
    "object--traffic-light--general-horizontal": "traffic light",
    "object--traffic-light--general-single": "traffic light", "object--traffic-light--general-upright": "traffic light",
    "object--traffic-light--other": "traffic light", "object--traffic-light--pedestrians": "pedestrian traffic light",
    "object--traffic-sign--ambiguous": "traffic sign", "object--traffic-sign--back": "traffic sign",
    "object--traffic-sign--direction-back": "direction sign", "object--traffic-sign--direction-front": "direction sign",
    "object--traffic-sign--front": "traffic sign", "object--traffic-sign--information-parking": "parking sign",
    "object--traffic-sign--temporary-back": "temporary traffic sign",
    "object--traffic-sign--temporary-front": "temporary traffic sign", "object--vehicle--on-rails": "train",
    "object--vehicle--other-vehicle": "vehicle", "object--vehicle--vehicle-group": "vehicle",
    "object--vehicle--wheeled-slow": "stroller or cart",
}  # fmt: skip
# More general words and the beginnings of the official names that they cover. A rider is drawn without what is
# ridden; walls and curbs are filed under barriers, but nobody would call them so.
GROUPS = {
    "person": ("human--",), "pedestrian": ("human--person--",), "rider": ("human--rider--",),
    "vehicle": ("object--vehicle--",), "animal": ("animal--",), "tree": ("nature--vegetation",),
    "building": ("construction--structure--garage",), "crosswalk": ("marking--discrete--crosswalk-zebra",),
    "lane marking": ("marking--continuous--",), "road arrow": ("marking--discrete--arrow--",),
    "road symbol": ("marking--discrete--symbol--",), "road marking": ("marking--",),
    "pole": ("object--support--utility-pole",), "traffic light": ("object--traffic-light--",),
    "traffic sign": ("object--traffic-sign--",), "sign": ("object--sign--", "object--traffic-sign--"),
    "barrier": (
        "construction--barrier--concrete", "construction--barrier--fence", "construction--barrier--guard",
        "construction--barrier--separator", "construction--barrier--temporary",
    ),
}  # fmt: skip


class Mapillary(LabelImageDataset):
    """Single frames; `heldout` is the official validation.

    The classes are those of the configuration file in the root, in its order.

    Args:
        root: folder with `training`, `validation` and `config_v2.0.json`.
    """

    name = "mapillary"
    images = "{part}/images/*.jpg"
    labels = "{part}/v2.0/labels/*.png"
    parts = {"train": ("training",), "heldout": ("validation",)}
    layout = f"{CONFIG}, <training|validation>/images/*.jpg, <training|validation>/v2.0/labels/*.png"
    expected = {"train": {"images": 18000}, "heldout": {"images": 2000}}

    def read_legend(self) -> Legend:
        """Index of each label in the configuration -> its word."""
        path = self.root / CONFIG
        try:
            codes = [label["name"] for label in json.loads(read_text(path, layout=self.layout))["labels"]]
            self._words = {code: word(code) for code in codes}
        except InputError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError(f"not a list of Mapillary labels: {path}; restore the official file") from None
        return {index: self._words[code] for index, code in enumerate(codes)}

    def read_unions(self) -> Mapping[str, tuple[str, ...]]:
        """The groups, in the words of the legend."""
        named = [(_plain(code), said) for code, said in self._words.items() if said]
        return {
            general: tuple(dict.fromkeys(said for code, said in named if code.startswith(beginnings)))
            for general, beginnings in GROUPS.items()
        }


def word(code: str) -> str | None:
    """The plain word for an official name; nothing for what is void."""
    if code.startswith("void--"):
        return IGNORE
    return WORDS.get(_plain(code)) or code.rpartition("--")[2].replace("-", " ")


def _plain(code: str) -> str:
    """The name with markings on the road alike, whether they lie on a labelled surface or not."""
    return code.replace("marking-only--", "marking--")

import json

import pytest
from label_trees import columns_of, write_labels, write_picture

from lavida.errors import InputError
from lavida.exposure.datasets import Mapillary
from lavida.exposure.datasets.mapillary import GROUPS, WORDS

# the 124 official names without their common beginnings
OFFICIAL = {
    "animal": "bird ground-animal",
    "construction--barrier": "ambiguous concrete-block curb fence guard-rail other-barrier road-median road-side "
    "separator temporary wall",
    "construction--flat": "bike-lane crosswalk-plain curb-cut driveway parking parking-aisle pedestrian-area "
    "rail-track road road-shoulder service-lane sidewalk traffic-island",
    "construction--structure": "bridge building garage tunnel",
    "human--person": "individual person-group",
    "human--rider": "bicyclist motorcyclist other-rider",
    "marking--continuous": "dashed solid zigzag",
    "marking--discrete": "ambiguous arrow--left arrow--other arrow--right arrow--split-left-or-straight "
    "arrow--split-right-or-straight arrow--straight crosswalk-zebra give-way-row give-way-single hatched--chevron "
    "hatched--diagonal other-marking stop-line symbol--bicycle symbol--other text",
    "marking-only": "continuous--dashed discrete--crosswalk-zebra discrete--other-marking discrete--text",
    "nature": "mountain sand sky snow terrain vegetation water",
    "object": "banner bench bike-rack catch-basin cctv-camera fire-hydrant junction-box mailbox manhole parking-meter "
    "phone-booth pothole",
    "object--sign": "advertisement ambiguous back information other store",
    "object--support": "pole pole-group traffic-sign-frame utility-pole",
    "object--traffic-light": "cyclists general-horizontal general-single general-upright other pedestrians",
    "object--traffic-sign": "ambiguous back direction-back direction-front front information-parking temporary-back "
    "temporary-front",
    "object--vehicle": "bicycle boat bus car caravan motorcycle on-rails other-vehicle trailer truck vehicle-group "
    "wheeled-slow",
    "void": "car-mount dynamic ego-vehicle ground static unlabeled",
}
OTHERS = ["object--street-light", "object--traffic-cone", "object--trash-can", "object--water-valve"]
CODES = sorted([f"{start}--{end}" for start, ends in OFFICIAL.items() for end in ends.split()] + OTHERS)


@pytest.fixture
def root(tmp_path):
    labels = [{"name": code, "readable": "-", "evaluate": True, "color": [0, 0, 0]} for code in CODES]
    (tmp_path / "config_v2.0.json").write_text(json.dumps({"version": "2.0", "labels": labels}))
    for part in ("training", "validation"):
        write_picture(tmp_path / part / "images" / "Xy_1.jpg", width=6)
        put(tmp_path, part, "void--unlabeled", *["nature--sky"] * 5)
    return tmp_path


def put(root, part, *codes):
    path = root / part / "v2.0" / "labels" / "Xy_1.png"
    write_labels(path, [CODES.index(code) for code in codes], palette=True)


def masks_of(sample):
    return {name: columns_of(mask) for name, mask in sample.masks.items()}


def test_the_configuration_names_the_palette_values(root):
    put(root, "training", "object--vehicle--car", "object--vehicle--vehicle-group", "human--rider--bicyclist",
        "human--person--individual", "void--ego-vehicle", "object--traffic-light--pedestrians")  # fmt: skip
    (sample,) = Mapillary(root, "train")
    assert masks_of(sample) == {
        "pedestrian": [3],
        "bicyclist": [2],
        "pedestrian traffic light": [5],
        "car": [0],
        "vehicle": [0, 1],
        "traffic light": [5],
        "person": [2, 3],
        "rider": [2],
    }
    assert columns_of(sample.ignore) == [4] and sample.key == "training/Xy_1"


def test_markings_are_called_alike_on_any_ground(root):
    put(root, "validation", "marking--continuous--dashed", "marking-only--continuous--dashed",
        "marking-only--discrete--crosswalk-zebra", "construction--flat--crosswalk-plain",
        "marking--discrete--stop-line", "construction--flat--road")  # fmt: skip
    (sample,) = Mapillary(root, "heldout")
    assert masks_of(sample) == {
        "crosswalk": [2, 3],
        "road": [5],
        "dashed line": [0, 1],
        "zebra crossing": [2],
        "stop line": [4],
        "lane marking": [0, 1],
        "road marking": [0, 1, 2, 4],
    }


def test_every_official_class_gets_a_plain_word(root):
    vocabulary = Mapillary(root, "train").vocabulary
    assert len(CODES) == 124 and len(set(vocabulary)) == len(vocabulary)
    assert all(word == word.lower() and "-" not in word for word in vocabulary)
    assert {"bird", "guard rail", "zebra crossing", "security camera", "group of people", "train"} <= set(vocabulary)
    assert set(GROUPS) <= set(vocabulary)
    assert not {"individual", "on rails", "general single", "unlabeled", "other"} & set(vocabulary)
    assert set(WORDS) <= {code.replace("marking-only", "marking") for code in CODES}  # no name is misspelled


def test_values_beyond_the_configuration_are_refused(root):
    write_labels(root / "training" / "v2.0" / "labels" / "Xy_1.png", [0, 1, 2, 3, 4, 124], palette=True)
    with pytest.raises(InputError, match="124.*Xy_1.png"):
        Mapillary(root, "train")[0]


def test_the_configuration_may_begin_with_a_byte_order_mark(root):
    config = root / "config_v2.0.json"
    config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes())
    assert len(Mapillary(root, "train")) == 1


def test_the_configuration_is_needed_and_must_be_one(root):
    config = root / "config_v2.0.json"
    config.write_text('{"labels": [{"readable": "Bird"}]}')
    with pytest.raises(InputError, match="config_v2.0.json"):
        Mapillary(root, "train")
    config.unlink()
    with pytest.raises(InputError, match="config_v2.0.json.*v2.0/labels"):
        Mapillary(root, "train")


def test_files_and_counts(root):
    dataset = Mapillary(root, "heldout")
    assert dataset.counts() == {"images": 1} and dataset.expected["heldout"] == {"images": 2000}
    assert [path.relative_to(root).as_posix() for path in dataset.files()] == [
        "validation/images/Xy_1.jpg",
        "validation/v2.0/labels/Xy_1.png",
    ]

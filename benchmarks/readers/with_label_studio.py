"""label-studio.json by label-studio-sdk: its converter's reader, and its label configuration's check."""

import json
import sys
from importlib.metadata import version
from pathlib import Path

from label_studio_sdk.converter.brush import decode_rle
from label_studio_sdk.label_interface import LabelInterface
from label_studio_sdk.label_interface.objects import AnnotationValue, PredictionValue

folder = Path(sys.argv[1])
expected = json.loads((folder / "expected.json").read_text())
(task,) = json.loads((folder / "label-studio.json").read_text())
words = sorted({event["category"] for event in expected["events"]})
more = [*words, *(f"false alarm: {word}" for word in words)]


def escaped(word: str) -> str:
    for letter, code in (("&", "&amp;"), ("<", "&lt;"), ('"', "&quot;")):
        word = word.replace(letter, code)
    return word


choices = "".join(f'<Label value="{escaped(word)}"/>' for word in more)
config = LabelInterface(
    f'<View><Video name="video" value="$video"/><VideoRectangle name="box" toName="video"/>'
    f'<Labels name="label" toName="video">{choices}</Labels>'
    f'<TimelineLabels name="event" toName="video">{choices}</TimelineLabels></View>'
)
(prediction,), (annotation,) = task["predictions"], task["annotations"]
PredictionValue(**{name: prediction[name] for name in ("model_version", "score", "result")})
AnnotationValue(completed_by=1, result=annotation["result"])  # Label Studio puts in who imports it
known = {tag.name for tag in config.controls}
assert {region["from_name"] for region in prediction["result"] + annotation["result"]} <= known

times = [*expected["times"], expected["end_s"]]
boxes = [region["value"] for region in prediction["result"] if region["type"] == "videorectangle"]
got = {(one["frame"] - 1, value["labels"][0]): one for value in boxes for one in value["sequence"]}
height, width = expected["size"]
for mask in expected["masks"]:
    one = got.pop((mask["frame"], mask["category"]))
    sides = [one["x"] * width, one["y"] * height, one["width"] * width, one["height"] * height]
    assert all(abs(side / 100 - wanted) < 1e-9 for side, wanted in zip(sides, mask["box"], strict=True))
assert not got


def spans(results: list) -> list[tuple]:
    found = []
    for region in results:
        if region["type"] == "timelinelabels":
            ((span,), (word,)) = region["value"]["ranges"], region["value"]["timelinelabels"]
            text = region.get("meta", {}).get("text", [None])[0]
            found.append((times[span["start"] - 1], times[span["end"]], word.removeprefix("false alarm: "), text))
    return found


events = [(event["start_s"], event["end_s"], event["category"], None) for event in expected["events"]]
assert spans(prediction["result"]) == events, spans(prediction["result"])
labels = [tuple(label.values()) for label in expected["labels"]]
assert spans(annotation["result"]) == labels, spans(annotation["result"])

(task,) = json.loads((folder / "label-studio-picture.json").read_text())
config = LabelInterface(
    f'<View><Image name="image" value="$image"/><BrushLabels name="brush" toName="image">{choices}</BrushLabels></View>'
)
(prediction,) = task["predictions"]
PredictionValue(**{name: prediction[name] for name in ("model_version", "score", "result")})
assert {region["from_name"] for region in prediction["result"]} <= {tag.name for tag in config.controls}
for region, mask in zip(prediction["result"], expected["masks"], strict=True):
    pixels = decode_rle(region["value"]["rle"]).reshape(height, width, 4)[:, :, 3]
    assert ["".join("01"[value > 0] for value in row) for row in pixels.tolist()] == mask["rows"]
    assert region["value"]["brushlabels"] == [mask["category"]]
print(
    f"label-studio-sdk {version('label-studio-sdk')}: {len(expected['masks'])} boxes and brush masks, "
    f"{len(events)} events, {len(labels)} labels"
)

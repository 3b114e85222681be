"""The data sets of `configs/paper.yaml` on disk: official layouts with hardly any content and empty pictures."""

import json
import pickle
from pathlib import Path
from typing import Any

VIDEO, FRAMES = "v01", ("00000", "00001", "00002")


def write_paper_tree(root: Path) -> None:
    """Every data set below its folder, with one video of three frames or one picture (refer sets: one picture each)."""
    youtube_vos(root / "youtube_vos")
    ref_youtube_vos(root / "ref_youtube_vos")
    mevis(root / "mevis")
    ref_davis(root / "ref_davis")
    cityscapes(root / "cityscapes")
    refer(root / "refer")
    ade20k(root / "ade20k")
    mapillary(root / "mapillary")


def youtube_vos(root: Path) -> None:
    objects = {"1": {"category": "dog", "frames": list(FRAMES)}}
    # every twentieth is held out, the first among them
    _json(root / "train/meta.json", {"videos": {video: {"objects": objects} for video in ("v00", VIDEO)}})
    _frames(root / "train/JPEGImages" / VIDEO, root / "train/Annotations" / VIDEO)


def ref_youtube_vos(root: Path) -> None:
    said = {"0": {"exp": "a dog", "obj_id": "1"}}
    videos = {video: {"expressions": said, "frames": list(FRAMES)} for video in ("v00", VIDEO)}
    _json(root / "meta_expressions/train/meta_expressions.json", {"videos": videos})
    _frames(root / "train/JPEGImages" / VIDEO, root / "train/Annotations" / VIDEO)


def mevis(root: Path) -> None:
    said = {"0": {"exp": "a dog that runs", "obj_id": [0], "anno_id": [11]}}
    _json(root / "train/meta_expressions.json", {"videos": {VIDEO: {"expressions": said, "frames": list(FRAMES)}}})
    _json(root / "train/mask_dict.json", {"11": [None, None, None]})
    _frames(root / "train/JPEGImages" / VIDEO)


def ref_davis(root: Path) -> None:
    for name in ("annot1", "annot1_full_video", "annot2", "annot2_full_video"):
        _text(root / f"davis_text_annotations/Davis17_{name}.txt", f'{VIDEO} 1 "a dog"\n')
    _text(root / "DAVIS/ImageSets/2017/train.txt", f"{VIDEO}\n")
    _frames(root / "DAVIS/JPEGImages/480p" / VIDEO, root / "DAVIS/Annotations/480p" / VIDEO)


def cityscapes(root: Path) -> None:
    _text(root / "leftImg8bit/train/ulm/ulm_000000_000019_leftImg8bit.png")
    _text(root / "gtFine/train/ulm/ulm_000000_000019_gtFine_labelIds.png")


def refer(root: Path) -> None:
    for name, split, pictures, file in (
        ("refclef", "unc", "images/saiapr_tc-12", "7.jpg"),
        ("refcoco", "unc", "images/mscoco/images/train2014", "COCO_train2014_000000000007.jpg"),
        ("refcoco+", "unc", "images/mscoco/images/train2014", "COCO_train2014_000000000007.jpg"),
        ("refcocog", "umd", "images/mscoco/images/train2014", "COCO_train2014_000000000007.jpg"),
    ):
        said = [{"sent": "the dog", "raw": "the dog", "tokens": ["the", "dog"], "sent_id": 0}]
        reference = {"ann_id": 3, "image_id": 7, "split": "train", "sentences": said, "file_name": file}
        _text(root / pictures / file)
        (root / name).mkdir(parents=True)
        (root / name / f"refs({split}).p").write_bytes(pickle.dumps([reference], protocol=2))
        dog = {"id": 3, "image_id": 7, "category_id": 18, "segmentation": [[0, 0, 4, 0, 4, 4]], "iscrowd": 0}
        images = [{"id": 7, "file_name": file, "height": 20, "width": 30}]
        categories = [{"id": 18, "name": "dog"}]
        _json(root / name / "instances.json", {"images": images, "annotations": [dog], "categories": categories})


def ade20k(root: Path) -> None:
    _text(root / "images/training/ADE_train_00000001.jpg")
    _text(root / "annotations/training/ADE_train_00000001.png")


def mapillary(root: Path) -> None:
    _json(root / "config_v2.0.json", {"labels": [{"name": "object--vehicle--car"}, {"name": "void--unlabeled"}]})
    _text(root / "training/images/a.jpg")
    _text(root / "training/v2.0/labels/a.png")


def _frames(pictures: Path, labels: Path | None = None) -> None:
    for frame in FRAMES:
        _text(pictures / f"{frame}.jpg")
        if labels is not None:
            _text(labels / f"{frame}.png")


def _json(path: Path, content: Any) -> None:
    _text(path, json.dumps(content))


def _text(path: Path, content: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)

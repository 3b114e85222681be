"""DAVIS-2017: several objects in every frame; Ref-DAVIS17: what two annotators say of each (Khoreva et al. 2018)."""

import json
from collections.abc import Iterator
from pathlib import Path

from lavida.errors import InputError
from lavida.exposure.datasets.annotated_video import (
    AnnotatedVideo,
    Expressions,
    PaletteVideos,
    object_numbers,
    objects_by_name,
    read_meta_expressions,
)
from lavida.exposure.datasets.reading import decoded, files_in, folder, format_of, of_split, read_text

SPLITS = {"train": ("train",), "heldout": ("val",)}
RESOLUTION = "480p"
VOID = 255
SEMANTICS = "davis_semantics.json"
# What people call the categories that are written otherwise.
NAMES = {
    "cellphone": "cell phone", "chamaleon": "chameleon", "kart": "go-kart", "paraglide": "paraglider",
    "rhino": "rhinoceros", "scale": "weighing scale", "ski": "skis", "varanus": "monitor lizard",
}  # fmt: skip
REF_SPLITS = {"train": ("train", "train"), "heldout": ("val", "valid")}
TEXTS = "davis_text_annotations"
# Each annotator saw the first frame, then the whole video.
TEXT_FILES = (
    "Davis17_annot1.txt",
    "Davis17_annot1_full_video.txt",
    "Davis17_annot2.txt",
    "Davis17_annot2_full_video.txt",
)
MISSPELT = {"clasic-car": "classic-car", "dog-scale": "dogs-scale", "motor-bike": "motorbike"}  # in these files


class Davis2017(PaletteVideos):
    """Clips of all frames; a class is a category, its mask all its objects. `heldout` is the official val.

    The categories are a download of their own on the site of DAVIS-2017, below "Object categories".

    Args:
        root: folder with `JPEGImages`, `Annotations`, `ImageSets` and `davis_semantics.json`, or with `DAVIS`.
    """

    name = "davis2017"
    layout = (
        f"JPEGImages/{RESOLUTION}/<video>/<frame>.jpg, Annotations/{RESOLUTION}/<video>/<frame>.png, "
        f"ImageSets/2017/{{train,val}}.txt, {SEMANTICS} (all of them also below DAVIS/)"
    )
    expected = {"train": {"videos": 60}, "heldout": {"videos": 30}}
    void = VOID

    def __init__(self, root: str | Path, split: str, *, clip_length: int = 1) -> None:
        (part,) = of_split(SPLITS, split, dataset="DAVIS-2017")
        base = davis_folder(Path(root))
        frames = davis_frames(base, part, dataset="DAVIS-2017", layout=self.layout)
        path = base / SEMANTICS
        if not path.exists():
            raise InputError(
                f"the categories of DAVIS-2017 are missing: {path}; take {SEMANTICS} from "
                "DAVIS-2017_semantics-480p.zip ('Object categories' on the page of DAVIS-2017)"
            )
        categories = davis_categories(path)
        missing = sorted(set(frames) - set(categories))
        if missing:
            raise InputError(f"no categories for video {missing[0]}: {path}; restore the official file")
        videos = [
            AnnotatedVideo(
                name=video,
                frames=names,
                targets=objects_by_name(categories[video]),
                objects=frozenset(categories[video]),
            )
            for video, names in frames.items()
        ]
        pictures, labels = base / "JPEGImages" / RESOLUTION, base / "Annotations" / RESOLUTION
        super().__init__(videos, pictures=pictures, labels=labels, clip_length=clip_length)


def davis_folder(root: Path) -> Path:
    """Where DAVIS itself lies: its archives unpack into a folder of that name."""
    return root / "DAVIS" if (root / "DAVIS").is_dir() else root


def davis_frames(base: Path, part: str, *, dataset: str, layout: str) -> dict[str, tuple[str, ...]]:
    """Video of the official list -> its frames: those that have a picture or a label."""
    pictures = folder(base / "JPEGImages" / RESOLUTION, dataset=dataset, layout=layout)
    labels = folder(base / "Annotations" / RESOLUTION, dataset=dataset, layout=layout)
    videos = read_text(base / "ImageSets" / "2017" / f"{part}.txt", layout=layout).split()
    return {
        video: tuple(
            sorted(
                {path.stem for path in files_in(pictures / video, ".jpg")}
                | {path.stem for path in files_in(labels / video, ".png")}
            )
        )
        for video in videos
    }


def davis_categories(path: Path) -> dict[str, dict[int, str]]:
    """Video -> object number -> plain name of its category, from `davis_semantics.json`."""
    text = read_text(path)
    with format_of("DAVIS-2017", path):
        return {
            video: {number: plain_name(objects[str(number)]) for number in sorted(object_numbers(objects))}
            for video, objects in json.loads(text).items()
        }


def plain_name(category: str) -> str:
    """A category of DAVIS as people say it."""
    return NAMES.get(category, category.replace("_", " "))


class RefDavis(PaletteVideos):
    """Clips with the expressions of their objects; `heldout` is the official val.

    The first expression of an object names its mask. The categories of the labelled objects are listed with an
    empty mask, since they are surely there, if `davis_semantics.json` is. The form of Refer-YouTube-VOS that others
    convert the set to is read as well: `meta_expressions/{train,valid}/meta_expressions.json` and
    `{train,valid}/{JPEGImages,Annotations}`.

    Args:
        root: folder with `davis_text_annotations` and DAVIS-2017, or with `meta_expressions`.
    """

    name = "ref_davis"
    layout = (
        f"{TEXTS}/{{{','.join(TEXT_FILES)}}}, DAVIS/JPEGImages/{RESOLUTION}/<video>/<frame>.jpg, "
        f"DAVIS/Annotations/{RESOLUTION}/<video>/<frame>.png, DAVIS/ImageSets/2017/{{train,val}}.txt, "
        f"DAVIS/{SEMANTICS} (optional, the categories)"
    )
    expected = {"train": {"videos": 60}, "heldout": {"videos": 30}}
    void = VOID

    def __init__(self, root: str | Path, split: str, *, clip_length: int = 1) -> None:
        official, converted = of_split(REF_SPLITS, split, dataset="Ref-DAVIS17")
        root = Path(root)
        if (root / "meta_expressions").is_dir():
            base = root / converted
            videos = _converted_videos(root, converted, layout=self.layout)
            pictures, labels = base / "JPEGImages", base / "Annotations"
        else:
            base = davis_folder(root)
            videos = _official_videos(root, official, layout=self.layout)
            pictures, labels = base / "JPEGImages" / RESOLUTION, base / "Annotations" / RESOLUTION
        super().__init__(videos, pictures=pictures, labels=labels, clip_length=clip_length)


def _official_videos(root: Path, part: str, *, layout: str) -> list[AnnotatedVideo]:
    base = davis_folder(root)
    frames = davis_frames(base, part, dataset="Ref-DAVIS17", layout=layout)
    said: dict[str, list[tuple[str, frozenset[int]]]] = {video: [] for video in frames}
    for name in TEXT_FILES:
        for video, number, text in _lines(root / TEXTS / name, layout=layout):
            if video in said:
                said[video].append((text, frozenset({number})))
    semantics = base / SEMANTICS
    categories = davis_categories(semantics) if semantics.exists() else {}
    return [
        Expressions.of(said[video]).annotate(video, names, categories=sorted(set(categories.get(video, {}).values())))
        for video, names in frames.items()
    ]


def _lines(path: Path, *, layout: str) -> Iterator[tuple[str, int, str]]:
    """Video, object number and text of each line `video number "text"`."""
    try:
        content = path.read_bytes()
    except OSError:
        raise InputError(f"file is missing: {path}; restore the data set, which holds {layout}") from None
    try:
        text = decoded(content)
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # the second annotator's files
    for place, line in enumerate(text.splitlines(), 1):
        if line.strip():
            with format_of("Ref-DAVIS17", Path(f"{path}, line {place}")):
                video, number, said = line.split(maxsplit=2)
                (object_number,) = object_numbers([number])
            yield MISSPELT.get(video, video), object_number, said.strip().strip('"')


def _converted_videos(root: Path, part: str, *, layout: str) -> list[AnnotatedVideo]:
    path = root / "meta_expressions" / part / "meta_expressions.json"
    said = read_meta_expressions(path, dataset="Ref-DAVIS17", layout=layout)
    meta = root / part / "meta.json"
    categories: dict[str, list[str]] = {}
    if meta.exists():
        text = read_text(meta)
        with format_of("Ref-DAVIS17", meta):
            for video, entry in json.loads(text)["videos"].items():
                names = {each["category"] for each in entry["objects"].values()}
                categories[video] = sorted(plain_name(name) for name in names)
    with format_of("Ref-DAVIS17", path):
        for _, texts in said.values():
            object_numbers(number for objects in texts.targets.values() for number in objects)
    return [
        texts.annotate(video, frames, categories=categories.get(video, ())) for video, (frames, texts) in said.items()
    ]

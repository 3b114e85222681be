"""COCO-Stuff: photos of COCO 2017 with 80 classes of things and 91 of stuff (Caesar et al. 2018)."""

from lavida.exposure.datasets.coco128 import CLASSES as THINGS
from lavida.exposure.datasets.label_images import IGNORE, LabelImageDataset

# labels that COCO reserved for things but never drew (street sign, hat, shoe, ...)
NEVER_DRAWN = (11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90)
# labels 91 to 181
STUFF = (
    "banner", "blanket", "branch", "bridge", "building", "bush", "cabinet", "cage", "cardboard", "carpet",
    "ceiling", "tiled ceiling", "cloth", "clothes", "clouds", "counter", "cupboard", "curtain", "desk", "dirt",
    "door", "fence", "marble floor", "floor", "stone floor", "tiled floor", "wooden floor", "flower", "fog", "food",
    "fruit", "furniture", "grass", "gravel", "ground", "hill", "house", "leaves", "light", "mat",
    "metal", "mirror", "moss", "mountain", "mud", "napkin", "net", "paper", "sidewalk", "pillow",
    "plant", "plastic", "platform", "playing field", "railing", "rail track", "river", "road", "rock", "roof",
    "rug", "salad", "sand", "sea", "shelf", "sky", "skyscraper", "snow", "solid material", "stairs",
    "stone", "straw", "arch or pillar", "table", "tent", "textile", "towel", "tree", "vegetable", "brick wall",
    "concrete wall", "wall", "wall panel", "stone wall", "tiled wall", "wooden wall", "water", "water drops",
    "window blind", "window", "wood",
)  # fmt: skip


class CocoStuff(LabelImageDataset):
    """Single photos with a label for nearly every pixel; `heldout` is the official val.

    Args:
        root: folder with `train2017`, `val2017` and `stuffthingmaps_trainval2017`.
    """

    name = "coco_stuff"
    images = "{part}/*.jpg"
    labels = "stuffthingmaps_trainval2017/{part}/*.png"
    parts = {"train": ("train2017",), "heldout": ("val2017",)}
    expected = {"train": {"images": 118287}, "heldout": {"images": 5000}}
    legend = (
        dict(zip((value for value in range(91) if value not in NEVER_DRAWN), THINGS, strict=True))
        | dict(enumerate(STUFF, start=91))
        | {255: IGNORE}
    )
    # a general class has only what none of the special ones took
    unions = {
        "building": ("house", "skyscraper"),
        "wall": ("brick wall", "concrete wall", "wall panel", "stone wall", "tiled wall", "wooden wall"),
        "floor": ("marble floor", "stone floor", "tiled floor", "wooden floor"), "ceiling": ("tiled ceiling",),
        "sky": ("clouds",), "water": ("river", "sea", "water drops"), "plant": ("potted plant", "bush", "flower"),
        "table": ("dining table",),
        "furniture": ("chair", "couch", "bed", "table", "desk", "cabinet", "cupboard", "shelf", "bench"),
        "fruit": ("banana", "apple", "orange"), "vegetable": ("broccoli", "carrot"),
        "food": ("fruit", "vegetable", "sandwich", "hot dog", "pizza", "donut", "cake", "salad"),
    }  # fmt: skip

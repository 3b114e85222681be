"""ADE20K scene parsing: places of all kinds with the 150 classes of the 2016 challenge (Zhou et al. 2017)."""

from lavida.errors import InputError
from lavida.exposure.datasets.label_images import IGNORE, LabelImageDataset, Legend
from lavida.exposure.datasets.reading import read_text

INFO = "objectInfo150.txt"
# the first of the official synonyms of labels 1 to 150
NAMES = (
    "wall", "building", "sky", "floor", "tree", "ceiling", "road", "bed", "windowpane", "grass",
    "cabinet", "sidewalk", "person", "earth", "door", "table", "mountain", "plant", "curtain", "chair",
    "car", "water", "painting", "sofa", "shelf", "house", "sea", "mirror", "rug", "field",
    "armchair", "seat", "fence", "desk", "rock", "wardrobe", "lamp", "bathtub", "railing", "cushion",
    "base", "box", "column", "signboard", "chest of drawers", "counter", "sand", "sink", "skyscraper", "fireplace",
    "refrigerator", "grandstand", "path", "stairs", "runway", "case", "pool table", "pillow", "screen door", "stairway",
    "river", "bridge", "bookcase", "blind", "coffee table", "toilet", "flower", "book", "hill", "bench",
    "countertop", "stove", "palm", "kitchen island", "computer", "swivel chair", "boat", "bar", "arcade machine",
    "hovel", "bus", "towel", "light", "truck", "tower", "chandelier", "awning", "streetlight", "booth", "television",
    "airplane", "dirt track", "apparel", "pole", "land", "bannister", "escalator", "ottoman", "bottle", "buffet",
    "poster", "stage", "van", "ship", "fountain", "conveyer belt", "canopy", "washer", "plaything", "swimming pool",
    "stool", "barrel", "basket", "waterfall", "tent", "bag", "minibike", "cradle", "oven", "ball",
    "food", "step", "tank", "trade name", "microwave", "pot", "animal", "bicycle", "lake", "dishwasher",
    "screen", "blanket", "sculpture", "hood", "sconce", "vase", "traffic light", "tray", "ashcan", "fan",
    "pier", "crt screen", "plate", "monitor", "bulletin board", "shower", "radiator", "glass", "clock", "flag",
)  # fmt: skip
# what people say for an official name that is rare, short for something else or spelled otherwise
WORDS = {
    "apparel": "clothes", "ashcan": "trash can", "bannister": "banister", "base": "pedestal", "blind": "window blind",
    "buffet": "sideboard", "case": "display case", "conveyer belt": "conveyor belt", "crt screen": "tube monitor",
    "earth": "ground", "glass": "drinking glass", "hood": "range hood", "hovel": "shack", "land": "ground",
    "minibike": "motorcycle", "palm": "palm tree", "plaything": "toy", "pot": "flower pot", "sconce": "wall lamp",
    "screen": "projection screen", "signboard": "sign", "sofa": "couch", "stairway": "staircase",
    "streetlight": "street light", "tank": "storage tank", "television": "tv", "trade name": "brand name",
    "washer": "washing machine", "windowpane": "window",
}  # fmt: skip


class Ade20k(LabelImageDataset):
    """Single photos; `heldout` is the official validation. Label 0 is everything else and unlabelled.

    Args:
        root: the folder `ADEChallengeData2016`; the first names in its `objectInfo150.txt`, if it is there, replace
            those built in.
    """

    name = "ade20k"
    images = "images/{part}/*.jpg"
    labels = "annotations/{part}/*.png"
    parts = {"train": ("training",), "heldout": ("validation",)}
    expected = {"train": {"images": 20210}, "heldout": {"images": 2000}}
    legend = {0: IGNORE} | {value: WORDS.get(name, name) for value, name in enumerate(NAMES, start=1)}
    # a general class has only what none of the special ones took
    unions = {
        "building": ("house", "skyscraper", "shack"), "tree": ("palm tree",), "plant": ("flower",),
        "chair": ("armchair", "swivel chair"), "table": ("coffee table", "pool table"), "shelf": ("bookcase",),
        "counter": ("countertop",), "lamp": ("wall lamp",), "door": ("screen door",), "stairs": ("staircase", "step"),
        "railing": ("banister",), "boat": ("ship",), "water": ("sea", "river", "lake", "waterfall", "swimming pool"),
        "monitor": ("tube monitor",),
    }  # fmt: skip

    def read_legend(self) -> Legend:
        """The classes of the file in the root, else those built in."""
        path = self.root / INFO
        if not path.is_file():
            return self.legend
        legend: dict[int, str | None] = {0: IGNORE}
        for line in read_text(path).splitlines()[1:]:
            try:
                number, *_, names = line.split("\t")
                name = names.split(",")[0].strip().lower()
                legend[int(number)] = WORDS.get(name, name)
            except ValueError:
                raise InputError(f"not a line `Idx Ratio Train Val Name`: {path}; restore the official file") from None
        return legend

"""Street scenes with one label image a frame: CamVid, IDD-Lite and Cityscapes (Cordts et al. 2016)."""

from lavida.exposure.datasets.label_images import IGNORE, LabelImageDataset

CAMVID = (
    "sky", "building", "pole", "road", "sidewalk", "tree", "traffic sign", "fence", "car", "pedestrian",
    "bicyclist",
)  # fmt: skip
IDD_LITE = (
    "road", "roadside ground", "person", "vehicle", "roadside object", "building or vegetation", "sky",
)  # fmt: skip
# label ids from 7 on, in order; 18 are groups of poles
CITYSCAPES = (
    "road", "sidewalk", "parking lot", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel",
    "pole", "pole", "traffic light", "traffic sign", "vegetation", "terrain", "sky", "pedestrian", "rider", "car",
    "truck", "bus", "caravan", "trailer", "train", "motorcycle", "bicycle",
)  # fmt: skip
VOID = range(7)  # unlabelled, ego vehicle, rectification border, out of view; other static, dynamic and ground


class CamVid(LabelImageDataset):
    """Driving frames with 11 classes; `train` joins the official train and val, `heldout` is the official test.

    Args:
        root: folder with `train`, `trainannot`, `val`, ...
    """

    name = "camvid"
    images = "{part}/*.jpg"
    labels = "{part}annot/*.png"
    other_suffixes = (".png",)
    parts = {"train": ("train", "val"), "heldout": ("test",)}
    expected = {"train": {"images": 367 + 101}, "heldout": {"images": 233}}
    legend = dict(enumerate(CAMVID)) | {11: IGNORE}
    # A rider is drawn together with the bicycle, so the one mask answers to both words.
    unions = {"person": ("pedestrian", "bicyclist"), "bicycle": ("bicyclist",)}


class IddLite(LabelImageDataset):
    """Indian streets with 7 broad classes; `heldout` is the official val.

    Args:
        root: folder with `leftImg8bit` and `gtFine`.
    """

    name = "idd_lite"
    images = "leftImg8bit/{part}/*/*_image.jpg"
    labels = "gtFine/{part}/*/*_label.png"
    expected = {"train": {"images": 1403}, "heldout": {"images": 204}}
    legend = dict(enumerate(IDD_LITE)) | {255: IGNORE}


class Cityscapes(LabelImageDataset):
    """European cities with the fine labels of 30 classes; `heldout` is the official val.

    Args:
        root: folder with `leftImg8bit` and `gtFine`.
    """

    name = "cityscapes"
    images = "leftImg8bit/{part}/*/*_leftImg8bit.png"
    labels = "gtFine/{part}/*/*_gtFine_labelIds.png"
    expected = {"train": {"images": 2975}, "heldout": {"images": 500}}
    legend = dict.fromkeys(VOID, IGNORE) | dict(enumerate(CITYSCAPES, start=7))
    # A rider is drawn without the bicycle or motorcycle, which have masks of their own; the class `person` has
    # only people who ride nothing. Vegetation is trees, bushes and hedges.
    unions = {
        "person": ("pedestrian", "rider"),
        "tree": ("vegetation",),
        "vehicle": ("car", "truck", "bus", "caravan", "trailer", "train", "motorcycle", "bicycle"),
    }

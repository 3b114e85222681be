"""The words that qualify things, and which things they are asked of.

In `PATTERNS` a qualifier has the ways to say it around `{n}`, a noun, or `{ns}`, its plural.
"""

# hue ranges in degrees of CIELAB, lowest chroma, range of lightness
COLOURS: dict[str, tuple[tuple[float, float], float, tuple[float, float]]] = {
    "red": ((5, 42), 38, (18, 68)),
    "orange": ((48, 72), 45, (45, 80)),
    "yellow": ((80, 105), 40, (60, 100)),
    "green": ((115, 175), 18, (20, 85)),
    "blue": ((235, 300), 18, (15, 75)),
    "purple": ((305, 335), 22, (15, 65)),
    "pink": ((335, 370), 22, (55, 92)),
    "brown": ((40, 80), 14, (15, 48)),
}
BLACK, WHITE, GRAY = (0.0, 22.0), (82.0, 100.0), (38.0, 70.0)  # lightness; chroma under GRAYISH
GRAYISH = 8.0
# what may pass for each other, so that one is not denied where the other is seen
NEIGHBOURS: dict[str, set[str]] = {
    "red": {"orange", "pink", "brown", "purple"},
    "orange": {"red", "yellow", "brown"},
    "yellow": {"orange", "brown", "green", "white"},
    "green": {"yellow", "gray", "black"},
    "blue": {"purple", "gray", "black"},
    "purple": {"blue", "pink", "red"},
    "pink": {"red", "purple", "white"},
    "brown": {"red", "orange", "yellow", "black", "gray"},
    "black": {"gray", "blue", "brown", "green"},
    "white": {"gray", "yellow", "pink"},
    "gray": {"black", "white", "blue", "green", "brown"},
}
COLOURED = frozenset(
    "car vehicle bus truck van motorcycle scooter bicycle boat airplane bird cat dog horse cow sheep backpack "
    "handbag bag "
    "suitcase umbrella tie bottle cup bowl chair couch bed vase skateboard surfboard kite clothes hat helmet "
    "shoe dress "
    "coat jacket skirt shirt trousers scarf sweater sports-ball fire-hydrant stop-sign wall building flower".replace(
        "-", " "
    ).split()
) | {"sports ball", "fire hydrant", "teddy bear", "potted plant", "traffic cone"}

PEOPLE = frozenset({"person", "pedestrian", "bicyclist", "skating", "dancing"})
COUNTABLE = (
    COLOURED | PEOPLE | {"elephant", "bear", "giraffe", "laptop", "tv", "apple", "donut", "deer", "tiger", "turtle"}
)
CARRIED = frozenset(
    {
        "backpack",
        "handbag",
        "bag",
        "suitcase",
        "umbrella",
        "cell phone",
        "tennis racket",
        "baseball bat",
        "skateboard",
        "surfboard",
        "skis",
        "snowboard",
        "sports ball",
        "kite",
        "bottle",
        "book",
        "wallet",
    }
)
RIDDEN = frozenset({"bicycle", "motorcycle", "scooter", "horse", "skateboard", "surfboard", "elephant"})
WORN = frozenset(
    {
        "hat",
        "helmet",
        "tie",
        "eyeglasses",
        "scarf",
        "dress",
        "skirt",
        "coat",
        "jacket",
        "suit",
        "boots",
        "sunglasses",
        "shorts",
        "jeans",
        "vest",
    }
)
GARMENTS = ("jacket", "shirt", "coat", "sweater", "dress", "pants", "tights", "shorts", "skirt", "hat", "scarf")
GROUNDS = frozenset(
    {
        "road",
        "sidewalk",
        "grass",
        "roadside ground",
        "field",
        "playing field",
        "water",
        "sea",
        "snow",
        "bed",
        "couch",
        "dining table",
        "chair",
    }
)

PATTERNS: dict[str, tuple[str, ...]] = {
    **{colour: (f"{colour} {{n}}", f"{{n}} that is {colour}", f"{{n}} of {colour} colour") for colour in NEIGHBOURS},
    "left": ("{n} on the left", "{n} at the left side", "{n} in the left half", "{n} on the left side of the picture"),
    "right": ("{n} on the right", "{n} at the right side", "{n} in the right half",
              "{n} on the right side of the picture"),
    "top": ("{n} at the top", "{n} in the upper part", "{n} at the top of the picture", "{n} in the upper half"),
    "bottom": ("{n} at the bottom", "{n} in the lower part", "{n} at the bottom of the picture",
               "{n} in the lower half"),
    "middle": ("{n} in the middle", "{n} in the centre of the picture", "{n} in the center"),
    "upper left": ("{n} in the upper left corner", "{n} in the top left corner", "{n} at the upper left"),
    "upper right": ("{n} in the upper right corner", "{n} in the top right corner", "{n} at the upper right"),
    "lower left": ("{n} in the lower left corner", "{n} in the bottom left corner", "{n} at the lower left"),
    "lower right": ("{n} in the lower right corner", "{n} in the bottom right corner", "{n} at the lower right"),
    "small": ("small {n}", "tiny {n}", "{n} far away", "distant {n}", "little {n}", "{n} in the distance"),
    "large": ("large {n}", "big {n}", "{n} close to the camera", "huge {n}", "{n} very near", "nearby {n}"),
    "one": ("one {n}", "a single {n}", "only one {n}", "lone {n}"),
    "two": ("two {ns}", "2 {ns}", "a pair of {ns}", "two {ns} together"),
    "several": ("several {ns}", "a few {ns}", "multiple {ns}", "a group of {ns}"),
    "crowd": ("a crowd of {ns}", "many {ns}", "a large crowd of {ns}", "numerous {ns}"),
    "standing": ("{n} standing still", "{n} standing", "motionless {n}", "{n} that does not move", "standing {n}"),
    "walking": ("{n} walking", "walking {n}", "{n} walking slowly", "{n} strolling"),
    "running": ("{n} running", "running {n}", "{n} running fast", "fast-moving {n}", "{n} in a hurry", "{n} sprinting"),
    "gliding": ("{n} on a skateboard", "{n} skating", "{n} riding a skateboard", "gliding {n}"),
    "cycling": ("{n} riding a bicycle", "{n} on a bicycle", "{n} cycling", "{n} on a bike"),
    "driving": ("{n} driving", "moving {n}", "{n} in motion", "{n} driving along", "driving {n}"),
    "parked": ("parked {n}", "{n} parked", "stationary {n}", "{n} standing still", "{n} that is parked"),
    "to the left": ("{n} moving to the left", "{n} going left", "{n} heading left", "{n} going to the left"),
    "to the right": ("{n} moving to the right", "{n} going right", "{n} heading right", "{n} going to the right"),
    "against the others": (
        "{n} moving against the others", "{n} going in the opposite direction", "{n} going the other way",
        "{n} moving against the flow",
    ),
    "upright": ("upright {n}", "{n} on their feet", "{n} standing upright"),
    "lying": ("{n} lying on the ground", "{n} lying down", "fallen {n}", "{n} lying", "{n} on the ground",
              "{n} lying on the floor"),
}  # fmt: skip
NUMBERS = ("one", "two", "several", "crowd")
MOTIONS = (
    "standing",
    "walking",
    "running",
    "gliding",
    "cycling",
    "driving",
    "parked",
    "to the left",
    "to the right",
    "against the others",
)
POSES = ("upright", "lying")
# asked of one thing only where it makes sense of it
FOR_PEOPLE = frozenset({"walking", "running", "gliding", "cycling", "upright", "lying"})
FOR_VEHICLES = frozenset({"driving", "parked"})

# What none of our pictures prove or disprove. Verbs of `evaluation/held_out` are not among them.
UNPROVEN: dict[str, tuple[str, ...]] = {
    "people": (
        "{n} begging", "{n} praying", "{n} whispering", "{n} yawning", "{n} sneezing", "{n} juggling", "{n} saluting",
        "{n} bowing", "{n} applauding", "{n} arguing", "{n} shouting at someone", "{n} wrestling",
        "{n} hugging a stranger",
        "{n} digging a hole", "{n} climbing a fence", "{n} climbing through a window", "{n} hiding behind a tree",
        "{n} spraying graffiti", "{n} breaking a window", "{n} picking a pocket", "{n} smoking a cigarette",
        "{n} pouring out petrol", "{n} vomiting", "{n} limping", "{n} crying", "{n} singing", "{n} whitewashing a wall",
        "{n} sweeping the floor", "{n} following a woman", "{n} handing over money", "{n} writing a letter",
        "{n} calling for help", "{n} choking", "{n} trembling", "{n} waving a flag", "{n} pushing a cart",
        "{n} pulling a rope", "{n} hammering", "{n} sawing wood", "{n} cooking", "{n} knitting",
        "{n} cheating at cards",
        "{n} threatening a child", "{n} kidnapping a child", "{n} spitting", "{n} crawling under a car",
        "sneaking {n}", "laughing {n}", "quarrelling {n}", "shivering {n}", "masked {n}", "handcuffed {n}",
        "bleeding {n}", "suspicious {n}", "kneeling {n}", "invisible {n}",
    ),
    "vehicles": (
        "{n} exploding", "{n} skidding", "{n} crashing into a wall", "{n} turning over", "{n} sinking",
        "{n} leaking oil",
        "stolen {n}", "flying {n}", "{n} without a driver", "{n} being towed", "{n} honking", "{n} racing",
        "hijacked {n}", "rusting {n}", "{n} loaded with explosives", "{n} breaking down",
    ),
    "animals": ("{n} attacking someone", "{n} barking", "escaped {n}", "{n} biting", "rabid {n}", "{n} giving birth",
                "{n} drowning", "{n} stealing food", "{n} chasing a ball", "{n} hunting"),
    "things": ("stolen {n}", "{n} left behind", "leaking {n}", "{n} exploding", "{n} being thrown", "smashed {n}",
               "forgotten {n}", "{n} ticking", "{n} flying through the air", "melting {n}", "poisoned {n}",
               "broken {n}"),
}  # fmt: skip
VEHICLES = frozenset("vehicle car bus truck van motorcycle scooter bicycle boat airplane train tractor trailer".split())
ANIMALS = frozenset(
    "dog cat horse cow sheep goat bird elephant bear zebra giraffe deer otter tiger turtle monkey animal camel "
    "duck".split()
)
STUFF = frozenset(
    "sky|road|sidewalk|roadside ground|tree|building|building or vegetation|fence|roadside object|grass|field|"
    "water|sea|"
    "snow|sand|wall|floor|ceiling|ground|vegetation|terrain|mountain|facade|hair|skin|window|door|shadow|fire|smoke|"
    "playing field|spectators|grandstand|advertisement|clothes|background|road marking|balcony|roof|pothole|"
    "surfing|skating|dancing|paraglider|dining table|bed".split("|")
)


def group(name: str) -> str:
    """Of a class: a key of `UNPROVEN`."""
    if name in PEOPLE:
        return "people"
    return "vehicles" if name in VEHICLES else "animals" if name in ANIMALS else "things"


CROWD = 6  # instances from which on it may be called so
_PLURALS = {"person": "people", "sheep": "sheep", "deer": "deer", "bus": "buses", "man": "men", "skis": "skis",
            "scissors": "scissors", "clothes": "clothes", "couch": "couches", "bench": "benches", "knife": "knives",
            "wine glass": "wine glasses", "mouse": "mice"}  # fmt: skip


def plural(noun: str) -> str:
    """Of a noun, "people" for "person"; a plural stays."""
    if noun in _PLURALS:
        return _PLURALS[noun]
    return noun if noun.endswith("s") and not noun.endswith("ss") else f"{noun}s"

"""Reads the words that come with the package: three JSON files become the arguments of `Vocabulary`.

`vocabulary.json` holds the classes of the first five data sets of the embedded model, from which the exposure test
takes its names, and their rules. `vocabulary_more.json` holds the classes of the other data sets, `mentions` (texts
that speak of a class but do not mean just the same, as its phrases do) and `kinds`, which hold every class once.
`vocabulary_sets.json` holds the rules of the other data sets, and how the first five take the further classes: what a
data set neither labels (`exhaustive`), nor hides in a label (`within`), nor never shows (`never`), is unsafe there.
A set that is the `same_as` another may add to what is never shown.

In lists of the last two files `@name` stands for all of a kind or of a list in `lists`.
"""

import json
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

RELATIONS = ("implies", "like", "maybe")


def read_builtin() -> dict[str, Any]:
    """`classes`, `datasets` and `names` for `Vocabulary`."""
    first, more, sets = (_read(f"vocabulary{end}.json") for end in ("", "_more", "_sets"))
    lists = _Lists({**more["kinds"], **sets["lists"]})
    classes = {name: {**entry, "mentions": more["mentions"].get(name, [])} for name, entry in first["classes"].items()}
    for name, entry in more["classes"].items():
        classes[name] = {**entry, **{key: lists.expand(entry[key]) for key in RELATIONS if key in entry}}
    datasets = dict(first["datasets"])
    for name, entry in sets["datasets"].items():
        rules = {**sets["datasets"][entry["same_as"]], **entry} if "same_as" in entry else entry
        if "same_as" in entry:
            rules["never"] = [*sets["datasets"][entry["same_as"]].get("never", ()), *entry.get("never", ())]
        if name in datasets:
            further = [word for word in classes if word not in first["classes"]]
            datasets[name] = {**datasets[name], "unsafe": datasets[name]["unsafe"] + lists.unsafe(further, rules)}
        else:
            scenes = datasets[rules["scenes_of"]]["scenes"] if "scenes_of" in rules else {}
            own_scenes = {scene: lists.expand(absent) for scene, absent in rules.get("scenes", {}).items()}
            datasets[name] = {
                "exhaustive": lists.expand(rules.get("exhaustive", ())),
                "within": lists.expand_keys(rules.get("within", {})),
                "unsafe": lists.unsafe(classes, rules),
                "scenes": scenes | own_scenes,
            }
    return {"classes": classes, "datasets": datasets, "names": tuple(first["classes"])}


class _Lists:
    def __init__(self, lists: Mapping[str, list[str]]) -> None:
        self._lists = lists

    def expand(self, words: Iterable[str]) -> list[str]:
        """The words with every list replaced by its members."""
        found: dict[str, None] = {}
        for word in words:
            members = self.expand(self._lists[word[1:]]) if word.startswith("@") else [word]
            found.update(dict.fromkeys(members))
        return list(found)

    def expand_keys(self, hosts: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """The same with a list as key: its members share the values. A word of its own goes before that of a list."""
        lists = {word: self.expand(hosts[key]) for key in hosts if key.startswith("@") for word in self.expand([key])}
        return lists | {key: self.expand(words) for key, words in hosts.items() if not key.startswith("@")}

    def unsafe(self, words: Iterable[str], rules: Mapping[str, Any]) -> list[str]:
        """What such pictures may show without a label: everything but what they label, or never show."""
        decided = {
            *self.expand(rules.get("exhaustive", ())),
            *self.expand_keys(rules.get("within", {})),
            *self.expand(rules.get("never", ())),
        }
        return [word for word in words if word not in decided]


def _read(name: str) -> dict[str, Any]:
    return json.loads((files("lavida.exposure") / name).read_text(encoding="utf-8"))

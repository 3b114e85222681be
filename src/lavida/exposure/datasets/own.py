"""Data sets that are not part of this package."""

from __future__ import annotations

import importlib
import os
import sys

from lavida.errors import InputError


def own_class(name: str) -> type:
    """The class called `module:Class`; the module is installed or lies in the working folder.

    Raises:
        InputError: there is no such module, or no such class in it.
    """
    module_name, _, class_name = name.partition(":")
    if os.getcwd() not in sys.path:  # stays there: worker processes import the module again
        sys.path.append(os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except InputError:
        raise
    except (ModuleNotFoundError, TypeError, ValueError) as error:  # the latter two for "" and ".relative"
        if isinstance(error, ModuleNotFoundError) and not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module is there, but one that it needs is not
        where = f"install it, or work in the folder of {module_name}.py"
        raise InputError(f"no module {module_name!r} for the data set {name!r}; {where}") from None
    kind = getattr(module, class_name, None)
    if not isinstance(kind, type):
        raise InputError(f"no class {class_name!r} in {module.__file__}; name the data set as module:Class")
    return kind

"""The command line: `app` reads the options and ends the process, one file holds one command."""

from lavida.cli.app import main, run

__all__ = ["main", "run"]

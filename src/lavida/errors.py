"""The one error that a user is meant to see."""


class InputError(Exception):
    """Input or environment that the user can mend.

    The message is one line: what is wrong, where, and how to mend it. The command line prints it without a
    traceback and exits with code 2.
    """

"""Here is what is wrong with a command, not with an event: it ends before anything more is sent."""


class WrongUseError(Exception):
    """One line that names the file, the place in it, what stands there, and what was expected."""

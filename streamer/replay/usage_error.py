"""Error of a command, not of an event: the command ends before anything more is sent."""


class ReplayUsageError(Exception):
    """Wrong use of the command. Its one line names the file, the location in it, the value, and what was
    expected."""

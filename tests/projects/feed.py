"""A source of events of the project's own: a function, and the package beside it that goes into the image."""

from modelyard import traits


@traits(client="own_table", schemes={"own-table": 1})
def table(place, *, file: str = "/tmp/events.sqlite"):
    """A table in a file of SQLite.

    Args:
        file: the file, where the server runs.
    """
    from own_table import open_source

    return open_source(place)

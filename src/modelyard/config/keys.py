"""What the tables of one project are, which its plugins have a part in."""

from __future__ import annotations

from modelyard.config.tables import KEYS, USING
from modelyard.errors import PluginError, listing
from modelyard.plugins.load import Plugins


def keys_of(plugins: Plugins) -> tuple[str, ...]:
    """Return what `[tool.modelyard]` may hold beside `profiles`: modelyard's own keys, and a table for each kind of a plugin's.

    Raises:
        PluginError: a plugin's kind of stage is called like a key of modelyard's own.
    """
    registered = plugins.of_kind("kind")
    for name in {*KEYS, "profiles"} & {*registered}:
        msg = (
            f"plugin {registered[name].source.file}: register({name!r}): a kind of stage has a table of its name, and "
            f"[tool.modelyard] has this one\n  taken: {listing((*KEYS, 'profiles'))}"
        )
        raise PluginError(msg)
    return (*KEYS, *registered)


def default_components(plugins: Plugins) -> dict[str, str]:
    """Return the component of each table that may leave out `use`."""
    return {table: plugins.defaults[kind] for table, kind in USING.items() if kind in plugins.defaults}

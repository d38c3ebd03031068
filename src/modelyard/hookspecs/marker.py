"""What marks a function of this package as a hook that plugins implement."""

from __future__ import annotations

import pluggy

hookspec = pluggy.HookspecMarker("modelyard")

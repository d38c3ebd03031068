"""A request's place in a trace. Source: W3C Trace Context."""

from __future__ import annotations

from dataclasses import dataclass

SAMPLED, RANDOM = 1, 2
"""The flags of a `traceparent`."""


@dataclass(slots=True)
class Trace:
    """A request's place in a trace.

    Attributes:
        trace_id: the trace's number, 32 hexadecimal digits.
        span_id: the number of our part of it, 16 hexadecimal digits.
        parent_id: the number of the client's part; empty: the trace begins here.
        flags: 1: sampled; 2: the trace's number is random.
        state: the client's `tracestate`, as sent.
    """

    trace_id: str
    span_id: str
    parent_id: str
    flags: int
    state: str = ""

    @property
    def sampled(self) -> bool:
        """Whether the span is to be sent."""
        return bool(self.flags & SAMPLED)

    def parent(self) -> bytes:
        """Return the `traceparent` that names our span."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}".encode()

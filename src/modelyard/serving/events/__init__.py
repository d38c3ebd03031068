"""Events: CloudEvents 1.0 in, events with the model's answers out.

It is imported with the first event, so that a server that is sent none pays nothing for it. The codec is our own: what a
stranger may send is checked, and an event without an `id` is refused rather than given one, for the id of the answer
follows from it.
"""

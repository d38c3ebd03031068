"""Shows each label that comes on `digits.out`, once: python show.py [NUMBER]

A durable consumer: what comes while it is away waits for it, and what it has not acknowledged comes again.
"""

import asyncio
import json
import os
import sys

import nats

URL = os.environ.get("MODELYARD_EVENTS_URL", "nats://127.0.0.1:4222")


async def main(number):
    client = await nats.connect(URL)
    labels = await client.jetstream().pull_subscribe("digits.out", durable="show")
    seen = set()
    while len(seen) < number:
        try:
            messages = await labels.fetch(10, timeout=5)
        except TimeoutError:
            continue
        for message in messages:
            if message.headers["ce-id"] not in seen:  # at least once: a second has the id of the first
                seen.add(message.headers["ce-id"])
                (answer,) = json.loads(message.data)["predictions"]
                print(f"{message.headers['ce-causationid']}: {answer['label']} ({answer['score']:.2f})", flush=True)
            await message.ack()
    await client.close()


asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else sys.maxsize))

"""Sends a picture every half second, as an event on `digits.in`: python camera.py [NUMBER]"""

import asyncio
import os
import sys

import nats
from pictures import TRAIN, png
from sklearn.datasets import load_digits

URL = os.environ.get("MODELYARD_EVENTS_URL", "nats://127.0.0.1:4222")
EVENT = {"ce-specversion": "1.0", "ce-source": "/camera", "ce-type": "com.example.picture", "content-type": "image/png"}


async def main(number):
    client = await nats.connect(URL)
    stream = client.jetstream()
    pixels, labels = load_digits(return_X_y=True)
    for row in range(TRAIN, TRAIN + number):
        event = {**EVENT, "ce-id": f"{row}-is-{labels[row]}"}
        await stream.publish("digits.in", png(pixels[row]), headers=event)  # returns when the broker has it
        await asyncio.sleep(0.5)
    await client.close()


asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10))

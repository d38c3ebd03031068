"""Requests byte by byte, as an unusual client writes them."""

from __future__ import annotations

import json
import socket
from typing import Any

INFER = "/v2/models/digits/infer"
LENGTH = "Inference-Header-Content-Length"


def ask(server: Any, data: Any, *, end: bool = False, timeout_s: int = 20) -> bytes:
    """Send `data` as it is, and return all that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout_s) as peer:
        peer.sendall(data)
        if end:
            peer.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := peer.recv(65536):
            answer += piece
        return answer


def status_and_error(answer: Any) -> tuple[int, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head
    return int(head.split()[1]), json.loads(body)["error"]


def tensor(samples: int = 1, **changes: Any) -> dict[str, list[Any]]:
    known = {"name": "input", "datatype": "UINT8", "shape": [samples, 8, 8, 1], "data": [3] * 64 * samples}
    return {"inputs": [known | changes]}


def post(path: Any, body: Any, *lines: Any) -> Any:
    head = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *lines, "", ""]
    return "\r\n".join(head).encode() + body


def read_or_reset(peer: Any) -> Any:
    try:
        return peer.recv(10)
    except ConnectionResetError:
        return b""


def length_prefixed(data: Any) -> list[Any]:
    texts = []
    while data:
        size = int.from_bytes(data[:4], "little")
        texts.append(data[4 : 4 + size].decode())
        data = data[4 + size :]
    return texts

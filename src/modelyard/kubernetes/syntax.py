"""What Kubernetes allows in names, labels, annotations and quantities. Each function answers what is wrong, or nothing.

Source: Kubernetes apimachinery `pkg/util/validation/validation.go` and `pkg/api/resource/quantity.go`; RFC 1123.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

# Texts, not compiled: most loads of a project need few of them, and `re` remembers those.
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_QUALIFIED = r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
_QUANTITY = r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,3})?"
DNS_LABEL = "lower-case letters, digits and inner '-', 63 at most"
DNS_SUBDOMAIN = "lower-case letters, digits, '-' and '.', 253 at most"
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_ANNOTATIONS_BYTES = 256 * 1024


def dns_label(text: object) -> str:
    """Say what keeps `text` from being a DNS label: the name of a Service or a Namespace."""
    if isinstance(text, str) and len(text) <= 63 and re.fullmatch(_LABEL, text):
        return ""
    return f"{text!r:.80} is not a DNS label: {DNS_LABEL}"


def dns_subdomain(text: object) -> str:
    """Say what keeps `text` from being a DNS subdomain: a host, or the name of most objects."""
    if isinstance(text, str) and len(text) <= 253 and re.fullmatch(_SUBDOMAIN, text):
        return ""
    return f"{text!r:.80} is not a DNS name: {DNS_SUBDOMAIN}"


def label_key(text: object) -> str:
    """Say what keeps `text` from being the key of a label or an annotation: `name`, or `dns.name/name`."""
    prefix, slash, name = text.rpartition("/") if isinstance(text, str) else ("", "", "")
    if len(name) <= 63 and re.fullmatch(_QUALIFIED, name) and (not slash or not dns_subdomain(prefix)):
        return ""
    return (
        f"{text!r:.80} is not a key: letters, digits, '-', '_' and '.', 63 at most, "
        "a letter or digit at both ends, and 'dns.name/' before it if you like"
    )


def label_value(text: object) -> str:
    """Say what keeps `text` from being the value of a label."""
    if text == "" or (isinstance(text, str) and len(text) <= 63 and re.fullmatch(_QUALIFIED, text)):
        return ""
    return (
        f"{text!r:.80} is not a label's value: text of letters, digits, '-', '_' and '.', 63 at most, "
        "a letter or digit at both ends"
    )


def labels_problems(values: object) -> list[str]:
    """Say what is wrong with a mapping of labels."""
    if not isinstance(values, Mapping):
        return [f"{values!r:.80} is not a mapping"]
    found = [problem for key, value in values.items() for problem in (label_key(key), label_value(value))]
    return [problem for problem in found if problem]


def annotations_problems(values: object) -> list[str]:
    """Say what is wrong with a mapping of annotations: keys like labels', values any text, 256 KiB in all."""
    if not isinstance(values, Mapping):
        return [f"{values!r:.80} is not a mapping"]
    found = [problem for key in values if (problem := label_key(key))]
    found += [f"{key!r:.80}: {value!r:.80} is not text" for key, value in values.items() if not isinstance(value, str)]
    size = sum(len(str(part).encode("utf-8", "replace")) for pair in values.items() for part in pair)
    return [*found, f"{size} bytes, above {_ANNOTATIONS_BYTES}"] if size > _ANNOTATIONS_BYTES else found


def quantity(text: object) -> Decimal | None:
    """Return the number that a quantity stands for (`500m` is 0.5, `1Ki` is 1024), or None if it is not one."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        text = str(text)
    found = re.fullmatch(_QUANTITY, text) if isinstance(text, str) else None
    if found is None:
        return None
    number, suffix = Decimal(found[1].rstrip(".")), found[2] or ""
    if suffix in _BINARY:
        return number * Decimal(1024) ** _BINARY[suffix]
    exponent = _DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:])
    return number.scaleb(exponent)


def as_label_value(text: str) -> str:
    """Return `text` made fit for a label's value: what is not allowed becomes `_`, what is too long is cut."""
    return re.sub(r"^[^A-Za-z0-9]+|[^A-Za-z0-9]+$", "", re.sub(r"[^-A-Za-z0-9_.]", "_", text)[:63])


def minor(version: str) -> int | None:
    """Return 32 for `1.32`, `v1.32` or `1.32.4`, or None for what is not a version of Kubernetes."""
    found = re.fullmatch(r"v?1\.([0-9]{1,3})(\.[0-9]+)?", version)
    return int(found[1]) if found else None

"""Messages of `application/vnd.amazon.eventstream`."""

import json
import struct
from zlib import crc32


def header(name, value):
    name, value = name.encode(), value.encode()
    return struct.pack("!B", len(name)) + name + struct.pack("!BH", 7, len(value)) + value


def message(payload, **headers):
    """One message with both checksums; `message_type` stands for `:message-type`."""
    payload = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    fields = b"".join(header(":" + name.replace("_", "-"), value) for name, value in headers.items())
    prelude = struct.pack("!II", 16 + len(fields) + len(payload), len(fields))
    checked = prelude + struct.pack("!I", crc32(prelude)) + fields + payload
    return checked + struct.pack("!I", crc32(checked))


def event(kind, payload):
    return message(payload, event_type=kind, content_type="application/json", message_type="event")


def exception(kind, payload):
    return message(payload, exception_type=kind, content_type="application/json", message_type="exception")

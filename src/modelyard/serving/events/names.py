"""What the events are called that answer others: who filters events must know it without the server."""

RESULT = "dev.modelyard.inference.result"
ERROR = "dev.modelyard.inference.error"

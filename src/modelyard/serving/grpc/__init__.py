"""gRPC on a port of its own: HTTP/2, protobuf's wire format, and the services that are spoken over them.

It is imported only where `MODELYARD_GRPC_PORT` is set, and needs one package more, `hpack`, which compresses headers. The
frames of HTTP/2 and the messages are read here, for what a stranger may send is counted before it is kept or converted.
"""

"""Container images without an engine: packages and wheels in, a reproducible OCI archive out.

Nothing here knows of stages or plugins, and nothing but the standard library is imported. The
way through: `apt` and `wheels` fetch, `debian` and `wheels` make trees, `layers` makes blobs of
them, `image` joins blobs to an archive, `registry` pushes it, `rootfs` runs it where it lies.
"""

"""TOML files as a person wrote them: on which line what stands, and what is wrong with one that is none."""

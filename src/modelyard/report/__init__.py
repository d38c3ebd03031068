"""The report on a build: what was made, how good it is, what ships and from what it came.

`collect` asks the state of the build, in the `doit` process; `measure` reads the artifacts, and `write` renders, in a process of
their own (`python -m modelyard.report`), which alone imports numpy, Matplotlib and Jinja2.
"""

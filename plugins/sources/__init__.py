"""Sources of events: what a broker is to a project, and, in a package of its own each, the client that the image gets.

A client goes into the image alone: the few lines that several have in common stand in each.
"""

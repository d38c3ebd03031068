"""Check Kubernetes objects, and deploy them through the user's `kubectl`.

Nothing is imported here: what values mean (`syntax`) is looked at whenever a project is loaded, the rules only where
objects are.
"""

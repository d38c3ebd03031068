"""Deploy what a target rendered as Kubernetes objects: look, tell, change it whole, wait, and be able to go back.

`deploying` is the way in; each other module has one part of it. All goes through the user's own `kubectl`.
"""

"""Check Kubernetes objects, and deploy them through the user's `kubectl`."""

from modelyard.kubernetes.checking import check, enforce
from modelyard.kubernetes.deploying import deploy
from modelyard.kubernetes.findings import RULES, Finding
from modelyard.kubernetes.manifests import amend, objects_in, read_folder, write_folder

__all__ = ["RULES", "Finding", "amend", "check", "deploy", "enforce", "objects_in", "read_folder", "write_folder"]

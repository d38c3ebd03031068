"""The built-in components, each written against the hooks that a third party uses."""

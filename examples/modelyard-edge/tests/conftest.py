pytest_plugins = ("modelyard.testing",)

"""A project's folder: loaded, and where its build keeps its files."""

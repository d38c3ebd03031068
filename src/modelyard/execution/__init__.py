"""Running a stage: the workers, the process of its own, and what is heard from inside."""

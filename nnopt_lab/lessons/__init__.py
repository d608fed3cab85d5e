"""The content of the course: a package per lesson, with its exercises, experiments and playground."""

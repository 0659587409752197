"""nbgrader takes this folder for a course with this: ``source/``, ``release/`` and the rest."""

c = get_config()  # noqa: F821  (nbgrader defines it)

c.CourseDirectory.course_id = "gradients"

"""nbgrader takes this folder for a course with this: ``source/``, ``release/`` and the rest."""

c = get_config()  # noqa: F821  (nbgrader defines it)

c.CourseDirectory.course_id = "gradients"

# Our rubrics stand below the model answer, not in nbgrader's own cells for tasks.
c.ClearMarkScheme.enforce_metadata = False

# What students wrote is shown as text: no script of theirs runs in a teacher's browser.
c.HTMLExporter.sanitize_html = True

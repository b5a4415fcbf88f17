"""One measurement for one question each: ``python -m longlag_lab.questions.NAME``."""

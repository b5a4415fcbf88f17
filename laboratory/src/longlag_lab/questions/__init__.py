"""One question each, answered by a measurement: ``python -m longlag_lab.questions.NAME`` writes it to results/."""

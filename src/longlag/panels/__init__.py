"""Panels: the rows of a table as series in time, with their calendar, their gaps and what comes next."""

"""The experiments of Hochreiter & Schmidhuber 1997: every row of Tables 1-9, and section 6.1."""

"""The experiments of Hochreiter & Schmidhuber 1997: every row of Tables 1-9, and the limits of section 6.1."""

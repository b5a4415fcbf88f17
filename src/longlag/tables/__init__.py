"""Tables: from files and data frames, with the types of their columns found out and their lines known."""

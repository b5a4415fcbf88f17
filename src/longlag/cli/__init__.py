"""The longlag command: parse, call, print."""

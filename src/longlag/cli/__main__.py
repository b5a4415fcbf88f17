"""``python -m longlag.cli``: the longlag command without its script."""

from longlag.cli.main import main

main()

"""`python -m lavida`."""

from lavida.cli import main

main()

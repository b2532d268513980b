"""`python -m tradeserver` is the command line."""

from tradeserver.cli import main

if __name__ == "__main__":
    main()

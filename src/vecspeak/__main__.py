"""`python -m vecspeak`: the same as the command `vecspeak`."""

from vecspeak.cli import main

if __name__ == "__main__":
    main()

"""`python -m mirasol` is the same as `mirasol`."""

from mirasol.cli import main

if __name__ == "__main__":
    main()

"""`python -m besom` is the same as `besom`."""

from besom.cli import main

if __name__ == "__main__":
    main()

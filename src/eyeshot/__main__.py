"""`python -m eyeshot`, the same as `eyeshot`."""

from eyeshot.cli import main

if __name__ == "__main__":
    main()

"""`python -m service` is `lorikeet`."""

from service.cli import main

if __name__ == "__main__":
    main()

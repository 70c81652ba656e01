"""python -m mindcore: the command line, a program that comes with the package."""

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin", "mindcore")
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execv(program, ["mindcore", *sys.argv[1:]])
    except OSError as error:
        sys.exit(f"mindcore: cannot run {program}: {error.strerror}")


if __name__ == "__main__":
    main()

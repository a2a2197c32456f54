"""``python -m harness VERB ...``"""

import sys

from harness.cli import main

if __name__ == "__main__":  # a job's process may import this module
    sys.exit(main())

"""rnnscope: see inside a recurrent network while it learns."""

import os

__version__ = "0.1.0"

# OpenMP's threads wait for each other by spinning. Where another program takes one of two cores, that made training
# fifty to a hundred times slower (measured: 74,000 characters a second alone, under 1,000 beside one busy process; with
# this bound 76,000 and 8,000 to 16,000). Read when torch is loaded, which is always later than this.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

"""The commands specsim, speclearn, specfisher and specdata."""

import signal
import sys
from pathlib import Path

if Path(sys.argv[0]).name in ("specsim", "speclearn", "specfisher", "specdata"):
    # until a command runs and handles it, Ctrl-C ends the program without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

"""Makes a server impatient: with this folder in PYTHONPATH, a client is slow after 3 seconds.

Python imports it when it starts.
"""

from tidings.server import live
from tidings.server.live.timing import Timing

vars(live)["TIMING"] = Timing(slow=3.0, tick=0.1)

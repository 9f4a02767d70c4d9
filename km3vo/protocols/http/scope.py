"""What the layers of the application tell each other in the scope of a request (ASGI)."""

from __future__ import annotations

USER_KEY = "km3vo.user"  # who asks (identity/user.py)
VISIT_KEY = "km3vo.visit"  # the session that a request came in (visits.py)
UNLOGGED_KEY = "km3vo.unlogged"  # set where an answer tells nothing of any event, and so is not written down
ASKED_KEY = "km3vo.asked"  # the parameters, for the access log (record.py)
PREFIX_KEY = "km3vo.prefix"  # what was taken from the path before it was routed, for addresses in answers
CUT_KEY = "km3vo.cut"  # a function that ends the connection at once (server.py)
STOPPING = "km3vo.stopping"  # in the state of the lifespan: a function to call when the server is about to stop

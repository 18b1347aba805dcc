"""The review page: a local server and one static page for keeping, dropping and relabelling images by hand."""

from eyeshot.web.app import make_app
from eyeshot.web.queue import UNLABELLED
from eyeshot.web.review import Review
from eyeshot.web.serving import open_socket, serve

__all__ = ["UNLABELLED", "Review", "make_app", "open_socket", "serve"]

from .app import make_app as make_app
from .review import Review as Review
from .serving import open_socket as open_socket
from .serving import serve as serve

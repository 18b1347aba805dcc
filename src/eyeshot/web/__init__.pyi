from .app import make_app as make_app
from .review import Review as Review
from .serving import open_socket as open_socket
from .serving import serve as serve
from .workbench.app import make_workbench as make_workbench
from .workbench.edits import Edits as Edits

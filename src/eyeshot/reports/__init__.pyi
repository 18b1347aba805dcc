from .align_pair import difference as difference
from .align_pair import turned_like as turned_like
from .audit_page import write_audit_page as write_audit_page
from .errors_page import write_errors_page as write_errors_page
from .page import asset as asset
from .page import stylesheet as stylesheet
from .ranking_page import write_ranking_page as write_ranking_page
from .ranking_picture import write_ranking_picture as write_ranking_picture

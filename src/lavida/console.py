from lavida.errors import one_line  # noqa: F401
from lavida.terminal import print_message as complain  # noqa: F401
from lavida.terminal import print_result as tell  # noqa: F401

from lavida.exposure.looks import degrade  # noqa: F401
from lavida.exposure.views import augment, reframe  # noqa: F401

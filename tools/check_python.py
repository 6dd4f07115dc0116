"""Stops an installation under a Python that TensorFlow has no build for, with one clear line."""

import sys

OLDEST, NEWEST = (3, 11), (3, 13)

if not OLDEST <= sys.version_info[:2] <= NEWEST:
    sys.exit(
        "kcars: Python %d.%d was found (%s); TensorFlow 2.21 and Keras 3.15 need Python 3.11 to 3.13: "
        "install one and run `make PYTHON=python3.13 install`" % (*sys.version_info[:2], sys.executable)
    )

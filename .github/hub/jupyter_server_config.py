"""Read by every server in the image, as /etc/jupyter/jupyter_server_config.py."""

from nnopt_lab.course.hub import configure

configure(c)  # noqa: F821 - Jupyter's configuration object

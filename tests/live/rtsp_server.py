"""An RTSP server of GStreamer: sends H.264 files at real speed. Run by the distribution's own Python, which has `gi`.

    /usr/bin/python3 rtsp_server.py PORT NAME=FILE.ts... [--login USER:PASSWORD]

Prints `ready` once it listens. Each name is a path on the server; a file is read anew for every client.
"""

import argparse
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 - the versions are chosen first


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--login")
    options = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=options.port)
    mounts = server.get_mount_points()
    for each in options.files:
        name, path = each.split("=", 1)
        factory = GstRtspServer.RTSPMediaFactory()
        # config-interval -1: the sizes of the pictures come with every key frame
        launch = f"filesrc location={path} ! tsdemux ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96"
        factory.set_launch(f"( {launch} )")
        if options.login:
            allow(factory)
        mounts.add_factory(f"/{name}", factory)
    if options.login:
        server.set_auth(guard(*options.login.split(":")))
    server.attach(None)
    print("ready", flush=True)
    GLib.MainLoop().run()


def allow(factory: GstRtspServer.RTSPMediaFactory) -> None:
    """Let those in who have logged in."""
    permissions = GstRtspServer.RTSPPermissions()
    for what in ("access", "construct"):
        permissions.add_permission_for_role("user", f"media.factory.{what}", True)
    factory.set_permissions(permissions)


def guard(user: str, password: str) -> GstRtspServer.RTSPAuth:
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth = GstRtspServer.RTSPAuth()
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    return auth


if __name__ == "__main__":
    sys.exit(main())

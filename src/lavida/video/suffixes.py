"""What the names of videos end with."""

# taken as they are: one that does not play is named as failed, not passed over
VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .qt .avi .mkv .mk3d .webm .mpg .mpeg .mpe .m1v .m2v .mpv .m2p .vro .vob .evo .tod .ts .m2t .mts "
    ".m2ts .trp .wmv .asf .dvr-ms .wtv .flv .f4v .3gp .3gpp .3g2 .3gpp2 .mj2 .ismv .ogv .ogm .mxf .gxf .lxf .nut .nuv "
    ".mjpg .mjpeg .y4m .dv .divx .amv .rm .rmvb .cine .h261 .h264 .264 .avc .h265 .265 .hevc .h266 .266 .vvc .vc1 .av1 "
    ".ivf .obu .dav .ifv .insv .lrv .gif .apng".split()
)

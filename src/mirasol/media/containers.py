"""Opening containers: one list of formats and one of protocols, for every way in (path, bytes, file, shard, address).

A format that names other files or addresses (HLS, DASH, ffconcat, SDP, ...) is not on the list, and nothing but the
source itself may be opened: media from elsewhere cannot make this machine read a file or open a connection.
"""

from __future__ import annotations

from typing import Any

import av
import av.error

from .clip import MediaError
from .limits import PIXELS
from .naming import quoted

# FFmpeg's names of the demuxers that may be used.
FORMATS = frozenset(
    """
    3dostr 4xm aa aac aax ac3 ac4 adx aiff amr amrnb amrwb anm apac ape apng aptx aptx_hd apv asf ast au av1 avi
    avs avs2 avs3 bfi bink binka caf cavsvideo cdxl codec2 daud dhav dirac dnxhd dsf dss dts dtshd dv dxa eac3
    evc film_cpk flac flic flv g722 g726 gif gsm gxf h261 h263 h264 hca hevc iamf ico idcin iff ilbc ipmovie
    ircam ivf ivr jpegxl_anim kux lc3 live_flv loas lvf lxf m4v matroska mjpeg mjpeg_2000 mlp mlv mm mmf moflex
    mov mp3 mpc mpc8 mpeg mpegts mpegvideo mpjpeg msnwctcp mtv mv mxf mxg nc nistsphere nsv nut nuv obu ogg oma
    osq pmp pva pvf qcp qoa r3d rl2 rm roq rpl rso sbc shn siff sln smjpeg smk smush sol sox spdif swf tak
    thp tmv truehd tta ty usm vc1 vc1test vividas vivo vmd voc vpk vqf vvc w64 wav wc3movie webm wsaud wsvqa wtv
    wv xa xmv xwma yop yuv4mpegpipe image2 bmp_pipe dds_pipe dpx_pipe exr_pipe gem_pipe gif_pipe hdr_pipe
    j2k_pipe jpeg_pipe jpegls_pipe jpegxl_pipe jpegxs_pipe pam_pipe pbm_pipe pcx_pipe pfm_pipe pgm_pipe
    pgmyuv_pipe pgx_pipe phm_pipe photocd_pipe pictor_pipe png_pipe ppm_pipe psd_pipe qdraw_pipe qoi_pipe
    sgi_pipe sunrast_pipe tiff_pipe vbn_pipe webp_pipe xbm_pipe xpm_pipe xwd_pipe
    """.split()  # noqa: SIM905 - easier to read than 190 quoted names
)
# What an address may begin with -> the protocols that it needs.
HTTP, RTSP = "http,https,tcp,tls,httpproxy", "rtsp,rtsps,rtp,tcp,tls"
SCHEMES = {
    "http": HTTP, "https": HTTP, "rtsp": RTSP, "rtsps": RTSP, "rtmp": "rtmp,tcp", "rtmps": "rtmps,tls,tcp",
    "srt": "srt", "udp": "udp", "tcp": "tcp", "tls": "tls,tcp", "rtp": "rtp,udp", "ftp": "ftp,tcp",
    "mmsh": "mmsh,http,tcp", "mmst": "mmst,tcp",
}  # fmt: skip
FILE, NOTHING = "file", "none"  # protocols for a path, and for what is read by Python
PLAYLISTS = ((b"#EXTM3U", "HLS"), (b"ffconcat", "ffconcat"), (b"v=0", "SDP"), (b"<MPD", "DASH"))


def scheme_of(address: str) -> str | None:
    """What stands before `://` in an address; None for anything else."""
    head, found, _ = address.partition("://")
    return head.lower() if found else None


def open_address(address: str, name: str, verb: str, timeout: float) -> Any:
    """A container on an address of a network; `verb` (read, watch) stands in the message of a `MediaError`."""
    scheme = scheme_of(address) or ""
    if scheme not in SCHEMES:
        raise MediaError(
            f"cannot {verb} {quoted(name)}: expected an address with {', '.join(SCHEMES)}, found {scheme!r}"
        )
    more = {"rtsp_transport": "tcp"} if scheme.startswith("rtsp") else {}
    formats = {scheme.removesuffix("s")} if scheme in ("rtsp", "rtsps", "rtp") else set()
    return open_container(address, name, verb, SCHEMES[scheme], formats=formats, timeout=timeout, options=more)


def open_container(
    what: Any, name: str, verb: str = "read", protocols: str = NOTHING, *, head: bytes = b"",
    formats: set[str] | None = None, form: str | None = None, timeout: float | None = None,
    options: dict[str, str] | None = None,
) -> Any:  # fmt: skip
    """A new container on a path, an address or a file object, at its beginning.

    `formats` may be used besides the list, `form` is a device. `head`: the first bytes, if known, to say what it is.
    """
    allowed = {form} if form else FORMATS | (formats or set())
    limits = {
        "format_whitelist": ",".join(sorted(allowed)),
        "protocol_whitelist": protocols,
        "pattern_type": "none",  # a picture's name is a name, also with a % in it
        **(options or {}),
    }
    try:
        return av.open(
            what, format=form, options={"max_pixels": str(PIXELS)}, container_options={} if form else limits,
            timeout=timeout, metadata_errors="replace",
        )  # fmt: skip
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError(f"cannot {verb} {quoted(name)}: {_why(error, head)}") from error


def _why(error: Exception, head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for mark, kind in PLAYLISTS:
        if text.startswith(mark) or (mark == b"<MPD" and text.startswith(b"<") and mark in text):
            return (
                f"it is a playlist ({kind}), which names other files or addresses; these are not opened, "
                "name the film itself"
            )
    if text and all(byte >= 32 or byte in b"\t\r\n\f\x1b" for byte in text):
        return "it is text, expected picture or sound"
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, av.error.ArgumentError):
        reason = "a playlist, or a format that is not read"
    return f"not a media file that can be opened ({reason})"

"""How files are named that hold media: endings without the dot, in lower case.

The reader goes by content, never by the name; a folder has to go by names. What FFmpeg's demuxers and Pillow call their
own is taken from them, so a folder accepts what the reader opens; the lists here are those that neither states.
"""

from __future__ import annotations

import av.format
from PIL import Image


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


SOUNDS = _set(
    """
    wav mp3 flac ogg opus m4a aac oga m4b m4r mka weba wma amr awb aif aiff aifc caf au snd ac3 eac3 ec3 dts dtshd mlp
    thd mp2 mp1 mpga m2a mpa ape mac wv tta tak w64 rf64 bwf ra spx gsm voc aa aax aa3 oma omg mpc shn alac dsf dff 3ga
    qcp nist sph sln adx aptx aptxhd sbc msbc lc3 g722 722 g729 c2 iamf loas latm qoa osq rka xwma
    """
)
# Films that no demuxer states an ending for.
FILMS = _set(
    """
    mp4 webm mkv mov avi m4v mpg mpeg ts gif ogv ogm wmv asf m2ts mts m2t vob mxf rm rmvb divx xvid dv f4v wtv gxf amv
    mjpg mjpeg ivf m1v m2v mpv mpe mp4v qt 3gpp 3gp2 flv 3gp 3g2 nsv roq nuv apng avifs
    """
)
PHOTOGRAPHS = _set("jpg jpeg png webp bmp heic heif avif tif tiff jfif jp2 jxl exr hdr pam ppm pgm pbm tga")
# What a demuxer or Pillow calls its own, and what nearly always is something else, or text.
NOT_MEDIA = _set(
    """
    txt ans art asc diz ice nfo vt json csv tsv srt vtt webvtt ass ssa sub idx sup smi sami scc stl rt aqt mpl2 pjs sbg
    mks mcc dat bin bit v sf sb sw ub uw al ul rsd ast str ads adp 302 cgi ps eps pdf wmf emf h5 hdf grib bufr fit fits
    im iim cur ico icns xbm xpm dds ftc ftu gbr msp pxr pcd blp vda vst icb imx xl xmd son vb rgb yuv yuv10 cif qcif
    v210 bitpacked avr avs
    """
)


def _of_demuxers() -> frozenset[str]:
    found: set[str] = set()
    for name in av.format.formats_available:
        try:
            format = av.format.ContainerFormat(name, "r")
        except ValueError:  # it only writes
            continue
        found |= {ending.lower() for ending in format.extensions}
    return frozenset(found)


def _of_pillow() -> frozenset[str]:
    Image.init()
    return frozenset(ending[1:].lower() for ending, name in Image.registered_extensions().items() if name in Image.OPEN)


STILLS = (PHOTOGRAPHS | _of_pillow()) - FILMS - SOUNDS - NOT_MEDIA
PICTURES = (FILMS | _of_demuxers()) - STILLS - SOUNDS - NOT_MEDIA  # with a time axis
MEDIA = PICTURES | STILLS | SOUNDS


def ending_of_name(name: str) -> str:
    """`a/B.left.MP4` -> mp4; nothing where there is no dot."""
    return name.replace("\\", "/").rpartition("/")[2].rpartition(".")[2].lower() if "." in name else ""


def is_media_name(name: str) -> bool:
    return ending_of_name(name) in MEDIA

from wire.frames_plain import Answerer as Answerer
from wire.frames_plain import check as check
from wire.frames_plain import pack as pack
from wire.frames_plain import split as split

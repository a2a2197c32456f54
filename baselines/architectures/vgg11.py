"""VGG11 of the released code (in no table of the paper): eight convolutions of 64-512, five average pools."""

from functools import partial

from baselines import ARCHITECTURES
from baselines.architectures._vgg import POOL, vgg

LAYERS = (64, POOL, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512, POOL)
VGG11 = ARCHITECTURES.register("vgg11", partial(vgg, layers=LAYERS))

"""VGG16 of the released code: thirteen convolutions of 64-512, five average pools, one linear layer."""

from functools import partial

from baselines import ARCHITECTURES
from baselines.architectures._vgg import POOL, vgg

LAYERS = (64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL, 512, 512, 512, POOL, 512, 512, 512, POOL)
VGG16 = ARCHITECTURES.register("vgg16", partial(vgg, layers=LAYERS))

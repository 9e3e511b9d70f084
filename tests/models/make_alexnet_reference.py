"""Writes what the tests of AlexNet and of checkpoints compare with, by means of PyTorch.

PyTorch cannot be installed beside TensorFlow 2.15's requirements; run this in an environment with
torch and numpy:

    python tests/models/make_alexnet_reference.py
"""

import json
import sys
from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.models import alexnet_reference as reference  # noqa: E402


class AlexNet(nn.Module):
    """torchvision's layout, without the last layer of its classifier."""

    def __init__(self, convolutions, dense):
        super().__init__()
        a, b, c, d, e = convolutions
        self.features = nn.Sequential(
            nn.Conv2d(3, a, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(a, b, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(b, c, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(c, d, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(d, e, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(),
            nn.Linear(e * 36, dense),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(dense, dense),
            nn.ReLU(),
        )

    def forward(self, x):
        pool5 = self.avgpool(self.features(x))
        fc6 = self.classifier[:3](pool5.flatten(1))
        return {"map": pool5, "fc6": fc6, "pooled": self.classifier[3:](fc6)}


class RotNetAlexNet(nn.Module):
    """RotNet's layout: blocks of convolution, batch normalisation and rectifier."""

    def __init__(self, convolutions, dense):
        super().__init__()
        a, b, c, d, e = convolutions

        def block(*sizes, **options):
            return nn.Sequential(nn.Conv2d(*sizes, **options), nn.BatchNorm2d(sizes[1]), nn.ReLU())

        self._feature_blocks = nn.ModuleList(
            [
                block(3, a, 11, stride=4, padding=2),
                nn.MaxPool2d(3, 2),
                block(a, b, 5, padding=2),
                nn.MaxPool2d(3, 2),
                block(b, c, 3, padding=1),
                block(c, d, 3, padding=1),
                block(d, e, 3, padding=1),
                nn.MaxPool2d(3, 2),
                nn.Sequential(
                    nn.Flatten(),
                    nn.Linear(e * 36, dense, bias=False),
                    nn.BatchNorm1d(dense),
                    nn.ReLU(),
                    nn.Linear(dense, dense, bias=False),
                    nn.BatchNorm1d(dense),
                    nn.ReLU(),
                ),
            ]
        )

    def forward(self, x):
        for block in self._feature_blocks[:8]:
            x = block(x)
        fc6 = self._feature_blocks[8][:4](x)
        return {"map": x, "fc6": fc6, "pooled": self._feature_blocks[8][4:](fc6)}


NETWORKS = {"alexnet": AlexNet, "alexnet_bn": RotNetAlexNet}


def features(layout, width):
    network = NETWORKS[layout](*reference.WIDTHS[width]).eval()
    tensors = {
        name: torch.from_numpy(array) for name, array in reference.weights(layout, width).items()
    }
    missing, unexpected = network.load_state_dict(tensors, strict=False)
    assert not unexpected and all("num_batches" in name for name in missing), (missing, unexpected)
    mean = torch.tensor([0.485, 0.456, 0.406])
    std = torch.tensor([0.229, 0.224, 0.225])
    pixels = (torch.from_numpy(reference.pictures()) / 255.0 - mean) / std
    with torch.no_grad():
        found = network(pixels.permute(0, 3, 1, 2))
    found["map"] = found["map"].permute(0, 2, 3, 1)
    return {name: reference.excerpt(found[name].numpy()) for name in reference.FEATURES}


def save_checkpoints():
    """Small files as `torch.save` writes them; their content is written out in the test."""
    folder = reference.CHECKPOINTS
    folder.mkdir(exist_ok=True)
    whole = torch.arange(12, dtype=torch.float32)
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    with torch.no_grad():
        network[0].weight.copy_(torch.arange(6.0).reshape(2, 3).T)
        network[0].bias.copy_(torch.tensor([7.0, 8.0, 9.0]))
    state = network.state_dict()  # an OrderedDict with an attribute
    state["middle"] = whole[2:8].reshape(2, 3)
    state["turned"] = whole.reshape(3, 4).T
    state["every_other"] = whole[1::2]
    state["none"] = torch.zeros(0, 3)
    state["parameter"] = nn.Parameter(torch.tensor([0.5, -0.5]))
    for dtype in ("float64", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"):
        state[dtype] = torch.tensor([[1, 0, 1]]).to(getattr(torch, dtype))
    parallel = OrderedDict(
        {"module.features.0.weight": whole[:3], "features.module.3.bias": whole[3:5]}
    )
    for kind, as_zip in (("zip", True), ("legacy", False)):
        torch.save(state, folder / f"{kind}.pt", _use_new_zipfile_serialization=as_zip)
        torch.save(
            {"epoch": 3, "network": {"conv.bias": whole[:2]}, "best": torch.tensor(0.5)},
            folder / f"{kind}_network.pt",
            _use_new_zipfile_serialization=as_zip,
        )
        torch.save(
            {"state_dict": parallel, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}},
            folder / f"{kind}_parallel.pt",
            _use_new_zipfile_serialization=as_zip,
        )
    torch.save(network, folder / "module.pt")
    torch.save({"weight": torch.ones(2, dtype=torch.bfloat16)}, folder / "bfloat16.pt")


if __name__ == "__main__":
    save_checkpoints()
    found = {
        layout: {width: features(layout, width) for width in reference.WIDTHS}
        for layout in NETWORKS
    }
    reference.FILE.write_text(json.dumps(found) + "\n")

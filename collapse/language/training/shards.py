"""Training a model whose weights, gradients and optimizer states no single device holds (FSDP).

Accelerate's configuration file asks for it (``accelerate launch --config_file``) and says which
layers are cut and when a layer's pieces are brought together; the cutting is PyTorch's own
``fully_shard`` (Zhao et al. 2023, PyTorch FSDP; the second version, whose pieces keep a weight's
shape, so that Muon still sees matrices). Results are those of one process, up to rounding.
"""

import copy
import os
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from accelerate import Accelerator, FullyShardedDataParallelPlugin
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from collapse.errors import BadModel, BadParameter


def is_asked_for(accelerator: Accelerator) -> bool:
    """Whether several processes were launched to train one model in pieces."""
    asked = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
    return asked and accelerator.num_processes > 1


class Shards:
    """A model's copy in pieces, one a process, that is trained in its place.

    The model itself waits in the processor's memory, whole, and is brought up to date by
    :meth:`settle`. All methods are called by all processes together.

    Attributes:
        trained: the copy; its parameters are pieces (``DTensor``), on the device.
    """

    def __init__(self, model: nn.Module, accelerator: Accelerator) -> None:
        """Cut a model up.

        Raises:
            BadModel: it does not say what its layers are.
            BadParameter: the configuration asks for the first version of FSDP.
        """
        plugin = FullyShardedDataParallelPlugin()  # what the launcher put into the environment
        if plugin.fsdp_version != 2:
            raise BadParameter(
                f"fsdp_version={plugin.fsdp_version} in Accelerate's configuration: it must be 2, "
                "whose pieces keep the shapes of weights"
            )
        self._model = model
        self._home = next(model.parameters()).device
        self.trained = copy.deepcopy(model.to("cpu"))
        options: dict[str, Any] = {
            "mesh": init_device_mesh(accelerator.device.type, (accelerator.num_processes,)),
            "reshard_after_forward": bool(plugin.reshard_after_forward),
            "offload_policy": plugin.cpu_offload,
        }
        for layer in _layers(self.trained, plugin):
            fully_shard(layer, **options)
        fully_shard(self.trained, **options)

    def settle(self) -> None:
        """Bring the whole model up to date, in the processor's memory."""
        with torch.no_grad():
            for whole, piece in zip(
                self._model.parameters(), self.trained.parameters(), strict=True
            ):
                whole.copy_(whole_tensors(piece))

    def release(self) -> None:
        """Bring the whole model up to date, and back to the device that it came from."""
        self.settle()
        self._model.to(self._home)

    def load(self, weights: dict[str, torch.Tensor]) -> None:
        """Continue from whole weights, those of a model's ``state_dict``."""
        self._model.load_state_dict(weights)
        with torch.no_grad():
            for whole, piece in zip(
                self._model.parameters(), self.trained.parameters(), strict=True
            ):
                piece.copy_(_like(whole, piece))


def whole_tensors(value: Any) -> Any:
    """The same containers with every piece put together, on the CPU; called by all processes."""
    if isinstance(value, DTensor):
        return value.detach().full_tensor().cpu()
    if isinstance(value, dict):
        return {key: whole_tensors(one) for key, one in value.items()}
    if isinstance(value, list):
        return [whole_tensors(one) for one in value]
    return value


def cut_states(optimizers: Iterable[torch.optim.Optimizer]) -> None:
    """Cut up whole states, as they were loaded, like the weights that they are of."""
    for optimizer in optimizers:
        for parameter, state in optimizer.state.items():
            for name, value in state.items():
                if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                    state[name] = _like(value, parameter)


def _like(whole: torch.Tensor, piece: Any) -> DTensor:
    on_device = whole.to(piece.to_local().device)
    return distribute_tensor(on_device, piece.device_mesh, piece.placements)


def _layers(model: nn.Module, plugin: FullyShardedDataParallelPlugin) -> Iterator[nn.Module]:
    """The layers that are cut one by one: as configured, or those that the model names."""
    names = plugin.transformer_cls_names_to_wrap or getattr(model, "_no_split_modules", None) or []
    layers = [one for one in model.modules() if type(one).__name__ in names]
    if not layers:
        raise BadModel(
            f"{type(model).__name__} does not say which of its modules are layers: name their "
            "class by fsdp_transformer_layer_cls_to_wrap in Accelerate's configuration"
        )
    yield from layers

"""A base whose frozen weights are shared out among the cards of a run, for one that is too large for each of them.

Every card holds its part of each layer and has a layer whole only while that layer is at work: torch's `fully_shard`
fetches it before the forward and again before the backward pass. The adapter is whole on every card and stays DDP's,
so that gradients, optimiser, checkpoints and the finished adapter are those of any other run.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from training.engine import randomness, weights
from training.engine.events import EngineError, log
from training.engine.group import ALONE, Group

MESH = ("fsdp",)  # by this name PEFT knows that a layer computes with all of its weights


def load(path: str, device: Any, group: Group) -> Any:
    """The frozen base, layer by layer from its files to the cards: nobody ever has the whole of it.

    A base whose files name their weights otherwise than the model does is read whole into main memory, by one process
    after the other, and goes to the cards from there.
    """
    import torch

    dtype = torch.bfloat16 if device.is_cuda else torch.float32
    try:
        model = _outline(path, dtype)
        with ExitStack() as files:
            source = Source(Path(path), device.kind, dtype, files)
            if source.has_all_of(model):
                _spread(model, source.fill, device.kind, group)
                return _ready(model, path)
        log("the files of this base name their weights otherwise than the model: each process reads them all, in turn")
        return _ready(_in_turn(path, dtype, device.kind, group), path)
    except (OSError, ValueError, KeyError) as problem:
        raise EngineError(f"The base model cannot be loaded: {problem}", code="incomplete_model") from problem


def _outline(path: str, dtype: Any) -> Any:
    """The model without its weights; what it computes for itself, as the rotation of positions, is there."""
    from accelerate import init_empty_weights
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(path, trust_remote_code=False, local_files_only=True)
    with init_empty_weights(include_buffers=False):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, trust_remote_code=False)
    model.tie_weights()
    return model


def _in_turn(path: str, dtype: Any, kind: str, group: Group) -> Any:
    from transformers import AutoModelForCausalLM

    for rank in range(group.size):
        if rank == group.rank:
            model = AutoModelForCausalLM.from_pretrained(
                path, dtype=dtype, trust_remote_code=False, local_files_only=True, use_safetensors=True
            )
            _spread(model, lambda part: None, kind, group)
        group.decide()  # the others wait here
    return model


def _ready(model: Any, path: str) -> Any:
    from transformers import GenerationConfig

    if (Path(path) / "generation_config.json").exists():
        model.generation_config = GenerationConfig.from_pretrained(path, local_files_only=True)
    model.config.use_cache = False
    return model.eval()


class Source:
    """The weights of a base as they lie in its files, one after the other."""

    def __init__(self, folder: Path, kind: str, dtype: Any, files: ExitStack) -> None:
        from safetensors import safe_open

        self.kind, self.dtype = kind, dtype
        self.shapes = weights.base_shapes(folder)
        headers = weights.base_headers(folder)
        opened = {name: files.enter_context(safe_open(folder / name, "pt")) for name in headers}
        self.file_of = {weight: opened[name] for name, header in headers.items() for weight in header}
        self.names: dict[Any, str] = {}

    def has_all_of(self, model: Any) -> bool:
        self.names = {value: name for name, value in model.named_parameters()}
        return all(self.shapes.get(name) == tuple(value.shape) for value, name in self.names.items())

    def fill(self, part: Any) -> None:
        """Give every weight of `part` that has none its values."""
        import torch

        made: dict[Any, Any] = {}  # one weight may be known to several modules
        for module in part.modules():
            for name, value in list(module._parameters.items()):
                if value is None or not value.is_meta:
                    continue
                if value not in made:
                    known = self.names[value]
                    values = self.file_of[known].get_tensor(known).to(self.kind, self.dtype)
                    made[value] = torch.nn.Parameter(values, requires_grad=False)
                module._parameters[name] = made[value]


def _spread(model: Any, fill: Callable[[Any], None], kind: str, group: Group) -> None:
    """Layer by layer, so that no card has more than one of them whole; then what is outside of the layers."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(kind, (group.size,), mesh_dim_names=MESH)
    model.requires_grad_(False)
    for part in (*layers(model), model):
        fill(part)
        # Nothing stays fetched between two passes: else a save, which the first makes alone and which gives back what
        # is fetched, would leave it with other needs than the others have.
        fully_shard(part, mesh=mesh, reshard_after_forward=True)


def layers(model: Any) -> list[Any]:
    """The layers of a decoder: the list of modules in which most of its weights are."""
    import torch

    lists = [module for module in model.modules() if isinstance(module, torch.nn.ModuleList)]
    return list(max(lists, key=lambda one: sum(value.numel() for value in one.parameters()), default=()))


def is_sharded(model: Any) -> bool:
    from torch.distributed.fsdp import FSDPModule

    return any(isinstance(module, FSDPModule) for module in model.modules())


class Sharded:
    """Mixed into a trainer: what is shared out is left where it is, and what is trained goes through DDP."""

    accelerator: Any
    group: Group

    def _move_model_to_device(self, model: Any, device: Any) -> None:
        if not is_sharded(model):
            super()._move_model_to_device(model, device)  # type: ignore[misc]

    def join(self, group: Group) -> None:
        super().join(group)  # type: ignore[misc]
        if is_sharded(self.model):  # type: ignore[attr-defined]
            self._prepare = self.accelerator.prepare_model
            self.accelerator.prepare_model = self._adapter_through_ddp

    def _adapter_through_ddp(self, model: Any, device_placement: bool | None = None, **kwargs: Any) -> Any:
        """As accelerate prepares it for DDP, which it refuses for a model of which a part is not whole."""
        from torch.nn.parallel import DistributedDataParallel

        model = self._prepare(model, device_placement=False, evaluation_mode=True)
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(
            model, [name for name, value in model.named_parameters() if not value.requires_grad]
        )
        accelerator = self.accelerator
        cards = [accelerator.local_process_index] if accelerator.device.type == "cuda" else None
        options = accelerator.ddp_handler.to_kwargs() if accelerator.ddp_handler else {}
        wrapped = DistributedDataParallel(model, device_ids=cards, **options)
        accelerator._models[-1] = wrapped
        return wrapped


class Echo:
    """Questions to a model whose weights are shared out: what the first process asks, the others ask along.

    Each forward pass fetches every layer from all cards, whatever goes through it, so for each pass of the first the
    others make one of a single token. Where every card holds the whole model, the first is alone with its questions.
    """

    def __init__(self, group: Group = ALONE, model: Any = None) -> None:
        self.group, self.model = group, model  # no model where nothing is shared out
        self.broken = False  # a pass began and did not end: the others wait within it

    def ask(self, work: Callable[[], Any]) -> Any:
        """`work` of the first; nothing comes back to the others."""
        if not self.group.is_first:
            return self._go_along()
        if self.model is None:
            return work()
        with self._telling():
            answer = work()
        if not self.broken:
            self.group.decide(False)
        return answer

    @contextmanager
    def _telling(self) -> Iterator[None]:
        hooks = [
            self.model.register_forward_pre_hook(self._begin, prepend=True),
            self.model.register_forward_hook(self._end),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _begin(self, *_: Any) -> None:
        self.group.decide(True)
        self.broken = True

    def _end(self, *_: Any) -> None:
        self.broken = False

    def _go_along(self) -> None:
        if self.model is None:
            return
        import torch

        state, training = randomness.capture(), self.model.training
        self.model.eval()
        token = torch.zeros(1, 1, dtype=torch.long, device=self.model.device)
        while self.group.decide(False)[0]:
            with torch.no_grad():
                self.model(input_ids=token, use_cache=False)
        self.model.train(training)
        randomness.restore(state)

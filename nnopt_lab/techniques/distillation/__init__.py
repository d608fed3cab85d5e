"""Knowledge distillation: a small network learns from what a large one thinks, and not from the labels alone.

The article's section 3.3.2: pre-train a large model, train the small one from it, infer with the small one. The loop is
`training.fit`, as ever: distillation is a loss and a loader. `WithTeacher` puts what the teacher says beside
each label; the losses here read it there.

Sources: Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network" (temperature); Romero et al. 2015,
"FitNets" (hints); Zagoruyko & Komodakis 2017, "Paying More Attention to Attention"; Zhao et al. 2022, "Decoupled
Knowledge Distillation"; Furlanello et al. 2018, "Born-Again Neural Networks".
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnopt_lab.workbench import data, training
from nnopt_lab.workbench.measure.modes import inference
from nnopt_lab.workbench.progress_bar import progress_bar

Loss = Callable[[Tensor, tuple], Tensor]


def soft_targets(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """softmax(logits / temperature) over the classes: float [N, C], rows add up to 1.

    Raises:
        ValueError: `temperature` is not above 0.
    """
    return (logits / _positive(temperature)).softmax(1)


def soft_loss(student: Tensor, teacher: Tensor, temperature: float = 4.0) -> Tensor:
    """T² · KL(teacher ‖ student) of the soft targets, mean over the pictures (Hinton et al. 2015, section 2).

    The factor T² keeps the size of the gradients: they shrink as 1/T².

    Args:
        student, teacher: logits, float [N, C].
        temperature: above 0.
    """
    _check_shapes(student, teacher)
    log_student = (student / _positive(temperature)).log_softmax(1)
    log_teacher = (teacher / temperature).log_softmax(1)
    return temperature**2 * F.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)


def hinton(temperature: float = 4.0, soft_share: float = 0.9) -> Loss:
    """The loss (1 − share) · cross-entropy + share · `soft_loss`; targets are (labels, teacher's logits, …).

    Raises:
        ValueError: `temperature` is not above 0, or `soft_share` not in [0, 1].
    """
    _positive(temperature)
    if not 0 <= soft_share <= 1:
        raise ValueError(f"soft_share={soft_share} must be between 0 and 1.")

    def loss(logits: Tensor, targets: tuple) -> Tensor:
        labels, teacher, *_ = targets
        hard = F.cross_entropy(logits, labels) if soft_share < 1 else 0.0
        return (1 - soft_share) * hard + soft_share * soft_loss(logits, teacher, temperature)

    return loss


def decoupled_loss(
    student: Tensor, teacher: Tensor, labels: Tensor, temperature: float = 4.0, target: float = 1.0, others: float = 8.0
) -> Tensor:
    """T² · (target · TCKD + others · NCKD), mean over the pictures (Zhao et al. 2022, equations 6 and 7).

    TCKD compares the probabilities of the true class and of all others together, NCKD how the others share theirs.
    Hinton's loss is target = 1 and others = the teacher's probability of "not the true class", which is next to nothing
    where the teacher is sure: what it knows about the other classes is then hardly taught.

    Args:
        student, teacher: logits, float [N, C].
        labels: int64 [N].
        temperature: above 0.
        target, others: weights of the two parts, α and β in the paper.
    """
    _check_shapes(student, teacher)
    true = F.one_hot(labels, student.shape[1]).bool()

    def parts(logits: Tensor) -> tuple[Tensor, Tensor]:
        logs = (logits / _positive(temperature)).log_softmax(1)
        rest = logs.masked_fill(true, -torch.inf).logsumexp(1, keepdim=True)
        among = (logs - rest)[~true].reshape(len(logs), -1)
        return torch.cat([logs[true].unsqueeze(1), rest], 1), among

    (two_student, among_student), (two_teacher, among_teacher) = parts(student), parts(teacher)
    tckd = F.kl_div(two_student, two_teacher, reduction="batchmean", log_target=True)
    nckd = F.kl_div(among_student, among_teacher, reduction="batchmean", log_target=True)
    return temperature**2 * (target * tckd + others * nckd)


def decoupled(temperature: float = 4.0, target: float = 1.0, others: float = 8.0, hard: float = 1.0) -> Loss:
    """The loss hard · cross-entropy + `decoupled_loss`; targets are (labels, teacher's logits, …)."""
    _positive(temperature)

    def loss(logits: Tensor, targets: tuple) -> Tensor:
        labels, teacher, *_ = targets
        return hard * F.cross_entropy(logits, labels) + decoupled_loss(
            logits, teacher, labels, temperature, target, others
        )

    return loss


def attention_map(features: Tensor) -> Tensor:
    """Where a layer looks: Σ over channels of its squares, as a unit vector, float [N, C, H, W] → [N, H·W].

    Zagoruyko & Komodakis 2017, section 3.1, F²sum.
    """
    return F.normalize(features.square().sum(1).flatten(1), dim=1)


class Watch:
    """The last output of some layers of a model, for losses that look inside it.

    Args:
        model: a module.
        layers: names as in `model.named_modules()`.

    Raises:
        ValueError: there is no such layer.
    """

    def __init__(self, model: nn.Module, layers: Iterable[str]):
        modules = dict(model.named_modules())
        self.outputs: dict[str, Tensor] = {}
        for name in layers:
            if name not in modules:
                raise ValueError(f"layers has {name!r}; the model has {', '.join(filter(None, modules))}.")
            modules[name].register_forward_hook(lambda module, _, out, name=name: self.outputs.__setitem__(name, out))

    def __getitem__(self, name: str) -> Tensor:
        return self.outputs[name]


def attention_transfer(student: Watch, layer: str, base: Loss, weight: float = 100.0) -> Loss:
    """`base` + weight · mean squared distance of the attention maps; the teacher's features are the last target.

    Where the maps differ in size, the larger one is averaged down.
    """

    def loss(logits: Tensor, targets: tuple) -> Tensor:
        mine, theirs = _same_size(student[layer], targets[-1])
        return base(logits, targets) + weight * (attention_map(mine) - attention_map(theirs)).square().mean()

    return loss


def hint(student: Watch, layer: str, adapter: nn.Module, base: Loss, weight: float = 1.0) -> Loss:
    """`base` + weight · mean squared distance of adapter(student's features) from the teacher's, the last target.

    The adapter (a 1×1 convolution to the teacher's width, say) is trained along and thrown away: give the optimizer its
    parameters too. Romero et al. 2015, equation 3, in one stage.
    """

    def loss(logits: Tensor, targets: tuple) -> Tensor:
        mine, theirs = _same_size(adapter(student[layer]), targets[-1])
        return base(logits, targets) + weight * F.mse_loss(mine, theirs)

    return loss


class WithTeacher:
    """Batches (input, (labels, teacher's logits, features of `layers` …)), the teacher asked anew for each batch."""

    def __init__(self, batches: Iterable[tuple[Tensor, Tensor]], teacher: nn.Module, layers: Iterable[str] = ()):
        self.batches, self.teacher, self.layers = batches, teacher, tuple(layers)
        self.watch = Watch(teacher, self.layers)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator:
        for inputs, labels in self.batches:
            with inference(self.teacher):
                logits = self.teacher(inputs)
                said = (logits, *(self.watch[name] for name in self.layers))
            yield inputs, (labels, *(value.clone() for value in said))


def views(split: data.Split, augment: Callable[[Tensor], Tensor], count: int) -> data.Split:
    """Each picture of a split `count` times, every time augmented anew: a fixed set, about which a teacher can be asked
    once (Beyer et al. 2022, "Knowledge Distillation: A Good Teacher Is Patient and Consistent": student and teacher
    must see the same view).
    """
    return data.Split(torch.cat([augment(split.images) for _ in range(count)]), split.labels.repeat(count))


def remembered(
    teacher: nn.Module,
    split: data.Split,
    pictures: data.Pictures,
    folder: Path,
    *,
    batch_size: int = 64,
    seed: int = 0,
) -> torch.utils.data.DataLoader:
    """Batches (input, (labels, teacher's logits)) in random order; the teacher is asked once, and never again.

    Its logits are kept in a file of `folder`, which is read by memory mapping: float32 [N, classes], named after the
    teacher's weights and the pictures. Where either changes, the name does, and the teacher is asked anew.

    Args:
        folder: made if it isn't there.
        batch_size: at least 1.
        seed: of the order, a new one in each pass.
    """
    logits = remembered_logits(teacher, split, pictures, folder)
    batches = data.loader(split, pictures, batch_size, shuffle=True, seed=seed).sampler
    return torch.utils.data.DataLoader(_Remembered(split, pictures, logits), sampler=batches, batch_size=None)


def remembered_logits(teacher: nn.Module, split: data.Split, pictures: data.Pictures, folder: Path) -> Tensor:
    """The teacher's logits of a split in order, float32 [N, classes], memory-mapped from a file in `folder`."""
    path = Path(folder, f"logits-{_fingerprint(teacher, split, pictures)}.npy")
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with inference(teacher), progress_bar(total=len(split), desc="asking the teacher", unit="picture") as progress:
            said = []
            for inputs, _ in data.loader(split, pictures, 500):
                said.append(teacher(inputs.to(training.device_of(teacher))).float().cpu())
                progress.update(len(inputs))
        unfinished = path.with_suffix(f".{os.getpid()}.tmp")
        with unfinished.open("wb") as file:  # under its own name only once it is whole
            np.save(file, torch.cat(said).numpy())
        unfinished.replace(path)
    return torch.from_numpy(np.load(path, mmap_mode="c"))


class _Remembered(torch.utils.data.Dataset):
    """A split with the teacher's logits beside its labels, read a batch at a time."""

    def __init__(self, split: data.Split, pictures: data.Pictures, logits: Tensor):
        self.batches, self.logits = data.Batches(split, pictures), logits

    def __len__(self) -> int:
        return len(self.logits)

    def __getitem__(self, positions: list[int]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        inputs, labels = self.batches[positions]
        return inputs, (labels, self.logits[positions])


def _fingerprint(teacher: nn.Module, split: data.Split, pictures: data.Pictures) -> str:
    seen = hashlib.sha256(repr((type(teacher).__name__, pictures.name, pictures.mean, pictures.std)).encode())
    for name, value in [*teacher.state_dict().items(), ("images", split.images)]:
        seen.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        seen.update(value.detach().cpu().flatten().view(torch.uint8).numpy().tobytes() if value.numel() else b"")
    return seen.hexdigest()[:16]


def _same_size(mine: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
    """Both features averaged down to the smaller of their two sizes."""
    size = tuple(min(a, b) for a, b in zip(mine.shape[2:], theirs.shape[2:], strict=True))
    return F.adaptive_avg_pool2d(mine, size), F.adaptive_avg_pool2d(theirs, size)


def _check_shapes(student: Tensor, teacher: Tensor) -> None:
    if student.shape != teacher.shape or student.dim() != 2:
        raise ValueError(
            f"student has shape {list(student.shape)} and teacher {list(teacher.shape)}; both must be [N, classes]."
        )


def _positive(temperature: float) -> float:
    if not temperature > 0:
        raise ValueError(f"temperature={temperature} must be above 0.")
    return temperature

# %% [markdown]
# # Distillation: train a small network on a large one's outputs
#
# A label says *heart*. A trained network says: most likely a heart, a little like a disc, not at all like a ring.
# *Distillation*, as described in the article that this course grew out of, uses this in three steps: pre-train a large
# model (the *teacher*), train a small one (the *student*) on its outputs, and use the small one for inference. In this
# lesson you will
#
# - see what a teacher knows that labels do not say, and soften its outputs with a temperature;
# - implement Hinton's loss, and find out what its factor T² is for;
# - train a small network on your machine with labels, with a teacher, and with a teacher but no labels at all;
# - distinguish a gain from luck;
# - try the variants: decoupled targets, hints, attention, teachers of other sizes, and distillation into pruned or
#   quantised networks.
#
# The lesson takes about an hour. You need to know what pruning and quantisation to integers are; the lesson explains
# everything else. All networks are trained by `recipes.one_cycle`: AdamW with a *one-cycle* learning rate, which rises
# to a peak and then falls to almost zero. Most pictures here show *shapes* instead of the clothes of other lessons;
# section 5 explains why. A *point* is a percentage point of accuracy.

# %% tags=["fold", "side-by-side"]
# Imports: where the names of this lesson come from
import copy
import tempfile
from pathlib import Path

import torch
from IPython.display import display
from torch import nn

from nnopt_lab.course.calls import check, claim, hint, lesson, question, yours_or_ours
from nnopt_lab.course.course_map import progress
from nnopt_lab.course.predictions import ledger, predict, reveal
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.distillation.playground import distillation_playground
from nnopt_lab.techniques import distillation
from nnopt_lab.workbench import (
    data,
    diagrams,
    measure,
    models,
    plots,
    recipes,
    training,
)
from nnopt_lab.workbench.shapes import draw_shapes
from nnopt_lab.workbench.tables import Table

# %%
lesson("09_distillation")
pictures = data.load("shapes")
teacher, student = models.trained("shapes_teacher"), models.trained("shapes_student")
plots.pictures(
    pictures.test.images[:16], [pictures.classes[i] for i in pictures.test.labels[:16]]
)

# %% [markdown]
# ## 1. Teacher and student
#
# The pictures show ten shapes in all colours, over clutter, some of them half hidden. There are 9,000 of them to train
# on. The teacher is a residual network trained on their labels (`nnopt train shapes_teacher`). The student has the
# architecture of `MyNet`, the article's network, and was trained on the teacher's outputs
# (`nnopt train shapes_student`; section 7 shows how). Both ship with the course.

# %%
measure.layer_table(student, pictures.to_input(pictures.test.images[:1]))

# %% [markdown]
# The student is the network you would deploy. What does it save? Hardly any memory, since the teacher has only 1.15
# times its parameters, but a lot of work: the teacher does seven times as many multiplications. Guess the speed-up
# before you look.

# %%
predict("speed-up of the student over the teacher, batch 256", unit="×")

# %%
batch = pictures.to_input(pictures.test.images[:256])
taught, by = (
    training.evaluate(model, pictures.test, pictures) for model in (student, teacher)
)
table = measure.compare(
    {"teacher": teacher, "student": student},
    batch,
    accuracy={"teacher": by.accuracy, "student": taught.accuracy},
    rounds=15,
    budget_seconds=2,
)

# %% tags=["nbval-ignore-output"]
# Answer: speed-up of the student over the teacher, batch 256
of_teacher, of_student = table.rows
faster = of_student["ratio"]
reveal(
    "speed-up of the student over the teacher, batch 256",
    faster[256].median,
    faster[256].low,
    faster[256].high,
    because="Multiplications are not time. In MyNet, pooling and ReLU, which multiply "
    "nothing, take a large part of it. The teacher is almost all convolutions, and "
    "those are what processors do best.",
)

# %% tags=["nbval-ignore-output", "tells"]
table

# %% tags=["fold"]
# Claims: teacher and student
lost = measure.proportion_difference(by.correct, taught.correct)
claim(
    "The student is between 0.7 and 2.6 points less accurate than the teacher.",
    lost.high < -0.7 and lost.low > -2.6,
)
claim(
    "The teacher does 6.9 times as many multiplications.",
    round(of_teacher["macs"] / of_student["macs"], 1) == 6.9,
)
claim(
    "The student is at least 1.4 times as fast at batch 256.",
    faster[256].median > 1.4,
    timing=True,
)
claim(
    "The student is at least 1.2 times as fast at batch 1.",
    faster[1].median > 1.2,
    timing=True,
)
claim(
    "The teacher has 1.15 times as many parameters.",
    round(of_teacher["total"] / of_student["total"], 2) == 1.15,
)
claim(
    "The teacher's test accuracy is between 98.5 and 99.6 %.",
    98.5 < by.accuracy < 99.6,
)
claim(
    "The student's test accuracy is between 96.8 and 98.4 %.",
    96.8 < taught.accuracy < 98.4,
)

# %% [markdown]
# A distilled network is "faster" only because it is small: its speed is that of its architecture, and distillation does
# not change it. What distillation can do is make the small network *better*, so that you can afford to use it.
#
# ## 2. Soft targets
#
# The teacher's last layer outputs a score $v_i$ per class, the *logits*, and softmax turns them into probabilities. A
# good teacher is so confident that it leaves almost nothing for the other classes. To make these visible, divide the
# logits by a **temperature** $T$ before the softmax:
#
# $$p_i = \frac{\exp(v_i/T)}{\sum_j \exp(v_j/T)}.$$
#
# These are the *soft targets* ([Hinton, Vinyals & Dean 2015](https://arxiv.org/abs/1503.02531)).
#
# **Exercise (2 points).** Implement soft targets. The plot below shows those of the teacher at two temperatures.


# %% exercise="distillation.soft_targets"
def soft_targets(logits, temperature):
    """softmax(logits / temperature) over the classes.

    logits: float [N, classes], temperature: float → float [N, classes].

    >>> soft_targets(torch.tensor([[1.0, 9.0]]).log(), 2.0)
    tensor([[0.2500, 0.7500]])
    """
    ### BEGIN SOLUTION
    return (logits / temperature).softmax(1)
    ### END SOLUTION


# %%
check("distillation.soft_targets", soft_targets)

# %%
soft_targets = yours_or_ours("distillation.soft_targets")
with measure.inference(teacher):
    said = teacher(pictures.to_input(pictures.test.images))

# %% tags=["fold"]
# Plot: the teacher's probabilities at two temperatures
places = [9, 15, 17]
fig, axes = plots.figure(nrows=3, ncols=3, height=5.2, width_ratios=(1, 2, 2))
for row, place in zip(axes, places, strict=True):
    row[0].imshow(pictures.test.images[place].permute(1, 2, 0))
    row[0].set(
        xticks=[], yticks=[], title=pictures.classes[pictures.test.labels[place]]
    )
    row[0].grid(False)
    for ax, temperature in zip(row[1:], (1, 4), strict=True):
        ax.bar(
            range(10),
            soft_targets(said[place : place + 1], temperature)[0],
            color=plots.color_of("teacher"),
        )
        ax.set(ylim=(0, 1), xticks=range(10), xticklabels=[])
        ax.grid(False, axis="x")
    row[1].set(ylabel="probability")
for ax, temperature in zip(axes[0, 1:], (1, 4), strict=True):
    ax.set(title=f"T = {temperature}")
for ax in axes[2, 1:]:
    ax.set_xticks(
        range(10), pictures.classes, rotation=45, ha="right", fontsize="small"
    )
plots.finish(
    fig,
    "Three pictures with the teacher's probabilities: one tall bar at T = 1, smaller "
    "bars for similar classes at T = 4.",
)

# %% [markdown]
# What to see: in the middle (T = 1), the bars look like a label. On the right (T = 4), they show which other classes
# the teacher finds likely.

# %% tags=["fold"]
# Claims: soft targets
sure = [soft_targets(said, t).amax(1) for t in (1.0, 4.0, 1e4)]
claim(
    "At T = 1, the other nine classes together get less than 0.1 % for the median "
    "picture.",
    sure[0].median() > 0.999,
)
claim(
    "At T = 4, the other nine classes get at least 5 % for the median picture.",
    sure[1].median() < 0.95,
)
claim(
    "At a very high temperature, all ten classes are equal.",
    torch.allclose(sure[2], torch.full_like(sure[2], 0.1), atol=1e-2),
)

# %% question="distillation.why_soft"
choice = None
### BEGIN SOLUTION
choice = "b"
### END SOLUTION
question("distillation.why_soft", choice)

# %% [markdown]
# ### Which shapes look alike?
#
# Does the teacher know which shapes look alike? The next plot shows, for the pictures of each class, the average soft
# target at T = 4 of every *other* class. With labels instead of soft targets, the plot would be empty.

# %% tags=["fold"]
# Plot: soft targets by class
warm = soft_targets(said, 4.0)
alike = torch.stack([warm[pictures.test.labels == c].mean(0) for c in range(10)])
alike.fill_diagonal_(float("nan"))
fig, ax = plots.figure(height=4.6)
shown = ax.imshow(100 * alike, cmap="Blues")
ax.set_xticks(range(10), pictures.classes, rotation=45, ha="right", fontsize="small")
ax.set_yticks(range(10), pictures.classes, fontsize="small")
ax.set(
    xlabel="other class",
    ylabel="true class",
    title="mean soft target of the other classes at T = 4, %",
)
ax.grid(False)
fig.colorbar(shown)
plots.finish(
    fig,
    "A grid of classes by classes: plus and star, triangle and square, heart and disc "
    "look alike to the teacher.",
)

# %% [markdown]
# What to see: the darkest square of each row is the class that the teacher finds most similar. For a plus that is a
# star, for a star a plus, for a triangle a square, and for a heart a disc. No label ever said so.

# %% tags=["fold"]
# Claims: shapes that look alike
nearest = [pictures.classes[c] for c in alike.nan_to_num(0).argmax(1)]
of = dict(zip(pictures.classes, nearest, strict=True))
claim(
    "To the teacher, a plus is most similar to a star, and a star to a plus.",
    (of["plus"], of["star"]) == ("star", "plus"),
)
claim(
    "A triangle is most similar to a square, and a heart to a disc.",
    (of["triangle"], of["heart"]) == ("square", "disc"),
)

# %% [markdown]
# ## 3. Hinton's loss
#
# The student outputs logits $z$, and with them its own probabilities $q$ at the *same* temperature. The loss measures
# how far $q$ is from $p$ by the Kullback–Leibler divergence (KL), and mixes it with the ordinary cross-entropy (CE) on
# the labels $y$. The share $\alpha$ of the teacher is called `soft_share` in code:
#
# $$L = (1-\alpha)\,\mathrm{CE}(z, y) + \alpha\, T^2\, \mathrm{KL}(p \,\Vert\, q), \qquad
#   \mathrm{KL}(p\,\Vert\,q) = \sum_i p_i\,(\log p_i - \log q_i).$$

# %% tags=["fold"]
# Diagram: distillation
diagrams.distillation()

# %% [markdown]
# What to see: the student gets two losses, one from the teacher's output (upper) and one from the label (lower). Their
# gradient goes to the student alone.
#
# **Exercise (4 points).** Implement the second term, $T^2\,\mathrm{KL}$, as a mean over the pictures.


# %% exercise="distillation.soft_loss"
def soft_loss(student, teacher, temperature):
    """T² · KL(teacher ‖ student), mean over the pictures, as a scalar.

    student, teacher: logits, float [N, classes]. temperature: float.

    >>> soft_loss(torch.zeros(1, 2), torch.tensor([[99.0, 0.0]]), 1.0)  # ln 2
    tensor(0.6931)
    >>> soft_loss(torch.zeros(1, 2), torch.tensor([[99.0, 0.0]]), 2.0)  # 4 · ln 2
    tensor(2.7726)
    """
    ### BEGIN SOLUTION
    log_q = (student / temperature).log_softmax(1)
    log_p = (teacher / temperature).log_softmax(1)
    return temperature**2 * (log_p.exp() * (log_p - log_q)).sum(1).mean()
    ### END SOLUTION


# %%
check("distillation.soft_loss", soft_loss)

# %% [markdown]
# Why T²? The gradient of the divergence with respect to one of the student's logits is $(q_i - p_i)/T$. For large $T$
# and logits of mean 0, $q$ and $p$ themselves differ only by about $(z_i - v_i)/(T\cdot\text{classes})$. So the
# gradient shrinks as $1/T^2$. The factor T² cancels this, and the mixture keeps its meaning when you change the
# temperature. Measure it with an untrained student, 500 pictures and seven temperatures:

# %%
soft_loss = yours_or_ours("distillation.soft_loss")
torch.manual_seed(0)
beginner = models.MyNet().eval()
with torch.no_grad():
    first = beginner(pictures.to_input(pictures.test.images[:500]))
temperatures = [1, 2, 4, 8, 16, 32, 64]
sizes = {"with T²": [], "without T²": []}
for temperature in temperatures:
    logits = first.clone().requires_grad_()
    soft_loss(logits, said[:500], float(temperature)).backward()
    sizes["with T²"].append(logits.grad.norm().item())
    sizes["without T²"].append(logits.grad.norm().item() / temperature**2)

# %% tags=["fold"]
# Plot: the gradient's size over the temperature
logits = first.clone().requires_grad_()
(gradient,) = torch.autograd.grad(
    nn.functional.cross_entropy(logits, pictures.test.labels[:500]), logits
)

fig, ax = plots.figure()
plots.curves(
    ax,
    temperatures,
    {f"soft loss {name}": values for name, values in sizes.items()},
    reference=("cross-entropy with the labels", gradient.norm().item()),
)
ax.set(
    yscale="log", xlabel="temperature T", ylabel="norm of the gradient at the logits"
)
plots.log_axis(ax.xaxis, temperatures)
plots.name_lines(ax)
plots.finish(
    fig,
    "With T² the gradient keeps its size from T = 4 on, without it vanishes.",
    trained="y",
)

# %% [markdown]
# What to see: with T² (blue), the gradient keeps its size from T = 4 on, a few times that of the labels (dashed).
# Without T² (orange), it vanishes as T grows. At low T the blue curve is not flat, because the teacher is still too
# confident for the approximation.

# %% tags=["fold"]
# Claims: the factor T²
from_four = {name: values[2:] for name, values in sizes.items()}
claim(
    "With T², the gradient stays within a factor of 2 from T = 4 to T = 64.",
    max(from_four["with T²"]) < 2 * min(from_four["with T²"]),
)
claim(
    "Without T², the gradient shrinks by a factor of more than 100.",
    from_four["without T²"][0] > 100 * from_four["without T²"][-1],
)
claim(
    "With T², the gradient is 2 to 5 times that of the labels from T = 4 to T = 64.",
    all(2 < size / gradient.norm() < 5 for size in from_four["with T²"]),
)
claim(
    "The loss agrees with torch's own kl_div.",
    torch.allclose(
        soft_loss(first, said[:500], 4.0),
        16
        * nn.functional.kl_div(
            (first / 4).log_softmax(1),
            (said[:500] / 4).log_softmax(1),
            reduction="batchmean",
            log_target=True,
        ),
        rtol=1e-4,
    ),
)

# %% question="distillation.too_strong"
answer = None
### BEGIN SOLUTION
answer = 0.01
### END SOLUTION
question("distillation.too_strong", answer)

# %% [markdown]
# ## 4. Distil a network yourself
#
# The training loop is the same as for labels. You only pass in two things: a *loss* that takes the teacher's logits,
# and a *loader* that delivers them together with the labels.
#
# ```python
# training.fit(
#     model,
#     pictures,
#     loss=distillation.distillation_loss(temperature=4, soft_share=0.9),
#     loader=distillation.cached_teacher_loader(teacher, split, pictures, folder),
# )
# ```
#
# The teacher never changes, so it only has to compute each picture once. `cached_teacher_loader` runs it once and
# stores its logits in a file. The file is memory-mapped, so even the logits of millions of pictures do not fill your
# memory. The file's name depends on the teacher and on the pictures: if you change either, the teacher runs again.
# Let's count on how many pictures it runs:

# %% tags=["fold"]
# Numbers: a counter of the pictures on which the teacher runs
folder = Path(tempfile.mkdtemp())
few = pictures.train[:1_000]
asked = []
counter = teacher.register_forward_hook(
    lambda module, inputs, output: asked.append(len(inputs[0]))
)
changed = copy.deepcopy(teacher)
with torch.no_grad():
    changed.head.bias[0] += 1e-3

# %%
distillation.cached_logits(teacher, few, pictures, folder)
distillation.cached_logits(teacher, few, pictures, folder)
computed = [sum(asked)]
distillation.cached_logits(changed, few, pictures, folder)  # another bias
computed.append(sum(asked))
distillation.cached_logits(teacher, pictures.train[1:1_001], pictures, folder)
computed.append(sum(asked))

# %% tags=["fold"]
# Numbers: files of the cache
counter.remove()
files = list(folder.iterdir())
print(f"{len(files)} files of {files[0].stat().st_size:,} bytes each")

# %%
# Claims: the cache of the teacher's logits
claim(
    "Two calls for the same 1,000 pictures run the teacher on 1,000 pictures.",
    computed[0] == 1_000,
)
claim("After a change to one bias, the teacher runs again.", computed[1] == 2_000)
claim("The teacher runs again for other pictures, too.", computed[2] == 3_000)

# %% [markdown]
# ### Few labels, many pictures
#
# Now try the case where distillation helps most
# ([Buciluă, Caruana & Niculescu-Mizil 2006](https://doi.org/10.1145/1150402.1150464), before it had its name). Somebody
# has trained a good teacher. *You* have many pictures, but labels for only 1,000 of them. Train three students with the
# same initial weights. Each sees 18,000 pictures, in 141 to 144 steps:
#
# 1. the 1,000 labelled pictures, 18 times, with their **labels**;
# 2. the same 1,000 pictures, 18 times, with the **teacher**;
# 3. 18,000 other pictures, once, with the **teacher** and without labels. (Here they are drawn for you; in practice you
#    would collect them.)
#
# By how many points will the third student beat the first?

# %%
predict("teacher without labels, compared with 1,000 labels", unit="points")

# %%
unlabelled = data.Split(*draw_shapes(18_000, seed=1_000))
soft = distillation.distillation_loss(temperature=4.0, soft_share=1.0)
ways = {
    "1,000 labels": (few, None),
    "the same 1,000, teacher": (few, soft),
    "18,000 unlabelled, teacher": (unlabelled, soft),
}


# %%
def student_of(split, loss, name):
    """A `MyNet` that has seen 18,000 pictures, with the teacher if it has a loss."""
    torch.manual_seed(0)
    model = models.MyNet().to(memory_format=torch.channels_last)
    loader = loss and distillation.cached_teacher_loader(
        teacher, split, pictures, folder, batch_size=128
    )
    recipes.one_cycle(
        model,
        pictures,
        epochs=18_000 // len(split),
        peak=4e-3,
        steps_per_epoch=-(-len(split) // 128),
        loss=loss,
        loader=loader,
        train=split,
        description=name,
    )
    return model


# %% tags=["fold", "nbval-ignore-output"]
# Answer: teacher without labels, compared with 1,000 labels
small, on_its_own = {}, None
for name, (split, loss) in ways.items():
    model = student_of(split, loss, name)
    small[name] = training.evaluate(model, pictures.test, pictures)
    # Only of the first student.
    on_its_own = on_its_own or training.evaluate(model, few, pictures).accuracy
gains = {
    name: measure.proportion_difference(small["1,000 labels"].correct, seen.correct)
    for name, seen in list(small.items())[1:]
}
gain = gains["18,000 unlabelled, teacher"]

reveal(
    "teacher without labels, compared with 1,000 labels",
    gain.estimate,
    gain.low,
    gain.high,
    because="The student memorises a small number of pictures. What it lacks is not "
    "better targets but more pictures, and the teacher can label any of them.",
)

# %% tags=["fold", "nbval-ignore-output"]
# Table: accuracy of the three students
rows = [
    [name, f"{seen.accuracy:.1f} %", gains.get(name) and f"{gains[name]}"]
    for name, seen in small.items()
]
display(Table(rows, ["student of", "accuracy", "points above 1,000 labels"]))

# %%
# Claims: few labels, many pictures
claim(
    "The third student is more than 10 points above the first, interval included.",
    gain.low > 10,
)
claim(
    "The second student, on the same pictures, is at most 6 points above the first.",
    gains["the same 1,000, teacher"].estimate < 6,
)
claim(
    "On its own 1,000 pictures, the first student is more than 20 points better than "
    "on the test pictures.",
    on_its_own > small["1,000 labels"].accuracy + 20,
)

# %% [markdown] tags=["tells"]
# From the first student to the second, only the targets change; from the second to the third, only the pictures. On the
# *same* pictures the teacher helps by a few points at most. On *other* pictures the same teacher helps by more than
# ten. (This is one seed, so the intervals cover only the choice of test pictures.)

# %% [markdown]
# ## 5. Did it help?
#
# Train a network twice with different seeds, and you get two accuracies. In this lesson they differ by a few tenths of
# a point to more than one point: as much as many methods claim to gain. So use several seeds and compare in *pairs*:
# train with and without the method, from the same initial weights and on the same order of pictures. Then compute an
# interval for the mean difference $\bar d$, the *paired t interval*. For three pairs it is
#
# $$\bar d \pm 4.303\, s/\sqrt{3}.$$
#
# Here $s$ is the sample standard deviation of the three differences (divided by $n-1=2$, as `torch.std` and
# `statistics.stdev` do), and 4.303 is Student's $t$ for a two-sided 95 % interval with 2 degrees of freedom.
#
# **Exercise (3 points).** Judge a table of results: "gain" if the whole interval is above 0, "loss" if it is below 0,
# and "not shown" otherwise.


# %% exercise="distillation.verdicts"
def verdicts(alone, methods):
    """One verdict per method: "gain", "loss" or "not shown".

    alone: three accuracies of the plain student, one per seed.
    methods: a list of such lists, in the same order of seeds.

    >>> verdicts([90.0, 91.0, 92.0], [[92.0, 93.0, 94.1], [96.0, 91.0, 92.0]])
    ['gain', 'not shown']
    """
    ### BEGIN SOLUTION
    answers = []
    for accuracies in methods:
        gains = torch.tensor(accuracies) - torch.tensor(alone)
        mean, reach = (
            gains.mean().item(),
            4.303 * gains.std().item() / len(gains) ** 0.5,
        )
        answers.append(
            "gain" if mean - reach > 0 else "loss" if mean + reach < 0 else "not shown"
        )
    return answers
    ### END SOLUTION


# %%
check("distillation.verdicts", verdicts)

# %% [markdown]
# Now apply this to the clothes of the other lessons. `MyNet` is trained for 8 epochs on Fashion-MNIST, with three seeds
# and in three ways:
#
# - with labels;
# - with Hinton's loss (T = 4, α = 0.9) and the teacher for clothes that ships with the course;
# - with *label smoothing* as a control: a tenth of the label's probability is spread over all classes. A smoothed label
#   is a soft target without any knowledge. So only a gain beyond label smoothing comes from what the teacher knows.
#
# A teacher itself should not be trained with label smoothing, which erases the similarities between wrong classes
# ([Müller et al. 2019](https://arxiv.org/abs/1906.02629)). The teacher for shapes was trained without it; the one for
# clothes was trained with a smoothing of 0.05.
#
# The runs take minutes, so their results are recorded in `data/recorded/`. `nnopt record distillation_fashion` makes
# this recording again, and `LIVE = True` runs all experiments of this lesson on your machine (about two hours on one
# core).
#
# By how many points will the student with the teacher beat the one with labels?

# %%
predict("teacher compared with labels, clothes", unit="points")

# %%
LIVE = False
clothes = recorded("distillation_fashion", live=LIVE)["result"]
verdicts = yours_or_ours("distillation.verdicts")


# %% tags=["fold"]
# Numbers: functions that compute and show gains over the control
def ahead(alone, accuracies):
    """A method's gain over the control: mean, verdict, and ends of the interval."""
    gains = torch.tensor(accuracies) - torch.tensor(alone)
    mean, reach = gains.mean().item(), 4.303 * gains.std().item() / len(gains) ** 0.5
    return mean, verdicts(alone, [accuracies])[0], mean - reach, mean + reach


def gains_over(results, control="labels"):
    """Each method's gain over the control."""
    return {
        name: ahead(results[control], accuracies)
        for name, accuracies in results.items()
        if name != control
    }


def rows_of(results, control="labels"):
    """The rows of a table: the control, then each method with its gain."""
    mean = {name: f"{sum(of) / len(of):.2f} %" for name, of in results.items()}
    rows = [[control, mean[control], None, None, None]]
    for name, (gain, verdict, low, high) in gains_over(results, control).items():
        interval = f"{low:+.2f} to {high:+.2f}"
        rows.append([name, mean[name], f"{gain:+.2f}", interval, verdict])
    return rows


def heads_of(control="labels"):
    return ["targets", "mean", f"points above “{control}”", "95 % interval", "verdict"]


def show_gains(results, control="labels", caption="", teacher=None):
    """Show each method's gain over the control as a table."""
    rows = rows_of(results, control)
    if teacher is not None:
        rows.insert(0, ["teacher", f"{teacher:.2f} %", None, None, None])
    display(Table(rows, heads_of(control), caption))


# %%
on_clothes = gains_over(clothes["accuracy"])

# %%
# Answer: teacher compared with labels, clothes
reveal(
    "teacher compared with labels, clothes",
    on_clothes["Hinton"][0],
    *on_clothes["Hinton"][2:],
    because="The teacher is only 1.4 points better than the student with labels. So "
    "there is little to gain, and three seeds cannot show a part of so little.",
)

# %% tags=["tells"]
show_gains(clothes["accuracy"], teacher=clothes["teacher"])

# %% [markdown] tags=["tells"]
# So the right answer here is: *no gain that the data can show*. The mean is 0.1 points higher, the interval goes from
# −0.4 to +0.6, and label smoothing, which knows nothing, does just as well. This does not prove that there is no gain.
# It says that the gain is smaller than about 0.6 points, or that you need more seeds.
#
# Why so little? The teacher is only 1.4 points better. More than half of its mistakes involve shirts, which look like
# T-shirts, coats and dresses, and no teacher can see in 28×28 grey pixels what is not there. The shapes are different:
# the teacher classifies 99 % of them correctly, so the pictures contain all the information. Yet a `MyNet` trained on
# their labels is more than ten points behind (section 7). A teacher can only pass on what it knows better than the
# student, and only as much as the student can hold.

# %% tags=["fold"]
# Claims: labels compared with teachers
gap = clothes["teacher"] - sum(clothes["accuracy"]["labels"]) / 3
*_, low, high = on_clothes["Hinton"]
wardrobe, clothes_teacher = data.load("fashion"), models.trained("teacher")
some = wardrobe.test[:2_000]
mistaken = ~training.evaluate(clothes_teacher, some, wardrobe).correct
with measure.inference(clothes_teacher):
    answers = clothes_teacher(wardrobe.to_input(some.images[mistaken])).argmax(1)
shirt = wardrobe.classes.index("shirt")
about_shirts = (answers == shirt) | (some.labels[mistaken] == shirt)
claim(
    "No method shows a gain or a loss on clothes.",
    all(verdict == "not shown" for _, verdict, *_ in on_clothes.values()),
)
claim(
    "On clothes, the teacher is 1.4 points above the student with labels.",
    round(gap, 1) == 1.4,
)
claim(
    "More than half of the teacher's mistakes on clothes involve shirts.",
    about_shirts.float().mean() > 0.5,
)
claim(
    "The mean of Hinton's loss is 0.1 points above that of the labels.",
    round(on_clothes["Hinton"][0], 1) == 0.1,
)
claim(
    "The interval of Hinton's loss goes from −0.4 to +0.6.",
    (round(low, 1), round(high, 1)) == (-0.4, 0.6),
)
claim(
    "The mean of label smoothing is 0.1 points above that of the labels, too.",
    round(on_clothes["label smoothing"][0], 1) == 0.1,
)
spreads = [
    max(accuracies) - min(accuracies)
    for name in ("fashion", "methods", "pictures")
    for accuracies in recorded(f"distillation_{name}")["result"]["accuracy"].values()
]
claim(
    "Three seeds of the same training differ by less than half a point to more than "
    "one point.",
    min(spreads) < 0.5 and max(spreads) > 1,
)

# %% [markdown]
# ## 6. Other losses
#
# ### Decoupled targets
#
# You can split the divergence into two parts: how much probability the true class gets (TCKD, for target class
# knowledge distillation), and how the other classes share the rest (NCKD, for non-target classes). Hinton's loss turns
# out to weight the second part by $1 - p_\text{true}$, where $p_\text{true}$ is the teacher's probability of the true
# class. So the more confident the teacher is, the less the student learns about the other classes. *Decoupled
# distillation* gives each part a weight that you choose ([Zhao et al. 2022](https://arxiv.org/abs/2203.08679)).
#
# **Exercise (3 points).** Compute what the two parts are made of: the probability of the true class, and the shares of
# the other classes in the rest. The plot below then shows how little weight Hinton's loss gives to the second part.


# %% exercise="distillation.decoupled"
def target_and_others(logits, labels):
    """Probability of the true class, and shares of the other classes.

    logits: float [N, classes], before the softmax. labels: int64 [N], the true classes.
    Returns float [N] and float [N, classes]. The second is 0 for the true class, and
    each of its rows sums to 1.

    >>> target_and_others(torch.tensor([[1.0, 4.0, 3.0]]).log(), torch.tensor([1]))
    (tensor([0.5000]), tensor([[0.2500, 0.0000, 0.7500]]))
    """
    ### BEGIN SOLUTION
    p = logits.softmax(1)
    true = p.gather(1, labels[:, None]).squeeze(1)
    others = p.scatter(1, labels[:, None], 0.0)
    return true, others / (1 - true)[:, None]
    ### END SOLUTION


# %%
check("distillation.decoupled", target_and_others)

# %% tags=["fold"]
# Plot and claims: the weight of NCKD
target_and_others = yours_or_ours("distillation.decoupled")
labels = pictures.test.labels[:500]
warm_student, warm_teacher = first / 4, said[:500] / 4
(true_q, others_q), (true_p, others_p) = (
    target_and_others(z, labels) for z in (warm_student, warm_teacher)
)
wrong = others_p > 0
tckd = (
    true_p * (true_p / true_q).log()
    + (1 - true_p) * ((1 - true_p) / (1 - true_q)).log()
)
nckd = torch.where(
    wrong, others_p * (others_p.clamp_min(1e-30) / others_q.clamp_min(1e-30)).log(), 0.0
).sum(1)
whole = soft_loss(first, said[:500], 4.0)
rest = 1 - true_p
claim(
    "TCKD + (1 − p of the true class) · NCKD is Hinton's loss.",
    torch.allclose(16 * (tckd + rest * nckd).mean(), whole, rtol=1e-3),
)
claim("The median weight of NCKD is below a quarter.", rest.median() < 0.25)
fig, ax = plots.figure(height=3)
ax.hist(rest.numpy(), 40, color=plots.ORANGE)
ax.set(
    xlabel="weight of NCKD in Hinton's loss at T = 4: 1 − p of the true class",
    ylabel="pictures",
)
plots.finish(
    fig,
    "A histogram: for most pictures the other classes have a small weight in the loss.",
    trained="xy",
)

# %% [markdown]
# What to see: most pictures are far on the left, where the part about the other classes has little weight.
#
# ### Hints and attention
#
# The teacher's inner layers know something, too. With *hints* (FitNets,
# [Romero et al. 2015](https://arxiv.org/abs/1412.6550)), one of the student's layers learns to reproduce one of the
# teacher's. The two may have different numbers of channels, so an *adapter*, a 1×1 convolution, translates between
# them. It is trained together with the student and then dropped. *Attention transfer*
# ([Zagoruyko & Komodakis 2017](https://arxiv.org/abs/1612.03928)) asks for less: the student only learns *where* the
# teacher's layer responds.
#
# **Exercise (2 points).** Compute where a layer responds: one number per position, for all channels together. Vectors of
# norm 1 can be compared even if one network has larger activations.


# %% exercise="distillation.attention_map"
def attention_map(features):
    """Squares summed over channels, flattened to vectors of L2 norm 1.

    features: float [N, C, H, W] → float [N, H·W].

    >>> attention_map(torch.tensor([[[[1.0, 2.0]], [[-1.0, 0.0]], [[1.0, 0.0]]]]))
    tensor([[0.6000, 0.8000]])
    """
    ### BEGIN SOLUTION
    flat = features.square().sum(1).flatten(1)
    return flat / flat.norm(dim=1, keepdim=True)
    ### END SOLUTION


# %%
check("distillation.attention_map", attention_map)

# %% tags=["fold"]
# Plot: attention maps of teacher and student
attention_map = yours_or_ours("distillation.attention_map")
places = [3, 6, 13, 9]
some = pictures.to_input(pictures.test.images[places])
watches = {
    "teacher": (teacher, distillation.Watch(teacher, ["stages.1"]), "stages.1"),
    "student": (student, distillation.Watch(student, ["features.5"]), "features.5"),
}
maps = {}
for name, (model, watch, layer) in watches.items():
    with measure.inference(model):
        model(some)
    maps[name] = attention_map(watch[layer]).reshape(len(places), 8, 8)

fig, axes = plots.figure(nrows=3, ncols=len(places), height=5.4)
for column, place in enumerate(places):
    axes[0][column].imshow(pictures.test.images[place].permute(1, 2, 0))
    axes[0][column].set_title(pictures.classes[pictures.test.labels[place]])
    for row, name in enumerate(maps, start=1):
        axes[row][column].imshow(maps[name][column], cmap="magma")
for row, name in enumerate(("picture", *maps)):
    axes[row][0].set_ylabel(name)
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
plots.finish(
    fig,
    "Four pictures with 8×8 attention maps of teacher and student, which respond to "
    "different parts.",
    trained="xy",
)

# %% [markdown]
# What to see: below each picture are the map of the teacher's second stage and that of the student's second pooling,
# both with 8×8 positions. Bright positions are those where the channels respond strongly. The two networks respond to
# different parts of the pictures.

# %%
# Claims: attention maps
claim(
    "Each map has an L2 norm of 1.",
    torch.allclose(
        torch.stack(list(maps.values())).flatten(2).norm(dim=2), torch.ones(2, 4)
    ),
)

# %% [markdown]
# ### Does any of these losses help?
#
# Back to the shapes, with three seeds. To be fair to the labels, every method now trains on *views*: ten flipped and
# shifted copies of each of the 9,000 pictures, three times over. The teacher ran once on each of the 90,000 views, so
# student and teacher always see exactly the same picture. "Born again" is a `MyNet` whose teacher is a `MyNet`, too
# ([Furlanello et al. 2018](https://arxiv.org/abs/1805.04770)).

# %%
methods = recorded("distillation_methods", live=LIVE)["result"]
of_method = gains_over(methods["accuracy"])
show_gains(methods["accuracy"], teacher=methods["teacher"])

# %% tags=["fold"]
# Plot: accuracy of the labels and six other losses
fig, ax = plots.figure(height=3.6)
colors = {
    name: plots.REFERENCE if name == "labels" else plots.BLUE
    for name in methods["accuracy"]
}
plots.seeds(ax, methods["accuracy"], colors)
plots.reference_line(ax, sum(methods["accuracy"]["labels"]) / 3, "mean of labels")
violet = plots.color_of("teacher")
ax.axvline(methods["teacher"], color=violet, label="teacher")
ax.set(xlabel="test accuracy, %")
plots.legend(fig)
plots.finish(
    fig,
    "Accuracy per method, a dot per seed: label smoothing gains as much as Hinton's "
    "loss; the teacher is far ahead.",
)

# %% [markdown]
# What to see: each dot is one seed, and a mark is the mean of three. Compare every method with the control, label
# smoothing, not only with the labels (grey).
#
# The student with Hinton's loss is 1.3 points above the labels on average, and three seeds cannot show that this is
# more than luck. *Label smoothing*, which knows nothing, is 1.4 points above them. So this table cannot distinguish a
# teacher from a smoothed label. Probably any target softer than a label keeps the student from memorising 9,000
# pictures.
#
# One gain is shown: Hinton's loss *with a hint*, 2.0 points (0.8 to 3.2). Compared with label smoothing, even that is
# not shown. Besides, in about one out of four tables with six such intervals, at least one interval misses the true
# value.
#
# Decoupled targets (with the weights of their paper) and attention (one layer, a weight of 100) have lower means than
# plain Hinton; neither was tuned. A born-again `MyNet` shows no gain either. It is 2.0 points (1.1 to 2.9) below the
# student with Hinton's loss, and this difference is shown: here it does matter who the teacher is. (The paper on
# born-again networks found gains with larger networks.)

# %% tags=["fold"]
# Claims: what the losses gain
averages = {name: sum(values) / 3 for name, values in methods["accuracy"].items()}
accuracies = methods["accuracy"]
gained = [
    round(of_method[name][0], 1)
    for name in ("Hinton", "label smoothing", "Hinton + hint")
]
shown_gains = [
    name for name, (_, verdict, *_) in of_method.items() if verdict == "gain"
]
mean, _, low, high = ahead(accuracies["born again"], accuracies["Hinton"])
claim(
    "The only gain over labels that is shown is Hinton's loss with a hint.",
    shown_gains == ["Hinton + hint"],
)
claim(
    "Compared with label smoothing, the gain of the hint is not shown.",
    verdicts(accuracies["label smoothing"], [accuracies["Hinton + hint"]])
    == ["not shown"],
)
claim(
    "Born again is 2.0 points (1.1 to 2.9) below Hinton.",
    [round(x, 1) for x in (mean, low, high)] == [2.0, 1.1, 2.9],
)
claim(
    "Hinton is 1.3 points above labels, smoothing 1.4, Hinton with a hint 2.0.",
    gained == [1.3, 1.4, 2.0],
)
claim(
    "The interval of Hinton with a hint goes from 0.8 to 3.2.",
    [round(end, 1) for end in of_method["Hinton + hint"][2:]] == [0.8, 3.2],
)
claim(
    "The mean of label smoothing is at least as high as Hinton's.",
    averages["label smoothing"] >= averages["Hinton"],
)
claim(
    "No difference is shown between label smoothing and Hinton.",
    verdicts(accuracies["label smoothing"], [accuracies["Hinton"]]) == ["not shown"],
)
claim(
    "At least one of six intervals misses the true value in about one table out of "
    "four.",
    round(1 - 0.95**6, 2) == 0.26,
)
claim(
    "Decoupled, attention and born again have lower means than Hinton.",
    max(averages[name] for name in ("decoupled", "Hinton + attention", "born again"))
    < averages["Hinton"],
)

# %% [markdown]
# ## 7. Which pictures?
#
# As section 4 suggested, it matters more *which pictures* the teacher labels. This experiment compares three sets of
# pictures, again with three seeds. Each run sees 270,000 pictures:
#
# - "own": the 9,000 training pictures as they are, 30 times;
# - "views": ten views of each (section 6), three times;
# - "drawn": 90,000 new pictures of shapes, three times.
#
# Each set is used with labels and with the teacher. On the training pictures and their views, α is 0.9. On the drawn
# pictures, the teacher is alone (α = 1), and one of these students ships with the course.
#
# To test how far "no labels" can go, there is a fourth set: 18,000 pictures of clothes. The teacher says which shapes
# they are.
#
# Consider the gap between `MyNet` with labels on views and the teacher. One student learned from the teacher on drawn
# pictures and never saw a label. How much of the gap does it close?

# %%
predict("share of the gap closed without labels", unit="%")

# %%
by_pictures = recorded("distillation_pictures", live=LIVE)["result"]

# %% tags=["fold"]
# Answer: share of the gap closed without labels
table = {
    "own, labels": by_pictures["accuracy"]["own, labels"],
    "own, teacher": by_pictures["accuracy"]["own, teacher"],
    "views, labels": methods["accuracy"]["labels"],
    "views, teacher": methods["accuracy"]["Hinton"],
    "drawn, labels": by_pictures["accuracy"]["drawn, labels"],
    "drawn, teacher": by_pictures["accuracy"]["drawn, teacher"],
    "clothes, teacher": by_pictures["accuracy"]["clothes, teacher"],
}
mean = {name: sum(values) / len(values) for name, values in table.items()}

closed = (
    100
    * (mean["drawn, teacher"] - mean["views, labels"])
    / (by_pictures["teacher"] - mean["views, labels"])
)
closed_of_own = (
    100
    * (mean["drawn, teacher"] - mean["own, labels"])
    / (by_pictures["teacher"] - mean["own, labels"])
)
reveal(
    "share of the gap closed without labels",
    closed,
    because="The teacher's output for a new picture is worth about as much as a label. "
    "With true labels the drawn pictures do just as well: what MyNet lacked was "
    "neither size nor soft targets, but pictures.",
)

# %% tags=["tells"]
show_gains(table, control="views, labels")

# %% tags=["fold"]
# Plot: accuracy by pictures and targets
fig, ax = plots.figure(height=3.6)
colors = {
    name: plots.REFERENCE if name.endswith("labels") else plots.BLUE for name in table
}
runs = {name: values for name, values in table.items() if "clothes" not in name}
plots.seeds(ax, runs, colors)
ax.axvline(by_pictures["teacher"], color=violet, label="the teacher's own accuracy")
ax.set(xlabel="test accuracy, %")
plots.legend(fig)
plots.finish(
    fig,
    "Accuracy by the pictures trained on: drawn pictures bring labels and teacher "
    "equally close to the teacher's accuracy.",
)

# %% [markdown]
# What to see: each dot is one seed. On the drawn pictures, labels (grey) and teacher (blue) are equally good and
# closest to the violet line. (The fourth set is far to the left of this plot.)

# %% tags=["fold"]
# Table and claims: the share of the gap that is closed
closed_of_smoothed = 100 * (mean["drawn, teacher"] - averages["label smoothing"])
closed_of_smoothed /= by_pictures["teacher"] - averages["label smoothing"]
display(
    Table(
        [
            ["labels on views", f"{closed:.0f} %"],
            ["smoothed labels on views", f"{closed_of_smoothed:.0f} %"],
            ["labels on the 9,000", f"{closed_of_own:.0f} %"],
        ],
        ["compared with", "share of the gap closed"],
    )
)
own, drawn = (
    [table[f"{where}, {way}"] for way in ("labels", "teacher")]
    for where in ("own", "drawn")
)
drawn_means = [round(mean[f"drawn, {way}"], 1) for way in ("teacher", "labels")]
claim(
    "Without a label, at least half of the gap closes, even if it is measured from "
    "smoothed labels.",
    closed_of_smoothed >= 50,
)
claim(
    "On the 9,000 pictures as they are, the teacher's gain of 4.3 points is shown.",
    verdicts(own[0], [own[1]]) == ["gain"]
    and round(mean["own, teacher"] - mean["own, labels"], 1) == 4.3,
)
claim(
    "On drawn pictures, no difference between labels and teacher is shown.",
    verdicts(drawn[0], [drawn[1]]) == ["not shown"],
)
claim(
    "With labels, views instead of the pictures as they are gain 7 points.",
    round(mean["views, labels"] - mean["own, labels"]) == 7,
)
claim(
    "On drawn pictures, the teacher reaches 97.5 % and labels reach 97.4 %.",
    drawn_means == [97.5, 97.4],
)
claim(
    "With the teacher on pictures of clothes, the student reaches 18 %.",
    round(mean["clothes, teacher"]) == 18,
)
claim(
    "With labels on the 9,000, MyNet is more than ten points below the teacher.",
    by_pictures["teacher"] - mean["own, labels"] > 10,
)

# %% [markdown] tags=["tells"]
# Four results:
#
# - **On the 9,000 pictures as they are**, the teacher gains 4.3 points, and the gain is shown. The student memorises
#   these pictures, and soft targets probably make that harder.
# - **Views** gain 7 points without any teacher. On them, the teacher's gain of 1.3 points is no longer shown. Compare
#   distillation with a well-trained student, or you measure only that augmentation was missing.
# - **On new pictures**, a teacher is worth as much as labels: 97.5 and 97.4 %. But labels cost somebody's time, and the
#   teacher's outputs cost seconds of processor time. This is where at least half of the gap closes.
# - **On pictures of clothes**, the student learns little: it reaches 18 % on shapes, and guessing gives 10 %. The
#   pictures need no labels, but they must resemble those that the network will see in use.

# %% question="distillation.try_first"
choice = None
### BEGIN SOLUTION
choice = "c"
### END SOLUTION
question("distillation.try_first", choice)

# %% [markdown]
# ## 8. Size of the teacher, and temperature
#
# Two common statements: a student can be too small for its teacher
# ([Mirzadeh et al. 2020](https://arxiv.org/abs/1902.03393) put a network of medium size between the two), and you must
# search for the temperature. This experiment tries two students (the tiny one has 17,154 parameters) with three
# teachers (20,000, 78,000 and 309,000 parameters) and three seeds. Each run is one pass over the 90,000 views, a third
# of the training of section 6, so all accuracies are lower.

# %%
sizes = recorded("distillation_sizes", live=LIVE)["result"]
heat = recorded("distillation_temperatures", live=LIVE)["result"]
for name, accuracies in sizes["accuracy"].items():
    show_gains(accuracies, caption=f"Student: {name}")

# %% tags=["fold"]
# Plot: the teacher's size and the temperature
fig, (left, right) = plots.figure(ncols=2)
of_size = [known["accuracy"] for known in sizes["teachers"].values()]
own = plots.series_colors(sizes["accuracy"])
for name, accuracies in sizes["accuracy"].items():
    gained = [
        [b - a for a, b in zip(accuracies["labels"], accuracies[t], strict=True)]
        for t in sizes["teachers"]
    ]
    plots.band(left, of_size, list(zip(*gained, strict=True)), name, own[name])
plots.reference_line(left, 0, across=True)
left.set(
    xlabel="accuracy of the teacher, %",
    ylabel="points above labels",
    title="the teacher",
)
plots.band(
    right,
    heat["temperatures"],
    list(zip(*heat["accuracy"], strict=True)),
    "MyNet",
    own["MyNet"],
)
right.set(xlabel="temperature T", ylabel="test accuracy, %", title="the temperature")
plots.log_axis(right.xaxis, heat["temperatures"])
plots.legend(fig)
plots.finish(
    fig,
    "Gain over labels rises with the teacher's accuracy for both students; the "
    "temperature matters little.",
)

# %% [markdown]
# What to see: on the left, both curves rise with the accuracy of the teacher. On the right, the mean stays within about
# a point. Bands go from the lowest to the highest seed.
#
# No teacher is shown to be *too strong*: for both students, the mean rises with the teacher. With every teacher, the
# tiny student's mean is below that with labels, but no loss is shown. What is shown is a teacher that is too *weak*.
# With the small one (20,000 parameters, trained for longer), `MyNet` is 2.3 points worse than with labels. Yet this
# teacher's accuracy is 93 %, 6 points more than that of `MyNet` after one pass. Probably the student learns its
# mistakes, too. The gain from the best teacher is not shown after such short training: soft targets probably pay off
# when a student has enough time to memorise.
#
# The temperatures from 1 to 16 are within 1.1 points of each other, and no difference is shown between the two ends. At
# least for short training, temperature is not the first thing to search for.

# %% tags=["fold"]
# Claims: the teacher's size and the temperature
of_teacher_size = {
    name: [sum(ways[size]) / 3 for size in sizes["teachers"]]
    for name, ways in sizes["accuracy"].items()
}
with_labels = sizes["accuracy"]["MyNet"]["labels"]
tiny = sizes["accuracy"]["tiny"]
small_teacher = sizes["teachers"]["small"]["accuracy"]
of_heat = [sum(values) / 3 for values in heat["accuracy"]]
claim(
    "For both students, the mean rises with the teacher.",
    all(v == sorted(v) for v in of_teacher_size.values()),
)
claim(
    "MyNet is 2.3 points worse with the small teacher, and this loss is shown.",
    verdicts(with_labels, [sizes["accuracy"]["MyNet"]["small"]]) == ["loss"]
    and round(sum(with_labels) / 3 - of_teacher_size["MyNet"][0], 1) == 2.3,
)
claim(
    "No difference is shown between temperatures 1 and 16.",
    verdicts(heat["accuracy"][0], [heat["accuracy"][-1]]) == ["not shown"],
)
claim(
    "With every teacher, the tiny student's mean is below that with labels.",
    max(of_teacher_size["tiny"]) < sum(tiny["labels"]) / 3,
)
claim(
    "None of the tiny student's losses is shown.",
    verdicts(tiny["labels"], [tiny[size] for size in sizes["teachers"]])
    == ["not shown"] * 3,
)
claim("The small teacher's accuracy is 93 %.", round(small_teacher) == 93)
claim(
    "The small teacher is 6 points more accurate than MyNet with labels.",
    round(small_teacher - sum(with_labels) / 3) == 6,
)
claim(
    "The gain from the best teacher is not shown.",
    verdicts(with_labels, [sizes["accuracy"]["MyNet"]["shipped"]]) == ["not shown"],
)
claim(
    "All temperatures are within 1.1 points of each other.",
    round(max(of_heat) - min(of_heat), 1) <= 1.1,
)

# %% [markdown]
# ## 9. Distil into a pruned or quantised network
#
# Compression costs accuracy, and further training wins it back. This experiment compresses the shipped student in three
# ways:
#
# - 95 % of its weights pruned;
# - weights of 2 bits, but 8 in the first and the last layer;
# - half of its channels removed, and weights of 4 bits.
#
# Each is then trained for one pass over the 90,000 views: with "labels", with the network from before the compression
# as its teacher ("itself"), or with the large "teacher". Since section 7 showed what matters, there is a fourth way:
# the large teacher and 90,000 new pictures without labels. As a control, the network gets the same training
# "uncompressed".
#
# For the 2-bit network, by how many points will the teacher on new pictures beat the labels?

# %%
predict("teacher on new pictures compared with labels, 2 bits", unit="points")

# %%
compressed = recorded("distillation_compressed", live=LIVE)["result"]
recovered = {
    kind: gains_over(accuracies) for kind, accuracies in compressed["accuracy"].items()
}

# %%
# Answer: teacher on new pictures compared with labels, 2 bits
reveal(
    "teacher on new pictures compared with labels, 2 bits",
    recovered["quantised"]["teacher, new pictures"][0],
    *recovered["quantised"]["teacher, new pictures"][2:],
    because="As in section 7: on pictures that the network knows, the teacher adds "
    "nothing to the labels. On new ones it does.",
)

# %% tags=["fold"]
# Table: accuracy after compression
print(f"before: {compressed['before']} %")
rows = []
for kind, accuracies in compressed["accuracy"].items():
    group = f"{kind}: {compressed['compressed'][kind]} % before"
    rows += [[group, *row] for row in rows_of(accuracies)]
Table(rows, ["network", *heads_of()])

# %% tags=["fold"]
# Plot: accuracy after compression
fig, axes = plots.figure(2, 2, sharex=True, sharey=True, height=4.6)
colors = {"labels": plots.REFERENCE, "itself": plots.BLUE, "teacher": violet}
colors["teacher, new pictures"] = plots.ORANGE
for ax, (kind, accuracies) in zip(
    axes.flat, compressed["accuracy"].items(), strict=True
):
    plots.seeds(ax, accuracies, colors, reference=compressed["before"])
    ax.set(title=kind)
fig.supxlabel("test accuracy, % (dashed: before compression)", fontsize=10)
plots.finish(
    fig,
    "Accuracy after compression in four panels: the teacher on new pictures leads "
    "when it is quantised or halved.",
)

# %% [markdown]
# What to see: each dot is one seed. In the lower row (2 bits on the left, half of the channels on the right), orange,
# the teacher on new pictures, is ahead.

# %% [markdown] tags=["tells"]
# Each of the four ways wins back nearly all of what compression lost, in one pass. On the views, no teacher is shown to
# be better than the labels, and for the pruned network the large teacher is worse by half a point. The network's own
# uncompressed version, the usual teacher in papers on compression, shows no gain for any compressed network.
#
# *On new pictures*, the teacher is 1.0 points above the labels at 2 bits, and 0.9 with half of the channels and 4 bits.
# For the pruned network its gain is not shown. This is how the three techniques work together: `MyNet` at 2 bits,
# trained without a label, classifies 97.3 % of the shapes correctly. The float `MyNet` with labels on views had about
# 93.5 %.

# %% tags=["fold"]
# Claims: distilling into compressed networks
means = {
    kind: {way: sum(v) / 3 for way, v in ways.items()}
    for kind, ways in compressed["accuracy"].items()
}
compressed_kinds = ("pruned", "quantised", "half the channels, 4 bits")
new = "teacher, new pictures"
gained = [
    (round(recovered[kind][new][0], 1), recovered[kind][new][1])
    for kind in compressed_kinds
]
claim(
    "Each way wins back at least nine tenths of what was lost.",
    all(
        mean - compressed["compressed"][kind]
        > 0.9 * (compressed["before"] - compressed["compressed"][kind])
        for kind in compressed_kinds
        for mean in means[kind].values()
    ),
)
claim(
    "On the views, no teacher has a gain that is shown.",
    all(
        recovered[kind][way][1] != "gain"
        for kind in compressed_kinds
        for way in ("itself", "teacher")
    ),
)
claim(
    "On new pictures, gains of 1.0 points (2 bits) and 0.9 (half the channels) are "
    "shown.",
    gained[1:] == [(1.0, "gain"), (0.9, "gain")],
)
claim(
    "For the pruned network, no gain on new pictures is shown.",
    gained[0][1] == "not shown",
)
claim(
    "For the pruned network, the large teacher's loss on views is shown: half a point.",
    recovered["pruned"]["teacher"][1] == "loss"
    and round(-2 * recovered["pruned"]["teacher"][0]) == 1,
)
claim(
    "At 2 bits, trained without labels, MyNet reaches 97.3 %.",
    round(means["quantised"][new], 1) == 97.3,
)
claim(
    "As floats, with labels on views, MyNet reaches about 93.5 %.",
    abs(averages["labels"] - 93.5) < 0.1,
)

# %% [markdown]
# ## 10. Playground
#
# Choose a picture; they are sorted, and the first is the one that the teacher doubts most. Watch how the temperature
# and the teacher's share change the target, and where the student disagrees.

# %%
distillation_playground(teacher, student, pictures)

# %% [markdown]
# ## Summary
#
# The last table compares all networks of this lesson. The accuracies of the smaller teachers and of the tiny student
# are the recorded ones of section 8 (one pass for the tiny student).

# %% tags=["fold", "nbval-ignore-output"]
# Table: all networks of this lesson
others = {
    "middle teacher": models.Teacher((16, 32, 64)),
    "small teacher": models.Teacher((8, 16, 32)),
}
tiny_student = models.MyNet((4, 8), hidden=32)
measure.compare(
    {"teacher": teacher, **others, "student": student, "tiny student": tiny_student},
    batch,
    accuracy={
        "teacher": by.accuracy,
        "middle teacher": sizes["teachers"]["middle"]["accuracy"],
        "small teacher": sizes["teachers"]["small"]["accuracy"],
        "student": taught.accuracy,
        "tiny student": of_teacher_size["tiny"][-1],
    },
    rounds=15,
    budget_seconds=2,
)

# %% tags=["fold"]
# Claims: the networks of this section
middle, middle_size = (
    sizes["teachers"]["middle"],
    measure.parameters(others["middle teacher"]).total,
)
claim(
    "The student has 3.4 times as many parameters as the middle teacher.",
    round(268_650 / middle_size, 1) == 3.4,
)
claim(
    "The middle teacher reaches 97 % with labels alone.",
    round(middle["accuracy"]) == 97,
)
counts = [measure.parameters(m).total for m in (*others.values(), teacher)]
claim(
    "The teachers have 20,000, 78,000 and 309,000 parameters, the tiny student 17,154.",
    sorted(round(count, -3) for count in counts) == [20_000, 78_000, 309_000]
    and measure.parameters(tiny_student).total == 17_154,
)

# %% [markdown]
# You can now distil any classifier into a smaller one, judge whether it helped, and decide which pictures to use for
# it.
#
# - **First check another architecture.** The middle teacher reaches 97 % with labels alone, and the student has 3.4
#   times as many parameters. The table gives the time of both.
# - **Distillation is a loss and a loader.** The teacher runs once, and its logits are stored with the labels.
# - **It makes a network better, not faster.** The speed is that of the small network, and the speed-up is smaller than
#   the number of multiplications suggests.
# - **Temperature** shows what the teacher knows about the wrong classes. **T²** keeps the size of the gradient.
# - **Controls** are label smoothing, the same augmentation, and several seeds in pairs. With these controls, most
#   variants show no gain here, and on clothes none does.
# - **More pictures help most.** On new pictures a teacher replaces labels, and at least half of the gap closes.
#
# **In practice.** Many small language models are distilled from a large one
# ([DistilBERT, Sanh et al. 2019](https://arxiv.org/abs/1910.01108), and many since). For pictures, the best results
# come from long training on ever new views, each shown to both teacher and student
# ([Beyer et al. 2022](https://arxiv.org/abs/2106.05237)). This lesson uses ten fixed views, so that the teacher only
# has to run once. For a classifier of your own, `distillation_loss` and `cached_teacher_loader` from
# `nnopt_lab.techniques.distillation` and a folder of unlabelled pictures are enough.
#
# **Further reading.** [Buciluă et al., *Model compression* (2006)](https://doi.org/10.1145/1150402.1150464) ·
# [Hinton, Vinyals & Dean, *Distilling the knowledge in a neural network* (2015)](https://arxiv.org/abs/1503.02531) ·
# [Romero et al., *FitNets* (2015)](https://arxiv.org/abs/1412.6550) ·
# [Zagoruyko & Komodakis, *Paying more attention to attention* (2017)](https://arxiv.org/abs/1612.03928) ·
# [Furlanello et al., *Born-again neural networks* (2018)](https://arxiv.org/abs/1805.04770) ·
# [Müller, Kornblith & Hinton, *When does label smoothing help?* (2019)](https://arxiv.org/abs/1906.02629) ·
# [Mirzadeh et al., *Improved knowledge distillation via teacher assistant* (2020)](https://arxiv.org/abs/1902.03393) ·
# [Zhao et al., *Decoupled knowledge distillation* (2022)](https://arxiv.org/abs/2203.08679) ·
# [Beyer et al., *A good teacher is patient and consistent* (2022)](https://arxiv.org/abs/2106.05237).
#
# **Next:** [10 Parallelism](10_parallelism.ipynb) shares the work between cores and machines.

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()

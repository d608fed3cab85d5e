"""Lesson 13's playground: what a million pictures cost on a card and on a CPU, at a given load."""

from nnopt_lab.course.playground import Playground, choice, slider
from nnopt_lab.lessons.accelerator.exercises import price
from nnopt_lab.workbench import plots
from nnopt_lab.workbench.language import Message, _, joined

EUROS_PER_KWH = 0.30
LOADS = [int(float(f"{10 ** (e / 20):.2g}")) for e in range(20, 141)]  # pictures per second
CARD_EUROS, CPU_EUROS, CARD_WATTS, CPU_WATTS = (0.5, 6.0), (0.1, 2.0), (50, 700), (10, 300)
LARGE = 0.25  # share of the price that is energy


def price_playground(card: dict) -> Playground:
    """Plot the price of a million pictures over the load, for a card and for the CPU beside it.

    A machine is paid by the hour, busy or not, but draws its watts only while it computes. Above its speed, more of the
    same machines are rented.

    Args:
        card: the result of the experiment `accelerator`: "sizes" [B], "accelerator" and "cpu" [B], both in pictures per
            second.
    """
    pays_from = {}  # the load, or None, by prices and watts and then by batch size
    prices = _lowest_and_highest(card)

    def draw(size: int, card_euros: float, cpu_euros: float, card_watts: int, cpu_watts: int):
        place = card["sizes"].index(size)
        machines = {
            "card": (card["accelerator"][place], card_watts, card_euros),
            "CPU": (card["cpu"][place], cpu_watts, cpu_euros),
        }
        costs = {name: [_at_load(load, *machine) for load in LOADS] for name, machine in machines.items()}
        cheaper = next((load for load, a, b in zip(LOADS, *costs.values(), strict=True) if a < b), None)
        fig, ax = plots.figure(figsize=(8, 3.2))
        with plots.style():
            for (name, euros), color in zip(costs.items(), (plots.BLUE, plots.ORANGE), strict=True):
                ax.plot(LOADS, euros, color=color, label=name)
            if cheaper:
                ax.axvline(cheaper, color=plots.REFERENCE, linestyle=":", linewidth=1)
        plots.log_axis(ax.xaxis, [10**e for e in range(1, 8)])
        plots.log_axis(ax.yaxis, [10**e for e in range(-5, 4) if prices[0] <= 10**e <= prices[1]])
        ax.set(xlabel="load, pictures per second", ylabel="€ per million pictures", ylim=prices)
        plots.legend(fig)
        text = (
            Message("The card is cheaper from about <b>{load}</b> pictures per second on.", load=f"{cheaper:,}")
            if cheaper
            else Message("The card is never cheaper here.")
        )
        plots.finish(
            fig,
            "Both machines' prices per picture fall with the load until they are fully used.",
        )
        hourly = EUROS_PER_KWH * card_watts / 1000
        energy = hourly / (hourly + card_euros)
        text = joined(
            text,
            Message(
                "Energy costs {price} € per kWh, {share} % of a busy card's price.",
                price=f"{EUROS_PER_KWH:.2f}",
                share=f"{100 * energy:.0f}",
            ),
        )
        same_prices = pays_from.setdefault((card_euros, cpu_euros, card_watts, cpu_watts), {})
        same_prices[size] = cheaper
        found = [_idle_too(cheaper, LOADS[0]), _by_the_batch(same_prices), _energy(energy, card_watts, card_euros)]
        return fig, text, found

    goals = [
        _("Find prices at which the card is cheaper even for {load} pictures per second.", load=LOADS[0]),
        _("Find prices at which the card pays with one batch size, and with another one never."),
        _("Make energy more than {percent} % of a busy card's price.", percent=round(100 * LARGE)),
    ]
    return Playground(
        draw,
        goals,
        size=choice("batch size", card["sizes"], 256),
        card_euros=slider("card, € per hour", *CARD_EUROS, 3.0, 0.5),
        cpu_euros=slider("CPU, € per hour", *CPU_EUROS, 0.6, 0.1),
        card_watts=slider("card, watts", *CARD_WATTS, 700, 50),
        cpu_watts=slider("CPU, watts", *CPU_WATTS, 150, 10),
    )


def _lowest_and_highest(card: dict) -> tuple[float, float]:
    """Limits of the prices that the controls can reach: fixed, so that a curve that moves is seen to move."""
    machines = ((card["accelerator"], CARD_WATTS, CARD_EUROS), (card["cpu"], CPU_WATTS, CPU_EUROS))
    low = min(_at_load(LOADS[-1], max(speeds), watts[0], euros[0]) for speeds, watts, euros in machines)
    high = max(_at_load(LOADS[0], min(speeds), watts[1], euros[1]) for speeds, watts, euros in machines)
    return low / 1.3, high * 1.3


def _at_load(load: float, speed: float, watts: float, euros_per_hour: float) -> float:
    """Euros per million pictures, where `load` pictures per second arrive and a machine computes `speed`."""
    idle_share = max(1.0, speed / load)  # hours that are paid per hour of computing
    return price(speed, watts, EUROS_PER_KWH, euros_per_hour * idle_share)


def _idle_too(cheaper: float | None, lowest: float) -> str:
    if cheaper != lowest:
        return ""
    return _(
        "At {load} pictures per second both machines are mostly idle, so the lower rent decides, and speed doesn't "
        "count.",
        load=lowest,
    )


def _by_the_batch(pays_from: dict[int, float | None]) -> str:
    """A sentence if at the same prices the card pays with some of these batch sizes and never with others."""
    pays = [size for size, load in pays_from.items() if load]
    never = [size for size, load in pays_from.items() if not load]
    if not pays or not never:
        return ""
    return _(
        "At these prices the card pays with batches of {pays}, and never with batches of {never}: its speed depends on "
        "how it is fed.",
        pays=pays[-1],
        never=never[-1],
    )


def _energy(share: float, watts: int, euros_per_hour: float) -> str:
    if share <= LARGE:
        return ""
    return _(
        "{watts} watts and a rent of {rent} € per hour: energy is {percent} % of the price. Even so, the rent is most "
        "of it, so an idle card is expensive.",
        watts=watts,
        rent=f"{euros_per_hour:.2f}",
        percent=round(100 * share),
    )

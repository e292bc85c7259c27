"""Whether anything grew: the first quarter after the warm-up beside the last one."""

from statistics import median

# Caches, pools and allocator arenas fill up for a while.
WARM_UP = 0.25

# What may differ between two quarters of a run that does not grow: (of it, and so much).
ALLOWED = {
    "rss_kib": (0.10, 16 << 10),
    "threads": (0.0, 2),
    "descriptors": (0.10, 32),
    "journal_kib": (0.50, 128 << 10),
    "store_kib": (0.50, 96 << 10),
}
SAMPLES_MIN = 12


def line(sample):
    figures = " ".join(f"{name}={sample[name]}" for name in ALLOWED)
    return f"{sample['at_s']:>9.0f} s  {figures} answers={sum(sample['answers'].values())} faults={sample['faults']}"


def tell(samples, crowd):
    """What it comes to, as lines, and the exit code."""
    grown, lines = [], []
    if len(samples) < SAMPLES_MIN:
        lines.append(f"soak: {len(samples)} samples are too few to tell growth from warming up; run it for longer")
    else:
        lines.append(f"{'':12} {'after warm-up':>14} {'at the end':>14} {'most':>14}")
        settled = samples[int(len(samples) * WARM_UP):]
        quarter = max(1, len(settled) // 4)
        for name, (part, least) in ALLOWED.items():
            values = [sample[name] for sample in settled]
            first, last = median(values[:quarter]), median(values[-quarter:])
            grew = last > first * (1 + part) + least
            grown += [name] if grew else []
            lines.append(f"{name:12} {first:>14.0f} {last:>14.0f} {max(values):>14.0f}  {'GREW' if grew else 'no growth'}")
    lines += [f"{count:>10}  {what}" for what, count in sorted(crowd.answers.items())]
    lines += [f"fault: {fault}" for fault in crowd.faults[:20]]
    lines.append(f"soak: {sum(crowd.answers.values())} answers, {len(crowd.faults)} faults, "
                 f"{'grown: ' + ', '.join(grown) if grown else 'no growth'}")
    return lines, 1 if grown or crowd.faults or len(samples) < SAMPLES_MIN else 0

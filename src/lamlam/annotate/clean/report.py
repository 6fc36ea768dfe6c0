"""What cleaning dropped, as a JSON file: counts by reason, and samples with the text around."""

import json
from dataclasses import asdict
from pathlib import Path

from lamlam.annotate.clean.cleaner import Tally
from lamlam.files import atomic_write

__all__ = ["write_cleaning_report"]


def write_cleaning_report(tally: Tally, out: str | Path) -> None:
    """Write counts and samples to a file, as one JSON object."""
    dropped = tally.dropped.total()
    report = {
        "documents": tally.documents,
        "calls": tally.calls,
        "dropped": dropped,
        "reasons": dict(tally.dropped.most_common()),
        "threshold": tally.threshold,
        "samples": {reason: [asdict(each) for each in samples] for reason, samples in tally.samples.items()},
    }
    with atomic_write(out) as file:
        json.dump(report, file, ensure_ascii=False, indent=1)
        file.write("\n")

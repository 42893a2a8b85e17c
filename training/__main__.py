"""`python -m training JOB --epoch N`: do one job, write its result, exit 0; exit 1 if it failed."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.errors import Code, LorikeetError, Unrecoverable

if TYPE_CHECKING:
    from training.job import JobFolder

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def main(arguments: list[str] | None = None) -> int:
    """Run a job folder."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("job", type=Path, help="the job folder")
    parser.add_argument("--epoch", type=int, default=1, help="the lease epoch of this attempt")
    options = parser.parse_args(arguments)
    from training.job import JobFolder  # noqa: PLC0415 - arguments first, then heavy imports

    try:
        job = JobFolder(options.job, options.epoch)
    except LorikeetError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the only way to say it: there is no result
        return 2
    try:
        job.finish(_run(job))
    except LorikeetError as error:
        job.fail(error.code.number, str(error))
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it was, the result has to say so
        traceback.print_exc()
        job.fail(Code.TRAINING_FAILED.number, f"{type(error).__name__}: {error}")
        return 1
    return 0


def _run(job: JobFolder) -> dict[str, Any]:
    import torch  # noqa: PLC0415

    torch.manual_seed(job.spec.seed)
    if "OMP_NUM_THREADS" in os.environ:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    kinds = {"make_base": _make_base, "train": _train, "probe": _probe, "generate": _generate}
    summary = kinds[job.spec.kind](job)
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {**summary, "device": name, "torch": torch.__version__}


def _make_base(job: JobFolder) -> dict[str, Any]:
    from training.tiny import make_base  # noqa: PLC0415

    return make_base(job)


def _train(job: JobFolder) -> dict[str, Any]:
    from training.data import read_split  # noqa: PLC0415
    from training.methods.port import Method  # noqa: PLC0415
    from training.methods.sft import sft  # noqa: PLC0415
    from training.model import load_base, save_adapter  # noqa: PLC0415
    from training.probe import expected  # noqa: PLC0415

    methods: dict[str, Method] = {"sft": sft}
    model, tokenizer = load_base(job.spec.base, job.spec.base_digest)
    adapted, summary = methods[job.spec.method](job, model, tokenizer)
    held_out = read_split(job.dataset, "validation") or read_split(job.dataset, "train")
    record = expected(adapted, tokenizer, held_out, job.spec.max_new_tokens)
    save_adapter(adapted, job.attempt / "adapter", job.spec.base_digest)
    job.write("expected.json", record)
    return summary


def _probe(job: JobFolder) -> dict[str, Any]:
    import json  # noqa: PLC0415

    from training.model import load_adapters, load_base  # noqa: PLC0415
    from training.probe import probe  # noqa: PLC0415

    model, tokenizer = load_base(job.spec.base, job.spec.base_digest)
    record = json.loads((job.dataset / "expected.json").read_text())
    name = next(iter(job.spec.adapters), None)
    if name is None:
        raise Unrecoverable(Code.BAD_JOB, "a probe needs an adapter")
    loaded = load_adapters(model, job.spec.adapters)
    found = probe(loaded, tokenizer, record, name, job.spec.max_new_tokens)
    job.write("probe.json", found)
    return found


def _generate(job: JobFolder) -> dict[str, Any]:
    import json  # noqa: PLC0415

    from training.generate import answers, using  # noqa: PLC0415
    from training.model import load_adapters, load_base  # noqa: PLC0415

    model, tokenizer = load_base(job.spec.base, job.spec.base_digest)
    cases = list(job.lines("cases.jsonl"))
    loaded = load_adapters(model, {n: f for n, f in job.spec.adapters.items() if f})
    with (job.attempt / "outputs.jsonl").open("w") as handle:
        for name, folder in job.spec.adapters.items():
            with using(loaded, name if folder else ""):
                found = answers(loaded, tokenizer, cases, job.spec.max_new_tokens)
            for case, answer in zip(cases, found, strict=True):
                line = {"case_id": case["case_id"], "arm": name, "text": answer.text}
                handle.write(json.dumps(line, ensure_ascii=False) + "\n")
    return {"cases": len(cases), "arms": list(job.spec.adapters)}


if __name__ == "__main__":
    sys.exit(main())

"""A stand-in for Slurm: `sbatch` runs the jobs of a script on this machine, all at once."""

import sys
from pathlib import Path

SBATCH = """
import os, re, subprocess, sys
text = open(sys.argv[1]).read()
open({record!r}, "w").write(text)
array = re.search(r"--array=0-([0-9]+)", text)
for number in range(int(array[1]) + 1):
    job = {{"SLURM_JOB_ID": str(100 + number), "SLURM_ARRAY_JOB_ID": "42", "SLURM_NTASKS": "1"}}
    subprocess.Popen(
        ["bash", sys.argv[1]],
        env={{**os.environ, **job, "SLURM_ARRAY_TASK_ID": str(number)}},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
print("Submitted batch job 42")
"""
SRUN = """
import os, sys
begin = sys.argv.index(sys.executable)  # after the options of srun
os.execv(sys.executable, sys.argv[begin:])
"""
SACCT = """
print("JobID|State")
"""


def stand_in_for_slurm(folder: Path) -> Path:
    """Write the programs into a folder, and return the file to which `sbatch` copies its script."""
    folder.mkdir()
    record = folder / "script"
    programs = {"sbatch": SBATCH.format(record=str(record)), "srun": SRUN, "sacct": SACCT}
    for name, code in programs.items():
        (folder / name).write_text(f"#!{sys.executable}\n{code}")
        (folder / name).chmod(0o755)
    return record

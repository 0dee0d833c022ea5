"""The jobs that the worker image brings: `crewcall-worker run crewcall_jobs.catalogue` works on all of them.

Each package has a job type (`job`), its payload (`payload`), a pure core, and an adapter for each kind of I/O. An
application that only enqueues imports the job type, and needs no more than `crewcall[worker]`. The demo is apart: it
has no typed jobs, and needs none of this.
"""
